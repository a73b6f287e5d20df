"""What an error of the database means: away, busy, or a statement that took too long; or a fault of ours.

The log gets a line now and then, with how many answers a trouble cost, not a traceback for each.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from enum import Enum

from django.db import DatabaseError, InterfaceError, OperationalError, connection
from psycopg import Error as PostgresError

from routescope.data import outages
from routescope.data.outages import first_line

logger = logging.getLogger(__name__)

LINE_EVERY = 30.0
"""Seconds from one line about a trouble to the next."""

_AWAY_CLASSES = ("08", "53", "58")
"""Connections, resources (disk, memory, connections), the system beneath. PostgreSQL's appendix A."""
_AWAY = {"25006"}
"""Reads only: a standby, until it is the primary."""
_BUSY = {"40001", "40P01", "55P03"}
"""Serialization failure, deadlock, lock not available."""
_TOO_LONG = {"57014", "25P03", "25P04"}
"""Statement cancelled; transaction idle or open for too long."""


class Trouble(Enum):
    """Why the database did not answer. The value is what the log and machines are told."""

    AWAY = "The database cannot be reached"
    BUSY = "The database is busy: what is asked for is locked"
    TOO_LONG = "The database took too long"

    @property
    def retry_after(self) -> int:
        """Seconds after which asking again makes sense."""
        return 2 if self is Trouble.BUSY else 5


def trouble_of(error: BaseException | None) -> Trouble | None:
    """Return what an error tells about the database, None where it is no trouble of the database's."""
    if not isinstance(error, DatabaseError | InterfaceError):
        return None
    cause = error.__cause__
    state = cause.sqlstate if isinstance(cause, PostgresError) else None
    if state is None:
        if isinstance(error, OperationalError):
            return Trouble.AWAY  # No answer at all: refused, broken off, timed out.
        # The connection is gone, or one was misused that is there.
        is_gone = connection.connection is None or connection.connection.closed
        return Trouble.AWAY if isinstance(error, InterfaceError) and is_gone else None
    if state in _BUSY:
        return Trouble.BUSY
    if state in _TOO_LONG:
        return Trouble.TOO_LONG
    if state in _AWAY or state.startswith(_AWAY_CLASSES) or state.startswith("57P"):
        return Trouble.AWAY
    return None


def tell(error: BaseException, doing: str) -> Trouble | None:
    """Note in the log that a trouble stopped what we were ``doing``; return it. None where there is none."""
    trouble = trouble_of(error)
    if trouble is None:
        return None
    if trouble is Trouble.AWAY:
        # The whole process tells of that once, whoever notices it.
        if words := outages.database.noticed(f"{first_line(error)} ({doing})"):
            logger.error("%s", words)
        return trouble
    suppressed = _lines.due(trouble, time.monotonic())
    if suppressed is not None:
        more = f" ({suppressed} more since the last line)" if suppressed else ""
        logger.error("%s (%s)%s: %s", trouble.value, doing, more, first_line(error))
    return trouble


class Filter(logging.Filter):
    """For Django's log of requests: outages are told as here, everything else with its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Take over what is an outage."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            # A 503 of our own: whoever answered so has said why.
            return getattr(record, "status_code", None) != 503
        return tell(error, getattr(getattr(record, "request", None), "path", "a request")) is None


@dataclass(slots=True)
class _Line:
    due: float
    suppressed: int = 0


class _Lines:
    """When each trouble was last told, and how often it came since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[Trouble, _Line] = {}

    def due(self, trouble: Trouble, now: float) -> int | None:
        """Return how many were passed over since the last line where one is due, else None."""
        with self._lock:
            last = self._last.get(trouble)
            if last is not None and now < last.due:
                last.suppressed += 1
                return None
            self._last[trouble] = _Line(now + LINE_EVERY)
            return last.suppressed if last else 0

    def forget(self) -> None:
        """Begin anew, as a process does."""
        with self._lock:
            self._last.clear()


_lines = _Lines()
