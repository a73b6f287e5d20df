"""Who uses the engines: each user holds a shared flock, so a crash leaves nothing to clean up.

Two locks. ``locks/use`` is held shared by every user; who can take it alone is the last one. ``locks/start``
is held alone while engines are started or stopped, so that nobody comes in between.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from routescope.embedded.errors import EmbeddedError

_PATIENCE = 330  # seconds; a PostgreSQL that recovers from a crash may take minutes


class Engine(Protocol):
    """One engine of a state folder. Called under the start lock only."""

    def ensure(self) -> None:
        """Start it, or find it running. Raises EmbeddedError."""

    def stop(self) -> None:
        """Stop it cleanly, in bounded time; nothing to do where it does not run."""


@contextlib.contextmanager
def held(state: Path, wanted: Sequence[Engine], every: Sequence[Engine]) -> Iterator[None]:
    """Have the wanted engines running inside the block; the last user to leave stops every one there is.

    Raises EmbeddedError where one cannot be started.
    """
    with _open(state / "locks" / "use") as use, _open(state / "locks" / "start") as start:
        try:
            with _alone(start):
                fcntl.flock(use, fcntl.LOCK_SH)
                for engine in wanted:
                    engine.ensure()
            yield
        finally:
            with _alone(start):
                if _last(use):
                    for engine in reversed(every):
                        engine.stop()
                fcntl.flock(use, fcntl.LOCK_UN)


def _last(use: int) -> bool:
    """Say whether nobody else holds the lock. Ours is given up: flock does not convert in place."""
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _open(path: Path) -> Iterator[int]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EmbeddedError(
            f"{path} cannot be opened ({error.strerror}). Embedded PostgreSQL belongs to the user who first "
            "started it; run as that user, or set ROUTESCOPE_STATE to a folder of yours."
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _alone(start: int) -> Iterator[None]:
    began = time.monotonic()
    told = False
    while True:
        try:
            fcntl.flock(start, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            waited = time.monotonic() - began
        if waited > _PATIENCE:
            raise EmbeddedError("Another command has been starting or stopping PostgreSQL for too long.")
        if waited > 3 and not told:
            told = True
            sys.stderr.write("Waiting for another command that starts or stops PostgreSQL ...\n")
        time.sleep(0.02)
    try:
        yield
    finally:
        fcntl.flock(start, fcntl.LOCK_UN)
