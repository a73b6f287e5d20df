"""While an engine is away the log says so once, and once that it is back: whoever fails, however often."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import psycopg
import pytest
import redis
from celery.beat import SchedulingError
from django import db
from django.db.backends.signals import connection_created
from kombu.exceptions import OperationalError as QueueError

from routescope.data import outages
from routescope.data.outages import Outage, Quiet, of

NOBODY = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """A logger behind the filter, and outages that nobody has seen yet."""
    monkeypatch.setattr(outages, "database", Outage("The database cannot be reached", "The database is back"))
    monkeypatch.setattr(outages, "queue", Outage("The queue cannot be reached", "The queue is back"))
    quiet = Quiet()
    caplog.handler.addFilter(quiet)
    yield logging.getLogger("tests.anyone")
    caplog.handler.removeFilter(quiet)


def raised(act: Callable[[], object]) -> BaseException:
    try:
        act()
    except Exception as error:
        return error
    raise AssertionError("Nothing was raised.")


def as_django(error: Exception) -> db.OperationalError:
    """Return the error as Django hands it on."""
    try:
        raise db.OperationalError(str(error)) from error
    except db.OperationalError as wrapped:
        return wrapped


def as_beat(error: Exception) -> SchedulingError:
    """Return the error as beat hands it on: without naming its cause."""
    try:
        try:
            raise error
        except type(error):
            raise SchedulingError("Couldn't apply scheduled task")  # noqa: B904
    except SchedulingError as wrapped:
        return wrapped


def test_an_outage_is_one_line_without_a_traceback_however_many_fail(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    error = raised(lambda: psycopg.connect(NOBODY, connect_timeout=1))
    for number in range(500):
        log.error("Internal Server Error: /page/%s", number, exc_info=error)
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().startswith("The database cannot be reached: connection")
    assert "Traceback" not in caplog.text
    outages.database.over()
    outages.database.over()
    [back] = caplog.records[1:]
    assert back.getMessage().startswith("The database is back after")
    assert back.getMessage().endswith("(failed 500 times)")


def test_a_long_outage_is_told_again_now_and_then(
    log: logging.Logger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("routescope.data.outages.time.monotonic", lambda: clock[0])
    for _ in range(130):
        log.error("failed", exc_info=redis.ConnectionError("Connection refused."))
        clock[0] += 1
    assert [record.getMessage() for record in caplog.records] == [
        "The queue cannot be reached: Connection refused.",
        "The queue cannot be reached for 60 s (failed 61 times): Connection refused.",
        "The queue cannot be reached for 120 s (failed 121 times): Connection refused.",
    ]


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (psycopg.OperationalError("server closed the connection unexpectedly"), "database"),
        (psycopg.errors.AdminShutdown("terminating connection"), "database"),
        (psycopg.errors.CannotConnectNow("the database system is starting up"), "database"),
        (psycopg.errors.ConnectionFailure("gone"), "database"),
        (psycopg.InterfaceError("the connection is closed"), "database"),
        (as_django(psycopg.OperationalError("the connection is lost")), "database"),
        (db.InterfaceError("connection already closed"), "database"),
        (redis.ConnectionError("Error 2 connecting to unix socket"), "queue"),
        (redis.BusyLoadingError("loading"), "queue"),
        (redis.TimeoutError("timeout"), "queue"),
        (QueueError("Error 111"), "queue"),
        (as_beat(QueueError("Error 111")), "queue"),
        # The engine is there, and answered.
        (psycopg.errors.QueryCanceled("statement timeout"), None),
        (psycopg.errors.LockNotAvailable("lock timeout"), None),
        (psycopg.errors.DeadlockDetected("deadlock"), None),
        (psycopg.errors.DiskFull("no space left"), None),
        (psycopg.errors.TooManyConnections("too many"), None),
        (psycopg.errors.UndefinedTable("no such table"), None),
        (psycopg.InterfaceError("the cursor is closed"), None),
        (as_django(psycopg.errors.QueryCanceled("statement timeout")), None),
        (ConnectionError("a provider's"), None),
        (ValueError("a fault of ours"), None),
    ],
)
def test_only_what_says_that_an_engine_is_away_is_an_outage(error: Exception, away: str | None) -> None:
    assert of(error) is (getattr(outages, away) if away else None)


def test_a_fault_of_ours_amid_an_outage_keeps_its_traceback(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        try:
            raise redis.ConnectionError("gone")
        except redis.ConnectionError:
            raise KeyError("a fault of ours")  # noqa: B904
    except KeyError:
        log.exception("failed")
    assert "Traceback" in caplog.text


def test_errors_among_the_words_count_too(log: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        log.error("Cannot connect to %s: %s. %s", "here", redis.ConnectionError("Error 2"), "Trying")
    assert [record.getMessage() for record in caplog.records] == ["The queue cannot be reached: Error 2"]


def test_our_own_503_is_not_told_by_django_again(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    django = logging.getLogger("django.request")
    django.error("Service Unavailable: /api/v1/usage", extra={"status_code": 503})
    assert caplog.records == []
    django.error("Internal Server Error: /api/v1/usage", extra={"status_code": 500})
    assert len(caplog.records) == 1


def test_the_consoles_own_log_is_quiet_and_a_connection_ends_the_outage(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    assert any(isinstance(one, Quiet) for handler in logging.root.handlers for one in handler.filters)
    log.error("failed", exc_info=psycopg.OperationalError("gone"))
    connection_created.send(sender=type(db.connection), connection=db.connection)
    assert [record.getMessage().split(" after")[0] for record in caplog.records] == [
        "The database cannot be reached: gone",
        "The database is back",
    ]
