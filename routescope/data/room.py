"""Room on the disk: who writes much asks before, so that PostgreSQL always has what it needs to go on.

Part of the disk is kept free (``routescope.embedded.disk``): records are refused before that is touched, and
taken again once there is more. What people see and do needs little, and goes on.

Only the embedded database's disk is known here. Another one's fullness shows in its errors: ``is_full``.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
from django.db import connection

from routescope.data.outages import Outage
from routescope.embedded import place
from routescope.embedded.disk import MB, Disk

logger = logging.getLogger(__name__)

_EACH = 4 * MB
"""What a batch under way may still take."""
RETRY_AFTER_SECONDS = 15

_refusal = Outage("Records are refused", "Records are taken in again")
_under_way = 0
_lock = threading.Lock()


class NoRoomError(RuntimeError):
    """The disk is nearly full; the message is a sentence that says so."""


def of_database() -> Disk | None:
    """Return the disk of the database; None where it is not known here."""
    state = place.state()
    if connection.settings_dict["HOST"] != str(place.sockets(state)):
        return None
    return Disk.of(place.engine(state))


@contextlib.contextmanager
def for_records() -> Iterator[None]:
    """Let a batch of records be written inside the block. Raises NoRoomError where there is no room for it.

    Each batch under way counts, for it has not taken yet what it will. Once refused, records are taken in
    again when there is clearly more room: not one batch now and then.
    """
    global _under_way
    disk = of_database()
    refusing = _refusal.is_on
    with _lock:
        if disk is not None:
            left = disk.free - disk.kept
            if left < (disk.kept // 4 if refusing else _under_way * _EACH):
                raise NoRoomError(_refused(f"{max(left, 0) // MB} MB may be written"))
        _under_way += 1
    try:
        yield
    except Exception as error:
        if is_full(error):
            raise NoRoomError(_refused("the database found none")) from error
        raise
    finally:
        with _lock:
            _under_way -= 1
    if refusing:  # One that was let in before the refusal says nothing of its end.
        _refusal.over()


def for_file(folder: Path, size: int = 0) -> None:
    """See that there is room for a file of so many bytes. Raises NoRoomError.

    Files leave more free than records do: they must not be why records are refused.
    """
    disk = Disk.of(folder)
    if disk.free - disk.kept * 3 // 2 < size:
        raise NoRoomError("The disk is nearly full.")


def is_full(error: BaseException) -> bool:
    """Say whether the database failed because its disk is full."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.errors.DiskFull):
            return True
        cause = cause.__cause__
    return False


def _refused(words: str) -> str:
    if line := _refusal.noticed(f"the disk is nearly full ({words})"):
        logger.error("%s", line)
    return "The disk is nearly full: nothing is taken in until there is room. Send the same again later."
