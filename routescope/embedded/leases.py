"""Who uses the engines: each user holds a shared flock, so a crash leaves nothing to clean up.

Two locks. ``locks/use`` is held shared by every user; who can take it alone is the last one. ``locks/start``
is held alone while engines are started or stopped, so that nobody comes in between. It is held as well by
whoever asks whether there is a user: so the answer stays true until it is acted upon.
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

from routescope.embedded import private
from routescope.embedded.errors import EmbeddedError

_PATIENCE = 330  # seconds; a PostgreSQL that recovers from a crash may take minutes


class Engine(Protocol):
    """One engine of a state folder. Called under the start lock only."""

    name: str
    """What it is called in one word."""

    def runs(self) -> bool:
        """Say, at little cost, whether it lives and can be reached."""

    def ensure(self) -> None:
        """Start it, or find it running. Raises EmbeddedError."""

    def stop(self) -> None:
        """Stop it cleanly, in bounded time; nothing to do where it does not run."""


class EngineKeeper(Protocol):
    """What looks after the engines from their first user to their last. Called under the start lock only."""

    def begin(self, wanted: Sequence[Engine], *, anew: bool) -> None:
        """Look after these, beside others unless ``anew``. Raises EmbeddedError."""

    def end(self) -> None:
        """Look after nothing any more."""


@contextlib.contextmanager
def held(
    state: Path, wanted: Sequence[Engine], every: Sequence[Engine], keeper: EngineKeeper
) -> Iterator[None]:
    """Have the wanted engines running inside the block; the last user to leave stops every one there is.

    Raises EmbeddedError where one cannot be started.
    """
    with locks(state) as (use, start):
        try:
            with alone(start):
                first = is_last(use)
                fcntl.flock(use, fcntl.LOCK_SH)
                for engine in wanted:
                    engine.ensure()
                keeper.begin(wanted, anew=first)
            yield
        finally:
            with alone(start):
                if is_last(use):
                    keeper.end()
                    for engine in reversed(every):
                        engine.stop()
                fcntl.flock(use, fcntl.LOCK_UN)


@contextlib.contextmanager
def locks(state: Path) -> Iterator[tuple[int, int]]:
    """Open the two locks, ``use`` and ``start``, without taking either. Raises EmbeddedError."""
    with _open(state / "locks" / "use") as use, _open(state / "locks" / "start") as start:
        yield use, start


def is_last(use: int) -> bool:
    """Say whether nobody else holds the lock; it is ours alone then.

    Call under the start lock. A share of ours is given up: flock does not convert in place.
    """
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _open(path: Path) -> Iterator[int]:
    try:
        private.folder(path.parent)
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
def alone(start: int) -> Iterator[None]:
    """Hold the start lock inside the block. Raises EmbeddedError where another has it for minutes."""
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
