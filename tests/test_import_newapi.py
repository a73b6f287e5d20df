"""Importing new-api and one-api: every charge once, to the cent, with what else their rows tell."""

from __future__ import annotations

import io
import json
import sqlite3
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from logs.ingest.formats.newapi import fold
from logs.ingest.formats.newapi_other import REFUND
from logs.ingest.formats.newapi_rows import NewApiRow
from logs.models import Cause, ImportPosition, RecordType, Status, UsageRecord
from routescope.newapi import usage
from routescope.newapi.source import SourceError, open_source
from tasks.models import AsyncTask, TaskStatus
from tests.newapi_installation import CALL, FAILED, NOW, Installation, installation
from tests.sums import check_rollups

__all__ = ["installation"]


def only() -> Any:
    return UsageRecord.objects.select_related("user", "token", "model", "group").get()


def test_a_charge_becomes_a_record_with_its_reckoning(installation: Installation) -> None:
    installation.log(**CALL, request_id="20250101xyz")
    installation.imported()
    record = only()
    assert record.request_id == "20250101xyz"
    assert (record.user.name, record.token.name, record.model.name, record.group.name) == (
        "ann",
        "prod",
        "gpt-4o",
        "vip",
    )
    assert record.created_at.timestamp() == NOW
    assert (record.status, record.cause, record.http_status, record.stream) == (
        Status.SUCCESS,
        Cause.NONE,
        200,
        True,
    )
    assert (record.input_tokens, record.output_tokens, record.cached_tokens) == (1000, 100, 400)
    assert (record.duration_ms, record.ttft_ms, record.channel, record.ip) == (3000, 420, "7", "192.0.2.9")
    assert record.cost == Decimal("0.0015")
    prices = {line["kind"]: (line["unit_price"], line["per"]) for line in record.billing["lines"]}
    million = 1_000_000
    assert prices == {"input": ("2.5", million), "output": ("10", million), "cached_input": ("1.25", million)}
    assert record.billing["group_ratio"] == "0.5"
    lines = {line["kind"]: (Decimal(line["amount"]), line["tokens"]) for line in record.billing["lines"]}
    assert lines == {
        "input": (Decimal("0.00075"), 600),
        "cached_input": (Decimal("0.00025"), 400),
        "output": (Decimal("0.0005"), 100),
    }
    assert sum(Decimal(line["amount"]) for line in record.billing["lines"]) == record.cost


@pytest.mark.parametrize("slice_size", [1, 2, 3, 100])
def test_failed_attempts_and_the_charge_are_one_record_wherever_slices_end(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, slice_size: int
) -> None:
    monkeypatch.setattr(usage, "SLICE", slice_size)
    installation.log(**FAILED, request_id="r1")
    installation.log(**CALL, request_id="other")
    installation.log(**FAILED, request_id="r1", created_at=NOW + 1)
    installation.log(**CALL, request_id="r1", created_at=NOW + 4)
    for _ in range(2):
        installation.imported()
        ImportPosition.objects.update(last_id=0)
    assert UsageRecord.objects.count() == 2
    record = UsageRecord.objects.get(request_id="r1")
    assert (record.status, record.cost) == (Status.SUCCESS, Decimal("0.0015"))
    assert record.created_at.timestamp() == NOW + 4
    assert record.attempts is not None
    assert [(a["channel"], a["status"], a["http_status"]) for a in record.attempts] == [
        ("3", "error", 529), ("3", "error", 529), ("7", "success", 200),
    ]  # fmt: skip
    check_rollups()


@pytest.mark.parametrize("slice_size", [1, 100])
def test_a_request_that_failed_everywhere_is_one_error(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, slice_size: int
) -> None:
    monkeypatch.setattr(usage, "SLICE", slice_size)
    installation.log(**FAILED, request_id="r1")
    installation.log(**FAILED, request_id="r1")
    installation.imported()
    record = only()
    assert (record.status, record.http_status, record.error_code) == (Status.ERROR, 529, "overloaded")
    assert record.error_message == "upstream is overloaded"
    assert len(record.attempts) == 2
    check_rollups()


@pytest.mark.parametrize("slice_size", [1, 100])
def test_a_session_billed_in_parts_loses_no_part(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, slice_size: int
) -> None:
    monkeypatch.setattr(usage, "SLICE", slice_size)
    for _ in range(3):
        installation.log(**CALL, request_id="realtime")
    installation.imported()
    ImportPosition.objects.all().delete()
    installation.imported()
    assert UsageRecord.objects.filter(request_id="realtime").count() == 3
    assert UsageRecord.objects.aggregate(sum=Sum("cost"))["sum"] == Decimal("0.0045")


def test_refunds_are_refunds_and_other_rows_are_none(installation: Installation) -> None:
    other = json.dumps({"is_task": True, "task_id": "task_9"})
    installation.log(**{**CALL, "other": other}, request_id="r1")
    installation.log(**{**CALL, "type": REFUND, "quota": 250, "other": other})
    for kind in (1, 3, 4, 7):
        installation.log(type=kind, quota=5_000_000, username="ann")
    told = installation.imported()
    assert "6 rows: 2 new records (1 refunds)" in told
    assert "4 of other types" in told
    charge = UsageRecord.objects.get(type=RecordType.TASK)
    refund = UsageRecord.objects.get(type=RecordType.REFUND)
    assert (charge.task_id, refund.task_id, refund.cost) == ("task_9", "task_9", Decimal("-0.0005"))
    check_rollups()


def test_tasks_are_registered_and_move_on(installation: Installation) -> None:
    database = installation.database
    database.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, username text)")
    database.execute("INSERT INTO users VALUES (5, 'ann')")
    database.execute(
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, created_at bigint, task_id text, platform text,"
        ' user_id int, "group" text, quota int, action text, status text, fail_reason text,'
        " submit_time bigint, start_time bigint, finish_time bigint, progress text, properties text,"
        " data text)"
    )
    properties = json.dumps({"input": "a secret prompt", "origin_model_name": "kling-v2"})
    row = "INSERT INTO tasks VALUES (?, ?, ?, '50', 5, 'vip', 500000, 'generate', ?, ?, ?, 0, ?, ?, ?, '{}')"
    database.execute(
        row, (1, NOW, "task_1", "SUCCESS", "https://cdn.example/v.mp4", NOW, NOW + 9, "100%", properties)
    )
    database.execute(row, (2, NOW, "task_2", "IN_PROGRESS", "", NOW, 0, "30%", properties))
    database.commit()
    assert "2 tasks: 2 new or changed" in installation.imported()
    done, running = AsyncTask.objects.order_by("task_id").select_related("user", "model")
    assert (done.status, running.status, running.progress) == (TaskStatus.SUCCEEDED, TaskStatus.RUNNING, 30)
    assert done.platform == "kling"
    assert (str(done.user), str(done.model), done.cost) == ("ann", "kling-v2", Decimal(1))
    database.execute("UPDATE tasks SET status = 'FAILURE', fail_reason = 'moderated' WHERE id = 2")
    database.commit()
    installation.imported()
    running.refresh_from_db()
    assert (running.status, running.failure_message) == (TaskStatus.FAILED, "moderated")
    assert "2 tasks: 0 new or changed" in installation.imported()
    assert AsyncTask.objects.count() == 2
    assert "secret" not in json.dumps(list(AsyncTask.objects.values()), default=str)


def test_one_api_has_no_groups_and_counts_milliseconds(tmp_path: Path, db: None) -> None:
    path = tmp_path / "one-api.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE logs (id INTEGER PRIMARY KEY, created_at bigint, type int, content text,"
            " username text, token_name text, model_name text, quota int, prompt_tokens int,"
            " completion_tokens int, channel_id int, request_id text, elapsed_time int, is_stream numeric)"
        )
        database.execute(
            "INSERT INTO logs VALUES (1, ?, 2, '', 'root', 't', 'm', 500000, 1, 2, 1, '', 1234, 0)", [NOW]
        )
    call_command("import_newapi", source=str(path), stdout=io.StringIO(), stderr=io.StringIO())
    record = only()
    assert (record.request_id, record.cost, record.duration_ms) == ("log-1", Decimal(1), 1234)
    assert record.group is None


@pytest.mark.usefixtures("standing_clock")
def test_new_rows_wait_until_those_before_them_are_there(installation: Installation) -> None:
    installation.log(**CALL, request_id="old")
    installation.log(**CALL, request_id="new", created_at=int(time.time()))
    installation.log(**CALL, request_id="late", created_at=NOW)
    installation.imported()
    assert [record.request_id for record in UsageRecord.objects.all()] == ["old"]


def test_a_row_that_cannot_be_kept_is_told_and_the_rest_goes_on(installation: Installation) -> None:
    installation.log(**CALL, request_id="ancient", created_at=1)
    installation.log(**CALL, request_id="fine")
    told = installation.imported()
    assert "1 refused" in told
    assert "ancient: created_at" in told
    assert UsageRecord.objects.count() == 1


def test_money_per_quota_is_configurable(installation: Installation) -> None:
    installation.log(**CALL, request_id="r")
    installation.imported(quota_per_unit="1000")
    assert only().cost == Decimal("0.75")


@pytest.mark.parametrize(
    ("other", "quota", "kinds"),
    [
        ({"model_price": 0.04, "group_ratio": 2}, 40_000, {"call": "0.08"}),
        ({"model_ratio": 1, "user_group_ratio": -1, "group_ratio": 1, "completion_ratio": 2}, 1200,
         {"input": "0.002", "output": "0.0004"}),
        ({"model_ratio": 1, "user_group_ratio": 0.5, "group_ratio": 1, "completion_ratio": 2}, 600,
         {"input": "0.001", "output": "0.0002"}),
        ({"model_ratio": 1, "completion_ratio": 2}, 2000,
         {"input": "0.002", "output": "0.0004", "other": "0.0016"}),
        ({}, 5, {"other": "0.00001"}),
    ],
)  # fmt: skip
def test_ratios_become_lines_that_add_up(other: dict[str, Any], quota: int, kinds: dict[str, str]) -> None:
    row = NewApiRow(**{**CALL, "id": 1, "created_at": NOW, "other": json.dumps(other), "quota": quota})
    [call] = fold([row])
    assert call.event.billing is not None
    lines = {line["kind"]: Decimal(line["amount"]) for line in call.event.billing["lines"]}
    assert lines == {kind: Decimal(cost) for kind, cost in kinds.items()}
    assert sum(lines.values()) == call.event.cost


def test_what_stands_in_the_other_column_never_costs_the_charge() -> None:
    for other in ("{", "[]", "null", '{"admin_info": 5}', '{"model_ratio": "x"}', '{"frt": -1000}', ""):
        [call] = fold([NewApiRow(**{**CALL, "id": 1, "created_at": NOW, "other": other})])
        assert call.event.cost == Decimal("0.0015")


def test_a_source_that_cannot_be_read_says_why(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is not a file"):
        call_command("import_newapi", source=str(tmp_path / "missing.db"))
    with pytest.raises(CommandError, match="not postgresql, mysql or sqlite"):
        call_command("import_newapi", source="oracle://x")
    with pytest.raises(SourceError, match="cannot be opened"), open_source("user:secret@tcp(127.0.0.1:1)/db"):
        pass
