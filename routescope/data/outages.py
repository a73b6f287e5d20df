"""While the database or the queue is away: a line at its loss, one at its return, one a minute in between.

Every request and every job fails alike meanwhile, each with a traceback. What they say is recognised by its
error, whoever logs it, and counted instead. Each process tells for itself.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator

import psycopg
from django import db
from kombu.exceptions import OperationalError as QueueError
from redis import exceptions as redis

logger = logging.getLogger(__name__)

_REMINDER = 60.0  # seconds
_DECIDED = "is_written"
_THEIRS = {"celery", "django", "kombu", "psycopg", "redis"}
_DEPTH = 10  # errors that led to an error, at most

# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection exceptions, and a server that is
# ended, has crashed, or starts.
_LOST = ("08", "57P01", "57P02", "57P03")


class Outage:
    """One engine's absence, as this process sees it."""

    def __init__(self, lost: str, back: str) -> None:
        """``lost`` and ``back`` are what is said of its beginning and its end."""
        self._lost, self._back = lost, back
        self._lock = threading.Lock()
        self._since: float | None = None
        self._reminded = 0.0
        self._alike = 0

    @property
    def is_on(self) -> bool:
        """Whether it is going on, as far as this process knows."""
        return self._since is not None

    def noticed(self, trouble: str) -> str | None:
        """Take note of a failure because of it; return what is to be said, if anything."""
        now = time.monotonic()
        with self._lock:
            if self._since is None:
                self._since = self._reminded = now
                self._alike = 1
                return f"{self._lost}: {trouble}"
            self._alike += 1
            if now - self._reminded < _REMINDER:
                return None
            self._reminded = now
            return f"{self._lost} for {now - self._since:.0f} s (failed {self._alike} times): {trouble}"

    def over(self) -> None:
        """Tell that it is over, where it was not."""
        if self._since is None:  # What nearly every call finds; no lock for that.
            return
        with self._lock:
            if self._since is None:
                return
            lasted, self._since = time.monotonic() - self._since, None
            alike = self._alike
        logger.warning("%s after %.1f s (failed %s times)", self._back, lasted, alike)

    def forget(self) -> None:
        """Begin anew, as a process does: nothing is said."""
        with self._lock:
            self._since = None


database = Outage("The database cannot be reached", "The database is back")
queue = Outage("The queue cannot be reached", "The queue is back")


class Quiet(logging.Filter):
    """Lets through one line of each outage, without its traceback, and everything else as it is."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record is to be written; where it tells of an outage it is put in few words."""
        if not hasattr(record, _DECIDED):  # Several handlers write the same record: it happened once.
            setattr(record, _DECIDED, self._decide(record))
        return bool(getattr(record, _DECIDED))

    def _decide(self, record: logging.LogRecord) -> bool:
        if (
            record.name == "django.request"
            and getattr(record, "status_code", 0) == 503
            and not record.exc_info
        ):
            return False  # An answer of ours, told where it is made; Django says so again for each.
        for error in _errors(record):
            outage = of(error)
            if outage is not None:
                words = outage.noticed(first_line(error))
                if words is None:
                    return False
                record.msg, record.args = words, ()
                record.exc_info = record.exc_text = record.stack_info = None
                return True
        return True


def of(error: BaseException) -> Outage | None:
    """Return what an error says is away: no connection to it, or one that broke off."""
    for cause in _chain(error):
        if isinstance(cause, psycopg.Error):
            if _is_lost(cause):
                return database
        elif isinstance(cause, (redis.ConnectionError, redis.TimeoutError, QueueError)):
            return queue
        elif isinstance(cause, db.InterfaceError) and cause.__cause__ is None:
            return database  # Django's own: the connection is closed already.
    return None


def quieten(logger: logging.Logger) -> None:
    """Put the filter on every handler of a logger, once."""
    for handler in logger.handlers:
        if not any(isinstance(one, Quiet) for one in handler.filters):
            handler.addFilter(Quiet())


def _is_lost(error: psycopg.Error) -> bool:
    if error.sqlstate is not None:
        return error.sqlstate.startswith(_LOST)
    # Without a code no server answered: there was no connection, or it broke off. A closed cursor is a fault.
    return isinstance(error, psycopg.OperationalError) or "connection" in str(error)


def _errors(record: logging.LogRecord) -> Iterator[BaseException]:
    """Yield the errors that a record tells of: with a traceback, or among its words."""
    if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
        yield record.exc_info[1]
    arguments = record.args.values() if isinstance(record.args, dict) else record.args or ()
    for argument in arguments:
        if isinstance(argument, BaseException):
            yield argument


def _chain(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    for _ in range(_DEPTH):
        if following is None:
            return
        yield following
        # A fault of our own in handling an outage is no part of it, what these make of it is.
        is_theirs = type(following).__module__.partition(".")[0] in _THEIRS
        following = following.__cause__ or (following.__context__ if is_theirs else None)


def first_line(error: BaseException) -> str:
    """Return the first words of an error, or its kind where it has none."""
    with contextlib.suppress(StopIteration):
        return next(line.strip() for line in str(error).splitlines() if line.strip())
    return type(error).__name__
