"""Rows that are committed behind rows with higher IDs: none is skipped, none is taken twice."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Gateway
from logs.ingest.formats.newapi import QUOTA_PER_USD
from logs.models import ImportPosition, UsageRecord
from routescope.newapi import gaps, tasks, usage
from routescope.newapi.gaps import Gaps
from routescope.newapi.source import open_source
from routescope.newapi.tasks import Followed
from tasks.models import AsyncTask, TaskStatus
from tests.newapi_installation import CALL, NOW, Installation, installation
from tests.sums import check_rollups

__all__ = ["installation"]

_HOUR = 3600


def ids() -> set[str]:
    return set(UsageRecord.objects.values_list("request_id", flat=True))


def open_gaps() -> list[tuple[int, int]]:
    return Gaps(ImportPosition.objects.get(table="logs").gaps).ranges


# --- What is proven of gaps --------------------------------------------------------------------------------


@given(
    # Of each number: how long after it was handed out its row is to be seen; None: never.
    delays=st.lists(st.none() | st.integers(0, gaps.KEPT), max_size=60),
    looks=st.lists(st.integers(0, 400), max_size=40),
    limit=st.integers(1, 7),
)
def test_every_row_that_comes_in_time_is_read_once(
    delays: list[int | None], looks: list[int], limit: int
) -> None:
    begun = 1_800_000_000
    handed_out = {number: begun + 10 * number for number in range(1, len(delays) + 1)}
    seen_from = {
        number: handed_out[number] + delay
        for number, delay in enumerate(delays, start=1)
        if delay is not None
    }
    read: list[int] = []
    last, kept = 0, Gaps()

    def look(now: float) -> None:
        nonlocal last
        visible = sorted(number for number, moment in seen_from.items() if moment <= now)
        late = [number for number in visible if any(low <= number <= high for low, high in kept.ranges)]
        read.extend(late)
        kept.fill(late)
        while some := [number for number in visible if number > last][:limit]:
            kept.notice(last, [(number, handed_out[number]) for number in some], now, None)
            kept.expire(now, None)
            read.extend(some)
            last = some[-1]

    now = begun
    for pause in looks:
        now += pause
        look(now)
    # However it was looked at so far: whoever looks within the bound after the last row was to be seen.
    end = max(seen_from.values(), default=begun)
    if now <= end:
        look(end)
    assert sorted(read) == sorted(seen_from)
    kept.expire(end + 10 * len(delays) + gaps.KEPT * 2, None)
    assert len(kept) == 0, "nothing is watched for ever"


@given(
    kept=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=9),
    filled=st.lists(st.integers(0, 200), max_size=60),
)
def test_gaps_hold_exactly_the_numbers_that_were_not_filled(
    kept: list[tuple[int, int]], filled: list[int]
) -> None:
    made: list[list[int]] = []
    numbers: set[int] = set()
    low = 1
    for apart, length in kept:
        low += apart + 1
        made.append([low, low + length, 0])
        numbers |= set(range(low, low + length + 1))
        low += length + 1
    found = Gaps(made)
    found.fill(filled)
    for number in filled[:3]:
        found.wait_for(number, 0)
    numbers = (numbers - set(filled)) | set(filled[:3])
    assert {number for number in range(-1, 300) if number in found} == numbers
    ranges = [range(low, high + 1) for low, high in Gaps(found.kept()).ranges]
    assert [number for one in ranges for number in one] == sorted(numbers), "in order, each once"


def test_no_more_gaps_are_watched_than_may_be_and_the_dead_go_first() -> None:
    found = Gaps([[10 * n, 10 * n + 1, 100 + n, 50 if n % 2 else 5_000] for n in range(1, gaps.MOST + 101)])
    assert found.expire(200.0, oldest=60) == 100
    left = {low for low, _ in found.ranges}
    assert len(left) == gaps.MOST
    given_up = {10 * n for n in range(1, gaps.MOST + 101)} - left
    assert given_up == {10 * n for n in range(1, 200, 2)}, "the oldest whose transactions have all ended"


@pytest.mark.parametrize(
    ("written", "noticed"),
    [
        ([NOW, NOW, NOW], True),
        ([NOW - 30 * gaps.KEPT] * 3, False),
        # One odd time among others tells nothing.
        ([NOW, 0, NOW], True),
        ([0], True),
        ([None, None], True),
    ],
)
def test_deleted_rows_of_long_ago_are_no_gaps(written: list[float | None], noticed: bool) -> None:
    found = Gaps()
    found.notice(0, [(5 * (place + 1), moment) for place, moment in enumerate(written)], NOW, None)
    assert bool(found) is noticed


# --- PostgreSQL: another connection that commits late ------------------------------------------------------


class Busy:
    """new-api's tables on PostgreSQL, and connections that write to them."""

    def __init__(self) -> None:
        settings = connection.settings_dict
        self._login = {
            "user": settings["USER"], "password": settings["PASSWORD"], "dbname": settings["NAME"],
            "host": settings["HOST"], "port": settings["PORT"],
        }  # fmt: skip
        self.dsn = (
            f"postgresql://{settings['USER']}:{settings['PASSWORD']}@/{settings['NAME']}"
            f"?host={settings['HOST']}&port={settings['PORT']}&options=-csearch_path%3Dbusy_newapi"
        )
        self._open: list[psycopg.Connection[Any]] = []

    def session(self, *, autocommit: bool = False) -> psycopg.Connection[Any]:
        made = psycopg.connect(**self._login, autocommit=autocommit, options="-csearch_path=busy_newapi")
        self._open.append(made)
        return made

    def close(self) -> None:
        for one in self._open:
            one.close()

    def imported(self) -> str:
        told = io.StringIO()
        call_command("import_newapi", source=self.dsn, stdout=told, stderr=io.StringIO())
        return told.getvalue()


@pytest.fixture
def busy(transactional_db: None) -> Iterator[Busy]:
    made = Busy()
    session = made.session(autocommit=True)
    session.execute("CREATE SCHEMA busy_newapi")
    session.execute(
        "CREATE TABLE logs (id bigserial PRIMARY KEY, created_at bigint, type bigint, content text,"
        " username text, token_name text, model_name text, quota bigint, prompt_tokens bigint,"
        ' completion_tokens bigint, use_time bigint, is_stream boolean, channel_id bigint, "group" text,'
        " ip text, request_id text, upstream_request_id text, other text)"
    )
    session.execute(
        "CREATE TABLE tasks (id bigserial PRIMARY KEY, created_at bigint, task_id text, platform text,"
        ' user_id bigint, "group" text, quota bigint, action text, status text, fail_reason text,'
        " submit_time bigint, start_time bigint, finish_time bigint, progress text, properties json,"
        " data json, private_data json)"
    )
    yield made
    made.close()
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA busy_newapi CASCADE")


def log(session: psycopg.Connection[Any], request_id: str, **row: Any) -> int:
    row = {**CALL, "is_stream": True, "created_at": NOW, "request_id": request_id, **row}
    names = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join(["%s"] * len(row))
    found = session.execute(
        f"INSERT INTO logs ({names}) VALUES ({marks}) RETURNING id",
        list(row.values()),
    ).fetchone()
    assert found is not None
    return int(found[0])


def test_a_transaction_that_commits_late_is_not_skipped(busy: Busy) -> None:
    writer, late = busy.session(autocommit=True), busy.session()
    log(writer, "first")
    number = log(late, "late")
    log(writer, "third")
    busy.imported()
    assert ids() == {"first", "third"}
    assert open_gaps() == [(number, number)]
    log(writer, "fourth")
    busy.imported()
    late.commit()
    told = busy.imported()
    assert "1 of the rows were committed after rows with higher IDs" in told
    assert ids() == {"first", "late", "third", "fourth"}
    assert open_gaps() == []
    assert "0 new records" in busy.imported()
    check_rollups()


def test_a_whole_transaction_of_rows_comes_late(busy: Busy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "SLICE", 3)
    writer, late = busy.session(autocommit=True), busy.session()
    for number in range(8):
        log(late, f"late-{number}")
        if number % 3 == 0:
            log(writer, f"in-time-{number}")
    busy.imported()
    assert len(ids()) == 3
    late.commit()
    busy.imported()
    assert len(ids()) == 11
    assert open_gaps() == []
    check_rollups()


def test_a_charge_that_comes_late_completes_its_failed_attempt(busy: Busy) -> None:
    writer, late = busy.session(autocommit=True), busy.session()
    log(late, "r", quota=900)
    log(writer, "r", type=5, quota=0, content="overloaded", other=json.dumps({"status_code": 529}))
    busy.imported()
    late.commit()
    busy.imported()
    record = UsageRecord.objects.get()
    assert [attempt["status"] for attempt in record.attempts or []] == ["success", "error"]
    assert record.cost == 900 / QUOTA_PER_USD
    check_rollups()


def test_a_gap_is_watched_as_long_as_a_transaction_of_its_time_runs(
    busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "KEPT", -1)
    writer, late, broken = busy.session(autocommit=True), busy.session(), busy.session()
    log(late, "late")
    log(broken, "never")
    log(writer, "in-time")
    monkeypatch.setattr(gaps, "_are_old", lambda rows, now: False)
    busy.imported()
    broken.rollback()
    log(writer, "another")
    busy.imported()
    assert open_gaps() == [(1, 2)], "the bound is over, but not the transaction"
    late.commit()
    busy.imported()
    assert "late" in ids()
    # PostgreSQL tells of the transactions of all its databases: other tests' beside this one are waited for.
    by = time.monotonic() + 120
    while open_gaps():
        assert time.monotonic() < by, "what was rolled back is not waited for"
        log(writer, f"another {time.monotonic()}")
        busy.imported()


def test_a_gap_without_transactions_is_watched_for_a_day(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.log(**CALL, request_id="first")
    installation.log(**CALL, id=3, request_id="third")
    installation.log(**CALL, id=6, request_id="sixth")
    installation.imported()
    assert open_gaps() == [(2, 2), (4, 5)]
    installation.log(**CALL, id=2, request_id="second")
    installation.imported()
    assert "second" in ids()
    assert open_gaps() == [(4, 5)]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + gaps.KEPT + 60)
    installation.log(**CALL, id=7, request_id="seventh")
    installation.imported()
    assert open_gaps() == []
    check_rollups()


def test_an_odd_row_that_comes_late_is_named_once(installation: Installation) -> None:
    installation.log(**CALL, request_id="first")
    installation.log(**CALL, id=4, request_id="fourth")
    installation.imported()
    installation.log(**{**CALL, "created_at": None}, id=2, request_id="odd")
    installation.log(**CALL, id=3, request_id="third")
    told = installation.imported()
    assert "1 refused" in told
    assert "row 2" in told
    assert ids() == {"first", "third", "fourth"}
    assert "0 refused" in installation.imported()


# --- Tasks -------------------------------------------------------------------------------------------------


@pytest.fixture
def follow(busy: Busy) -> Callable[[], int]:
    """Return what looks at the tasks once, and says how many rows were read."""
    gateway = Gateway.objects.create(name="n")
    followed = Followed()

    def look() -> int:
        rows = 0
        with open_source(busy.dsn) as source:
            for progress in tasks.run(source, gateway, quota_per_usd=QUOTA_PER_USD, followed=followed):
                rows = progress.rows
        return rows

    return look


def _task(session: psycopg.Connection[Any], task_id: str, status: str, **row: Any) -> None:
    row = {
        "created_at": NOW, "submit_time": NOW, "task_id": task_id, "status": status, "platform": "50",
        "quota": 5, "progress": "20%", **row,
    }  # fmt: skip
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    session.execute(
        f"INSERT INTO tasks ({names}) VALUES ({marks})",
        list(row.values()),
    )


def test_tasks_that_come_late_or_move_on_are_read_and_the_others_are_not(
    busy: Busy, follow: Callable[[], int]
) -> None:
    writer, late = busy.session(autocommit=True), busy.session()
    _task(writer, "done", "SUCCESS", fail_reason="https://cdn.example/a.mp4")
    _task(late, "late", "QUEUED")
    _task(writer, "running", "IN_PROGRESS")
    for number in range(3):
        _task(writer, f"failed-{number}", "FAILURE", fail_reason="moderated")
    assert follow() == 5
    assert follow() == 1, "the one that runs"
    late.commit()
    assert follow() == 2
    assert AsyncTask.objects.get(task_id="late").status == TaskStatus.QUEUED
    writer.execute("UPDATE tasks SET progress = '70%' WHERE task_id = 'running'")
    writer.execute(
        "UPDATE tasks SET status = 'SUCCESS', private_data = %s WHERE task_id = 'late'",
        [json.dumps({"key": "sk-not-to-be-kept", "result_url": "https://cdn.example/late.mp4"})],
    )
    assert follow() == 2
    late_task = AsyncTask.objects.get(task_id="late")
    assert late_task.status == TaskStatus.SUCCEEDED
    assert "https://cdn.example/late.mp4" in json.dumps(late_task.result)
    assert AsyncTask.objects.get(task_id="running").progress == 70
    writer.execute("UPDATE tasks SET status = 'FAILURE', fail_reason = 'timeout' WHERE task_id = 'running'")
    assert follow() == 1
    assert AsyncTask.objects.get(task_id="running").failure_message == "timeout"
    assert follow() == 0
    assert "sk-not" not in json.dumps(list(AsyncTask.objects.values()), default=str)
