"""The native format: bytes to events, without a database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.ingest.formats.native import decode
from logs.models import RecordType, Status
from logs.models.events import Failure, UsageEvent
from routescope.wire.reading import MAX_RECORDS, FormatError

RECORD = {"request_id": "req_1", "created_at": "2026-03-10T12:00:00Z"}


def only(**fields: Any) -> UsageEvent:
    batch = decode(json.dumps({**RECORD, **fields}).encode())
    assert not batch.rejected
    return batch.events[0][1]


def refusal(**fields: Any) -> str:
    batch = decode(json.dumps([RECORD, {**RECORD, **fields}]).encode())
    assert [index for index, _ in batch.events] == [0]
    assert [rejection.index for rejection in batch.rejected] == [1]
    return batch.rejected[0].error


def test_an_array_a_single_object_and_lines_are_told_apart_by_looking() -> None:
    one, two = json.dumps(RECORD), json.dumps({**RECORD, "request_id": "req_2"})
    for body in (f"[{one},{two}]", f"{one}\n{two}", f"{one}\r\n\n{two}\n", f"\ufeff [{one},\n{two}] "):
        assert [event.request_id for _, event in decode(body.encode()).events] == ["req_1", "req_2"]
    assert len(decode(json.dumps(RECORD, indent=2).encode()).events) == 1


@pytest.mark.parametrize("written", ["10", "10.0", "10.000"])
def test_a_whole_number_is_one_however_it_is_written(written: str) -> None:
    sent = json.dumps({**RECORD, "model": "gpt-4.0", "metadata": {"note": "10.0"}, "cost": "0.10"})
    batch = decode((sent[:-1] + f', "input_tokens": {written}}}').encode())
    [(_, event)] = batch.events
    assert (event.input_tokens, event.model, event.metadata) == (10, "gpt-4.0", {"note": "10.0"})


@pytest.mark.parametrize("written", ["10.5", "1.0.0", "-10.0"])
def test_what_is_no_count_is_none_with_decimals_either(written: str) -> None:
    sent = json.dumps([RECORD, RECORD])[:-2] + f', "input_tokens": {written}}}]'
    batch = decode(sent.encode())
    assert len(batch.events) == 1 and len(batch.rejected) == 1


def test_a_time_may_end_with_a_small_z() -> None:
    assert only(created_at="2026-03-10t12:00:00z").created_at == datetime(2026, 3, 10, 12, tzinfo=UTC)


def test_every_field_reaches_its_place() -> None:
    event = only(
        created_at=1773144000.123456,
        type="task",
        user="alice@example.com",
        token=" prod ",
        group="vip",
        model="gpt-5",
        status="error",
        stream=True,
        duration_ms=1234.6,
        ttft_ms=200,
        http_status=429,
        endpoint="/v1/chat/completions",
        ip="192.0.2.1",
        user_agent="openai-python/2",
        input_tokens=100,
        output_tokens=50,
        cached_tokens=40,
        cache_write_tokens=10,
        reasoning_tokens=30,
        audio_input_tokens=1,
        audio_output_tokens=2,
        image_count=3,
        video_seconds=8,
        cost="0.000123456789",
        billing={"group_ratio": "1"},
        error={"type": "rate_limit_error", "code": 429, "message": "Slow down", "param": None},
        parameters={"temperature": 0.5},
        upstream_request_id="up_1",
        provider="openai",
        channel=7,
        attempts=[{"channel": "a", "status": "error"}],
        input=[{"role": "user", "content": "hi"}],
        output="hello",
        task_id="task_1",
        metadata={"team": "x"},
    )
    assert event.created_at == datetime(2026, 3, 10, 12, 0, 0, 123456, tzinfo=UTC)
    assert (event.type, event.status) == (RecordType.TASK, Status.ERROR)
    assert (event.token, event.channel, event.duration_ms) == ("prod", "7", 1235)
    assert event.cost == Decimal("0.000123456789")
    assert event.error == Failure(type="rate_limit_error", code="429", message="Slow down")
    assert event.quantities == {"video_seconds": 8}
    assert event.parameters == {"temperature": 0.5}
    assert event.attempts == [{"channel": "a", "status": "error"}]
    assert bytes(event.input or b"") == b'[{"role": "user", "content": "hi"}]'


def test_a_cost_keeps_every_digit_whether_number_or_text() -> None:
    body = b'{"request_id":"r","created_at":1773144000,"cost":0.00013999999999999999}'
    assert decode(body).events[0][1].cost == Decimal("0.000140000000")
    assert only(cost="12.000000000001").cost == Decimal("12.000000000001")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, Status.SUCCESS),
        ({"http_status": 200}, Status.SUCCESS),
        ({"http_status": 500}, Status.ERROR),
        ({"error": "upstream gone"}, Status.ERROR),
        ({"error": ""}, Status.SUCCESS),
        ({"error": {}}, Status.SUCCESS),
        ({"status": "success", "http_status": 499}, Status.SUCCESS),
    ],
)
def test_a_status_that_was_not_sent_follows_from_the_error(fields: dict[str, Any], status: Status) -> None:
    assert only(**fields).status == status


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"request_id": ""}, "request_id"),
        ({"request_id": " \n"}, "request_id: empty"),
        ({"created_at": "yesterday"}, "not an RFC 3339 time"),
        ({"created_at": "2026-03-10T12:00:00"}, "no time zone"),
        ({"created_at": 1773144000000}, "looks like milliseconds"),
        ({"created_at": "1969-01-01T00:00:00Z"}, "before 1970"),
        ({"created_at": None}, "created_at"),
        ({"status": "ok"}, "not one of success, error"),
        ({"type": "call"}, "not one of request, task, refund, adjustment"),
        ({"input_tokens": -1}, "input_tokens"),
        ({"input_tokens": "12"}, "input_tokens: expected `int"),
        ({"output_tokens": 2**31}, "output_tokens"),
        ({"cost": "NaN"}, "not an amount"),
        ({"cost": "1e30"}, "not an amount"),
        ({"type": "refund", "cost": 1}, "negative cost"),
        ({"parameters": {"x": "y" * 70_000}}, "bytes of JSON"),
        ({"model": "m" * 201}, "model"),
    ],
)
def test_a_bad_field_is_named_and_costs_no_other_record(fields: dict[str, Any], words: str) -> None:
    assert words in refusal(**fields)


def test_a_broken_line_is_named_by_its_index_and_the_others_are_kept() -> None:
    lines = [json.dumps({**RECORD, "request_id": f"req_{number}"}) for number in range(5)]
    lines[3] = lines[3][:-7]
    batch = decode("\n".join(lines).encode())
    assert [index for index, _ in batch.events] == [0, 1, 2, 4]
    assert [(rejection.index, rejection.request_id) for rejection in batch.rejected] == [(3, "req_3")]


@pytest.mark.parametrize(
    "body", [b"", b"  \n", b"hello", b"12", b'"x"', b"{", b"[1,", b"{]\n{]", b"\xff\xfe", b"[" * 100_000]
)
def test_a_body_in_which_nothing_can_be_decoded_is_refused_whole(body: bytes) -> None:
    with pytest.raises(FormatError) as error:
        decode(body)
    assert error.value.status == 400


def test_too_many_records_are_refused_with_413() -> None:
    with pytest.raises(FormatError) as error:
        decode(b"[" + b",".join([b"{}"] * (MAX_RECORDS + 1)) + b"]")
    assert error.value.status == 413


def test_what_postgresql_cannot_store_is_replaced_not_lost() -> None:
    event = decode(b'{"request_id":"r","created_at":1773144000,"error":"a\\u0000b"}').events[0][1]
    assert event.error is not None
    assert event.error.message == "a\ufffdb"


def test_a_long_error_message_is_cut_and_says_so() -> None:
    event = only(error={"message": "x" * 9_000})
    assert event.error is not None
    assert (event.error.message or "").endswith("[1,000 characters cut]")


def test_a_record_with_nan_in_an_array_is_named_and_the_others_are_kept() -> None:
    records: list[dict[str, Any]] = [{**RECORD, "request_id": f"req_{number}"} for number in range(3)]
    records[1]["parameters"] = {"x": float("nan")}
    batch = decode(json.dumps(records, indent=1).encode())
    assert [index for index, _ in batch.events] == [0, 2]
    assert [rejection.index for rejection in batch.rejected] == [1]


@pytest.mark.parametrize("end", ["", ",", "]]", ', {"request_id"'])
def test_an_array_with_nan_that_was_cut_off_is_refused_whole(end: str) -> None:
    with pytest.raises(FormatError):
        decode(f'[{{"request_id": NaN}}, {json.dumps(RECORD)}{end}'.encode())


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    try:
        decode(body)
    except FormatError as error:
        assert error.status in (400, 413)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=12), children, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from([field for field in UsageEvent.__struct_fields__ if field != "created_at"])


@given(st.dictionaries(FIELDS, JSON, max_size=6))
def test_any_json_in_any_field_is_taken_or_named(fields: dict[str, Any]) -> None:
    batch = decode(json.dumps([RECORD, {**RECORD, **fields}]).encode())
    assert len(batch.events) + len(batch.rejected) == 2
