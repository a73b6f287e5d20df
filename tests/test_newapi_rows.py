"""What rows of new-api, one-hub and one-api are: calls, failed ones, adjustments, or nothing of the kind."""

from __future__ import annotations

import io
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from logs.ingest.formats.newapi_other import REFUND
from logs.models import Cause, ImportPosition, RecordType, Status, UsageRecord
from routescope.newapi import usage
from tests.newapi_installation import CALL, FAILED, NOW, Installation, installation
from tests.sums import check_rollups

__all__ = ["installation"]

pytestmark = pytest.mark.django_db


def only() -> Any:
    return UsageRecord.objects.select_related("user", "token", "model", "group").get()


def ended(**status: Any) -> dict[str, Any]:
    """Return a charge whose stream ended so."""
    return {**CALL, "other": json.dumps({"model_ratio": 1.25, "group_ratio": 1, "stream_status": status})}


# --- Streams that broke off --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "cause", "code", "message"),
    [
        ({"end_reason": "timeout"}, Cause.TIMEOUT, "timeout", None),
        ({"end_reason": "timeout", "end_error": "stream idle for 300 s"}, Cause.TIMEOUT, "timeout",
         "stream idle for 300 s"),
        ({"end_reason": "client_gone"}, Cause.CLIENT_CLOSED, "client_gone", None),
        ({"end_reason": "client_gone", "end_error": "context canceled"}, Cause.CLIENT_CLOSED, "client_gone",
         "context canceled"),
        ({"end_reason": "ping_fail", "end_error": "ping send timeout"}, Cause.CLIENT_CLOSED, "ping_fail",
         "ping send timeout"),
        ({"end_reason": "scanner_error", "end_error": "read tcp: connection reset by peer"}, Cause.GATEWAY,
         "scanner_error", "read tcp: connection reset by peer"),
        ({"end_reason": "scanner_error", "end_error": "unexpected EOF"}, Cause.MODEL_RESPONSE,
         "scanner_error", "unexpected EOF"),
        ({"end_reason": "scanner_error", "end_error": "bufio.Scanner: token too long"}, Cause.GATEWAY,
         "scanner_error", "bufio.Scanner: token too long"),
        ({"end_reason": "handler_stop", "end_error": "content flagged by our safety system"},
         Cause.CONTENT_POLICY, "handler_stop", "content flagged by our safety system"),
        ({"end_reason": "upstream_failed"}, Cause.MODEL_RESPONSE, "upstream_failed", None),
        ({"end_reason": "panic", "end_error": "handler panic: nil map"}, Cause.GATEWAY, "panic",
         "handler panic: nil map"),
        # It ended as it should, but for what was lost on its way.
        ({"end_reason": "done", "error_count": 2, "errors": ["overloaded", "overloaded again"]},
         Cause.MODEL_RESPONSE, None, "overloaded; overloaded again"),
    ],
)  # fmt: skip
def test_a_stream_that_broke_off_failed_and_was_charged(
    installation: Installation, status: dict[str, Any], cause: Cause, code: str | None, message: str | None
) -> None:
    installation.log(**ended(status="error", **status), request_id="r")
    installation.imported()
    record = only()
    assert (record.status, record.cause) == (Status.ERROR, cause)
    assert (record.error_code, record.error_message) == (code, message)
    assert (record.cost, record.input_tokens, record.http_status) == (Decimal("0.0015"), 1000, 200)
    check_rollups()


@pytest.mark.parametrize(
    "status", [{"status": "ok", "end_reason": "done"}, {"status": "ok", "end_reason": "eof"}, {}, None]
)
def test_a_stream_that_ended_well_is_a_success(installation: Installation, status: Any) -> None:
    installation.log(**{**CALL, "other": json.dumps({"stream_status": status})}, request_id="r")
    installation.imported()
    assert only().status == Status.SUCCESS


@pytest.mark.parametrize("slice_size", [1, 2, 100])
@pytest.mark.parametrize("charge_first", [True, False])
def test_a_broken_stream_after_failed_attempts_is_one_record_whichever_comes_first(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, slice_size: int, charge_first: bool
) -> None:
    monkeypatch.setattr(usage, "SLICE", slice_size)
    rows = [{**FAILED}, ended(status="error", end_reason="timeout", end_error="idle")]
    for row in reversed(rows) if charge_first else rows:
        installation.log(**row, request_id="r")
    for _ in range(2):
        installation.imported()
        ImportPosition.objects.update(last_id=0)
    record = only()
    assert (record.status, record.cause, record.cost) == (Status.ERROR, Cause.TIMEOUT, Decimal("0.0015"))
    assert [attempt["http_status"] for attempt in record.attempts or []] == (
        [200, 529] if charge_first else [529, 200]
    )
    check_rollups()


def test_a_broken_part_of_a_session_is_a_part_of_its_own(installation: Installation) -> None:
    for _ in range(2):
        installation.log(**ended(status="error", end_reason="timeout"), request_id="session")
    installation.imported()
    ImportPosition.objects.all().delete()
    installation.imported()
    assert sum(record.cost or 0 for record in UsageRecord.objects.all()) == Decimal("0.003")
    assert UsageRecord.objects.count() == 2


# --- Adjustments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        {"task_id": "t", "pre_consumed_quota": 80_000, "actual_quota": 200_000, "model_ratio": 7.5},
        {"task_id": "t", "pre_consumed": 80_000, "actual_quota": 200_000, "quota_delta": 120_000,
         "total_tokens": 9},
        {"task_id": "t", "is_task": True, "actual_quota": 200_000},
    ],
)  # fmt: skip
@pytest.mark.parametrize("request_id", ["", "shared"])
def test_a_recalculation_is_an_adjustment_of_its_task(
    installation: Installation, other: dict[str, Any], request_id: str
) -> None:
    submitted = json.dumps({"is_task": True, "task_id": "t", "model_price": 0.16})
    recalculated = {"content": "recount", "other": json.dumps(other), "use_time": 0}
    for _ in range(2):
        if not installation.database.execute("SELECT 1 FROM logs").fetchone():
            installation.log(**{**CALL, "quota": 80_000, "other": submitted}, request_id="shared")
            installation.log(
                **{**CALL, "quota": 120_000, "prompt_tokens": 0, "completion_tokens": 0, **recalculated},
                request_id=request_id,
            )
        installation.imported()
        ImportPosition.objects.all().delete()
    task = UsageRecord.objects.get(type=RecordType.TASK)
    adjustment = UsageRecord.objects.get(type=RecordType.ADJUSTMENT)
    assert (task.task_id, adjustment.task_id) == ("t", "t")
    assert (task.cost, adjustment.cost) == (Decimal("0.16"), Decimal("0.24"))
    assert (adjustment.http_status, adjustment.duration_ms, adjustment.output_tokens) == (None, None, 0)
    assert adjustment.metadata is not None
    assert adjustment.metadata["note"] == "recount"
    assert (adjustment.billing or {})["actual_quota"] == 200_000
    assert UsageRecord.objects.count() == 2
    check_rollups()


def test_what_a_recalculation_gives_back_is_a_refund_as_new_api_calls_it(installation: Installation) -> None:
    other = json.dumps({"task_id": "t", "pre_consumed_quota": 300, "actual_quota": 50, "reason": "shorter"})
    installation.log(**{**CALL, "type": REFUND, "quota": 250, "content": "", "other": other})
    installation.imported()
    refund = only()
    assert (refund.type, refund.cost, refund.task_id) == (RecordType.REFUND, Decimal("-0.0005"), "t")
    assert refund.metadata["note"] == "shorter"


# --- Other dialects ----------------------------------------------------------------------------------------


class Kin:
    """A ``logs`` table of other columns than new-api's."""

    def __init__(self, path: Path, columns: str) -> None:
        self.path = path
        self.database = sqlite3.connect(path)
        self.database.execute(f"CREATE TABLE logs (id INTEGER PRIMARY KEY, {columns})")

    def log(self, **row: Any) -> None:
        row = {
            "created_at": NOW, "type": 2, "username": "ann", "token_name": "prod", "model_name": "m", **row
        }  # fmt: skip
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        self.database.execute(f"INSERT INTO logs ({names}) VALUES ({marks})", list(row.values()))
        self.database.commit()

    def imported(self) -> str:
        told = io.StringIO()
        call_command("import_newapi", source=str(self.path), stdout=told, stderr=io.StringIO())
        return told.getvalue()


_COMMON = (
    "user_id int, created_at bigint, type int, content text, username text, token_name text, model_name text,"
    " quota int, prompt_tokens int, completion_tokens int, channel_id int, is_stream numeric"
)


@pytest.fixture
def one_hub(tmp_path: Path) -> Iterator[Kin]:
    made = Kin(tmp_path / "hub.db", f"{_COMMON}, request_time int, source_ip text, metadata text")
    with closing(made.database):
        yield made


@pytest.fixture
def laisky(tmp_path: Path) -> Iterator[Kin]:
    made = Kin(
        tmp_path / "laisky.db",
        f"{_COMMON}, request_id text, trace_id text, updated_at bigint, elapsed_time int,"
        " cached_prompt_tokens int, origin_model_name text, metadata text",
    )
    with closing(made.database):
        yield made


def test_one_hub_tells_its_group_ratios_and_tokens_in_metadata(one_hub: Kin) -> None:
    told = {
        "group_name": "vip", "price_type": "tokens", "group_ratio": 0.5, "input_ratio": 1.25,
        "output_ratio": 5, "first_response": 321, "cached_tokens": 400, "cached_tokens_ratio": 0.5,
        "reasoning_tokens": 60, "reasoning_tokens_ratio": 1,
        "extra_billing": {"web_search_preview": {"type": "", "call_count": 2, "price": 0.01}},
    }  # fmt: skip
    # ((1000 - 200) * 1.25 + 100 * 5) * 0.5 + 2 * 0.01 * 500,000 * 0.5
    one_hub.log(
        quota=750 + 5000, prompt_tokens=1000, completion_tokens=100, request_time=4321,
        source_ip="192.0.2.7", metadata=json.dumps(told),
    )  # fmt: skip
    one_hub.imported()
    record = only()
    assert (record.duration_ms, record.ttft_ms, record.ip) == (4321, 321, "192.0.2.7")
    assert record.group.name == "vip"
    assert (record.input_tokens, record.output_tokens) == (1000, 100)
    assert (record.cached_tokens, record.reasoning_tokens) == (400, 60)
    assert record.quantities == {"web_search_count": 2}
    assert record.billing["source"] == "one-hub"
    lines = {line["kind"]: (Decimal(line["amount"]), line["unit_price"]) for line in record.billing["lines"]}
    assert lines == {
        "input": (Decimal("0.00075"), "2.5"), "cached_input": (Decimal("0.00025"), "1.25"),
        "output": (Decimal("0.0002"), "10"), "reasoning": (Decimal("0.0003"), "10"),
        "web_search": (Decimal("0.01"), "0.01"),
    }  # fmt: skip
    assert sum(amount for amount, _ in lines.values()) == record.cost


def test_one_hub_s_backup_group_and_price_by_the_call(one_hub: Kin) -> None:
    told = {
        "group_name": "default", "backup_group_name": "spare", "is_backup_group": True,
        "price_type": "times", "group_ratio": 2, "input_ratio": 20, "output_ratio": 0,
    }  # fmt: skip
    one_hub.log(quota=40_000, prompt_tokens=10, completion_tokens=1, metadata=json.dumps(told), type=2)
    one_hub.log(type=5, quota=9)
    assert "1 of other types" in one_hub.imported()
    record = only()
    assert (record.group.name, record.cost, record.duration_ms) == ("spare", Decimal("0.08"), None)
    assert [(line["kind"], line["unit_price"]) for line in record.billing["lines"]] == [("call", "0.04")]


def test_laisky_tells_cached_and_written_tokens_and_its_tools_cost(laisky: Kin) -> None:
    words = "model rate 1.25, group rate 0.50, completion rate 4.00, tools cost 5000, cached_prompt 0"
    laisky.log(
        quota=875 + 5000, prompt_tokens=1000, completion_tokens=100, elapsed_time=2345, request_id="a",
        cached_prompt_tokens=0, content=words, metadata=json.dumps({"upstream_api_format": "openai"}),
    )  # fmt: skip
    laisky.log(
        quota=900, prompt_tokens=30, completion_tokens=10, elapsed_time=0, request_id="b",
        cached_prompt_tokens=600, model_name="claude-sonnet-4-5", origin_model_name="smart",
        metadata=json.dumps({"cache_write_tokens": {"ephemeral_5m": 100, "ephemeral_1h": 50}}),
    )  # fmt: skip
    laisky.imported()
    first = UsageRecord.objects.get(request_id="a")
    assert (first.duration_ms, first.http_status) == (2345, 200)
    lines = {line["kind"]: Decimal(line["amount"]) for line in (first.billing or {})["lines"]}
    assert lines == {"input": Decimal("0.00125"), "output": Decimal("0.0005"), "tool": Decimal("0.01")}
    second = UsageRecord.objects.get(request_id="b")
    assert (second.input_tokens, second.cached_tokens, second.cache_write_tokens) == (780, 600, 150)
    assert (second.quantities, second.duration_ms) == ({"cache_write_1h_tokens": 50}, None)
    assert (second.metadata or {})["requested_model"] == "smart"


def test_types_mean_other_things_in_one_api(laisky: Kin) -> None:
    laisky.log(type=5, quota=0, content="channel test", elapsed_time=10)
    laisky.log(quota=100, prompt_tokens=1, completion_tokens=1, request_id="c", elapsed_time=5)
    # The tool of a model's call, whose charge holds it already; and one that was called by itself.
    laisky.log(type=7, quota=50, model_name="web_search", origin_model_name="m", request_id="c")
    laisky.log(type=7, quota=500, model_name="maps.route", content="MCP tool call", request_id="d")
    laisky.log(type=7, quota=0, model_name="maps.free", request_id="e")
    assert "3 of other types" in laisky.imported()
    call, tool = UsageRecord.objects.order_by("request_id")
    assert (call.type, call.cost) == (RecordType.REQUEST, Decimal("0.0002"))
    assert (tool.type, tool.cost, tool.http_status) == (RecordType.ADJUSTMENT, Decimal("0.001"), None)
    check_rollups()


def test_an_estimate_waits_until_it_is_a_charge(laisky: Kin) -> None:
    laisky.log(type=6, quota=9000, request_id="slow", metadata='{"provisional": true}')
    laisky.log(quota=100, prompt_tokens=1, completion_tokens=1, request_id="fast")
    laisky.imported()
    laisky.imported()
    assert only().request_id == "fast"
    laisky.database.execute("UPDATE logs SET type = 2, quota = 700, metadata = NULL WHERE id = 1")
    laisky.database.commit()
    laisky.imported()
    laisky.imported()
    assert UsageRecord.objects.get(request_id="slow").cost == Decimal("0.0014")
    assert ImportPosition.objects.get().gaps == []
    check_rollups()


def test_one_api_s_words_tell_its_ratios(tmp_path: Path) -> None:
    kin = Kin(tmp_path / "one-api.db", f"{_COMMON}, request_id text, elapsed_time int")
    with closing(kin.database):
        kin.log(
            quota=1400, prompt_tokens=1000, completion_tokens=100, content="倍率：0.50 × 2.00 × 4.00",
            elapsed_time=12,
        )  # fmt: skip
        kin.log(quota=1401, prompt_tokens=500, completion_tokens=1, content="倍率：0.01 × 1.00 × 1.00")
        kin.imported()
    first, second = UsageRecord.objects.order_by("request_id")
    lines = {line["kind"]: line["unit_price"] for line in (first.billing or {})["lines"]}
    assert lines == {"input": "1", "output": "4"}
    assert [line["kind"] for line in (second.billing or {})["lines"]] == ["other"], "rounded too much"


# --- Durations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use_time", "duration"),
    [(None, None), (0, None), (-3, None), (3, 3000), (1.25, 1250), (0.004, 4), (10**12, 2**31 - 1)],
)
def test_a_duration_that_nobody_measured_is_unknown(
    installation: Installation, use_time: float | None, duration: int | None
) -> None:
    installation.log(**{**CALL, "use_time": use_time}, request_id="r")
    installation.imported()
    assert only().duration_ms == duration


def test_a_clock_that_runs_ahead_holds_nobody_up(installation: Installation) -> None:
    installation.log(**{**CALL, "created_at": int(time.time()) + 1800}, request_id="ahead")
    installation.log(**CALL, request_id="behind")
    installation.imported()
    assert set(UsageRecord.objects.values_list("request_id", flat=True)) == {"ahead", "behind"}
