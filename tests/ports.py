"""Ports for servers that tests start as processes of their own.

A port that the kernel chose and that was given back may be chosen again, for any connection of this machine,
before the server listens on it. The kernel chooses none of these, and each is one test's until its end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_FIRST, _LAST = 20_000, 29_999
_SYSTEM_RANDOM = random.SystemRandom()  # Not of the seed that every worker has.


@contextlib.contextmanager
def reserved() -> Iterator[int]:
    """Hold a port of 127.0.0.1 on which nobody listens. Raises RuntimeError where there is none."""
    locks = Path(tempfile.gettempdir()) / f"routescope-test-ports-{os.getuid()}"
    locks.mkdir(mode=0o700, exist_ok=True)
    for port in _SYSTEM_RANDOM.sample(range(_FIRST, _LAST + 1), 200):
        with (locks / str(port)).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if _is_free(port):
                yield port
                return
    raise RuntimeError(f"No port from {_FIRST} to {_LAST} is free.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture
def port() -> Iterator[int]:
    with reserved() as found:
        yield found


@pytest.fixture
def another_port() -> Iterator[int]:
    with reserved() as found:
        yield found
