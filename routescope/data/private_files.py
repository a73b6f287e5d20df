"""Files that nobody else on the machine reads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """Have folders made inside the block with 0700 and files with 0600, whatever makes them.

    The umask is the whole process's: for jobs, which a process does one at a time, not for web threads.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
