"""Being told to end, wherever a command is just then: what it has begun, it puts away first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """A signal came."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped inside the block on SIGTERM, SIGINT and SIGHUP; leave the block in peace with it."""

    def stop(number: int, frame: FrameType | None) -> None:
        # Once: what is put away after it must not be interrupted.
        for caught in before:
            signal.signal(caught, signal.SIG_IGN)
        raise Stopped

    before = {
        number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    }
    try:
        yield
    except Stopped:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
