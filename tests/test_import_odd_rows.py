"""A bad row of new-api is refused and named; the rest arrive, and the position goes on."""

from __future__ import annotations

import io
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from django.core.management import call_command

from logs.models import ImportPosition, UsageRecord
from tasks.models import AsyncTask
from tests.sums import check_rollups

pytestmark = pytest.mark.django_db

NOW = int(time.time()) - 100
_COLUMNS = (
    "id integer primary key, user_id int, created_at bigint, type int, content text, username text,"
    " token_name text, model_name text, quota int, prompt_tokens int, completion_tokens int, use_time int,"
    ' is_stream numeric, channel_id int, token_id int, "group" text, ip text, request_id text, other text'
)
_TASKS = (
    "id integer primary key, created_at bigint, task_id text, platform text, user_id int, quota int,"
    " action text, status text, fail_reason text, submit_time bigint, start_time bigint, finish_time bigint,"
    " progress text, properties text, data text"
)
ODD: dict[str, dict[str, Any]] = {
    "a time in microseconds": {"created_at": NOW * 10**6},
    "a time in milliseconds": {"created_at": NOW * 1000},
    "no time": {"created_at": None},
    "a time before all": {"created_at": -5},
    "an overflowed quota": {"quota": 2**62},
    "a quota that is text": {"quota": "many"},
    "tokens that are text": {"prompt_tokens": "ten"},
    "a type that is text": {"type": "consume"},
    "a fraction of a token": {"prompt_tokens": 1.5},
    "infinite": {"prompt_tokens": float("inf")},
}
KEPT: dict[str, dict[str, Any]] = {
    "not UTF-8": {"content": b"\xff\xfe"},
    "a name that is not UTF-8": {"username": b"an\xffn"},
    "NUL": {"token_name": "a\x00b", "request_id": "odd\x00"},
    "an ID of 400": {"request_id": "x" * 400},
    "a fraction of a second": {"use_time": 1.25},
    "a time with a fraction": {"created_at": NOW + 0.5},
    "a time that is text": {"created_at": str(NOW)},
    "an endless duration": {"use_time": float("inf")},
    "an odd stream": {"other": '{"stream_status": "error", "tool_surcharges": {"a": 1}}'},
    "odd tools": {"other": '{"tool_surcharges": [{"name": 5, "count": "x"}, null]}'},
    "an odd tier": {"other": '{"billing_mode": "tiered_expr", "expr_b64": "dGllcigi", "matched_tier": 5}'},
    "a deep other": {"other": '{"a":' * 5_000},
    "an odd ratio": {"other": '{"model_ratio": 1e400, "group_ratio": "NaN"}'},
    "an odd time to first token": {"other": '{"frt": 1e400}'},
    "half a character": {"other": '{"error_code": "\\ud83d"}'},
    "a control character": {"request_id": "a\r\nb", "model_name": "m\x01"},
    "no names": {"username": None, "token_name": None, "model_name": None, "group": None},
    "a negative quota": {"quota": -500},
}


class Source:
    """A SQLite file as new-api writes it, to which rows are added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = sqlite3.connect(path)
        self._connection.execute(f"create table logs ({_COLUMNS})")
        self._connection.execute("create table users (id integer primary key, username text)")
        self._connection.execute("insert into users values (1, 'ann'), (2, x'fffe'), (3, null)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def log(self, **values: Any) -> None:
        row: dict[str, Any] = {
            "user_id": 1, "created_at": NOW, "type": 2, "content": "", "username": "ann",
            "token_name": "prod", "model_name": "gpt-5", "quota": 500, "prompt_tokens": 10,
            "completion_tokens": 5, "use_time": 1, "is_stream": 0,
            "channel_id": 1, "token_id": 1, "group": "default", "ip": "",
            "other": "{}", **values,
        }  # fmt: skip
        self._insert("logs", row)

    def task(self, **values: Any) -> None:
        self._connection.execute(f"create table if not exists tasks ({_TASKS})")
        row = {
            "created_at": NOW, "platform": "50", "user_id": 1, "quota": 500, "action": "generate",
            "status": "SUCCESS",
            "submit_time": NOW, "start_time": NOW, "finish_time": NOW, "progress": "100%", "properties": "{}",
            "data": "{}", **values,
        }  # fmt: skip
        self._insert("tasks", row)

    def imported(self) -> str:
        told = io.StringIO()
        source = f"sqlite:///{self.path}"
        call_command("import_newapi", source=source, gateway="n", stdout=told, stderr=io.StringIO())
        return told.getvalue()

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        self._connection.execute(f"insert into {table} ({names}) values ({marks})", list(row.values()))
        self._connection.commit()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    with Source(tmp_path / "one-api.db") as made:
        yield made


def _ids() -> set[str]:
    return set(UsageRecord.objects.values_list("request_id", flat=True))


@pytest.mark.parametrize("row", ODD.values(), ids=ODD)
def test_a_row_that_cannot_be_read_is_named_and_the_others_arrive(
    source: Source, row: dict[str, Any]
) -> None:
    source.log(request_id="good-1")
    source.log(**{"request_id": "the-odd-one", **row})
    source.log(request_id="good-3")
    told = source.imported()
    assert _ids() == {"good-1", "good-3"}
    assert "1 refused" in told
    assert "row 2" in told
    assert ImportPosition.objects.get().last_id == 3
    source.log(request_id="good-4")
    source.imported()
    assert "good-4" in _ids(), "the next run goes on"
    check_rollups()


@pytest.mark.parametrize("row", KEPT.values(), ids=KEPT)
def test_what_can_be_kept_of_an_odd_row_is_kept(source: Source, row: dict[str, Any]) -> None:
    source.log(request_id="good-1")
    source.log(**{"request_id": "odd", **row})
    source.log(request_id="good-3")
    told = source.imported()
    assert "0 refused" in told, told
    assert UsageRecord.objects.count() == 3
    with Source(source.path.with_name("again.db")) as again:
        for number in range(3):
            again.log(
                **({"request_id": "odd", **row} if number == 1 else {"request_id": f"good-{number + 1}"})
            )
        assert "0 new records" in again.imported(), "the same rows are the same records"
    check_rollups()


def test_a_slice_of_nothing_but_bad_rows_is_passed_over(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routescope.newapi.usage.SLICE", 3)
    for number in range(7):
        source.log(request_id=f"odd-{number}", created_at=None)
    source.log(request_id="good")
    assert "7 refused" in source.imported()
    assert _ids() == {"good"}


def test_long_ids_that_begin_alike_are_two_records(source: Source) -> None:
    for end in ("a", "b"):
        source.log(request_id="resp_" + "x" * 400 + end)
    source.imported()
    assert UsageRecord.objects.count() == 2


def test_failed_attempts_before_a_charge_that_is_bad_are_kept(source: Source) -> None:
    source.log(request_id="r", type=5, content="first")
    source.log(request_id="r", type=5, content="second", created_at=NOW * 10**6)
    source.log(request_id="r", quota=2**62)
    told = source.imported()
    assert "row 3" in told
    assert UsageRecord.objects.get().request_id == "r"


@pytest.mark.parametrize(
    "row",
    [
        {"submit_time": NOW * 10**6, "task_id": "odd"},
        {"quota": 2**62, "task_id": "odd"},
        {"quota": "many", "task_id": "odd"},
        {"submit_time": "soon", "task_id": "odd"},
        {"task_id": "odd", "submit_time": -5},
    ],
)
def test_a_bad_task_is_named_and_the_others_arrive(source: Source, row: dict[str, Any]) -> None:
    source.task(task_id="good-1")
    source.task(**row)
    source.task(task_id="good-3")
    told = source.imported()
    assert set(AsyncTask.objects.values_list("task_id", flat=True)) == {"good-1", "good-3"}
    assert "1 refused" in told, told


@pytest.mark.parametrize(
    "row",
    [
        {"data": "[" * 5_000, "task_id": "odd"},
        {"fail_reason": b"\xff\xfe", "status": "FAILURE", "task_id": "odd"},
        {"properties": '{"origin_model_name": "m\\u0000"}', "task_id": "odd"},
        {"user_id": 2, "task_id": "odd"},
        {"user_id": 3, "task_id": "odd"},
        {"progress": 30, "task_id": "odd"},
        {"progress": "soon", "task_id": "odd"},
    ],
)
def test_what_can_be_kept_of_an_odd_task_is_kept(source: Source, row: dict[str, Any]) -> None:
    source.task(task_id="good-1")
    source.task(**row)
    source.task(task_id="good-3")
    source.imported()
    assert set(AsyncTask.objects.values_list("task_id", flat=True)) == {"good-1", "odd", "good-3"}
