"""LiteLLM's callback: what its clients sent is stored, and nothing is lost or counted twice."""

from __future__ import annotations

import copy
import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from logs.ingest.formats import litellm
from logs.models import Cause, RecordType, Status, UsageHour, UsageRecord
from logs.models.events import UsageEvent
from routescope.wire.reading import FormatError
from tests import captures
from tests.pace import at_rest
from tests.sending import Sender, sender

__all__ = ["sender"]

PATH = "/api/v1/ingest/litellm"
CALLS: dict[str, dict[str, Any]] = {
    # requester_metadata.scenario: what the client knew of its call.
    "chat": {
        "user": "maria.keller@example.com",
        "token": "billing-batch",
        "group": "Finance Ops",
        "model": "gpt-4o-mini",
        "status": Status.SUCCESS,
        "http_status": 200,
        "stream": False,
        "input_tokens": 15,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "ip": "10.20.0.14",
        "error": None,
    },
    "chat_system": {
        "status": Status.SUCCESS,
        "http_status": 200,
        "stream": False,
        "error": None,
        "model": "gpt-4.1-mini",
    },
    "stream": {
        "model": "gpt-4o",
        "status": Status.SUCCESS,
        "http_status": 200,
        "stream": True,
        "input_tokens": 16,
        "cached_tokens": 0,
        "ip": "10.20.4.7",
        "error": None,
    },
    "err_401": {
        "user": "svc-ci",
        "token": "ci-review",
        "group": "Plateforme & Outils",
        "model": "gpt-4o",
        "status": Status.ERROR,
        "http_status": 401,
        "stream": False,
        "cost": Decimal(0),
        "input_tokens": 0,
        "output_tokens": 0,
        "ip": "2001:db8::15",
        "error": ("AuthenticationError", "Incorrect API key provided"),
        "cause": Cause.PERMISSION,
    },
    "err_429_rate": {
        "user": "ana.sousa@example.com",
        "token": "mobile-app-prod",
        "group": "Mobile",
        "model": "gpt-4o",
        "status": Status.ERROR,
        "http_status": 429,
        "stream": False,
        "cost": Decimal(0),
        "input_tokens": 0,
        "ip": "203.0.113.77",
        "error": ("RateLimitError", "Rate limit reached for gpt-4o"),
        "cause": Cause.RATE_LIMIT,
    },
}


def payload(**changes: Any) -> dict[str, Any]:
    """Return the least that LiteLLM sends of a call, a minute ago."""
    start = time.time() - 60
    return {
        "id": "chatcmpl-1",
        "litellm_call_id": "call-1",
        "status": "success",
        "startTime": start,
        "endTime": start + 1.5,
        "completionStartTime": start + 0.4,
        "model": "openai/gpt-4o",
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "response_cost": 0.001,
        "metadata": {"user_api_key_alias": "k", "user_api_key_user_id": "u"},
        **changes,
    }


def decode_one(record: dict[str, Any]) -> UsageEvent:
    [(_, event)] = litellm.decode(json.dumps(record).encode()).events
    return event


@captures.needed
@pytest.mark.parametrize("name", captures.names("litellm"))
def test_every_capture_is_stored_as_its_client_knew_it(sender: Sender, name: str) -> None:
    capture = captures.load(name)
    answer = sender.post(PATH, capture.body)
    assert answer.status_code == 200
    sent = [json.loads(line) for line in _records(capture.body)]
    assert answer.json() == {"accepted": len(sent), "duplicates": 0, "rejected": []}
    for source in sent:
        record = sender.record(source["id"])
        expected = CALLS[source["metadata"]["requester_metadata"]["scenario"]]
        names = {
            "user": record.user.email or record.user.name,
            "token": record.token and record.token.name,
            "group": record.group and record.group.name,
            "model": record.model and record.model.name,
        }
        for field, value in expected.items():
            if field == "error":
                assert record.error_type == (value and value[0])
                assert value is None or value[1] in (record.error_message or "")
            else:
                assert names.get(field, getattr(record, field)) == value, field
        start = datetime.fromtimestamp(source["startTime"], UTC)
        assert abs(record.created_at - start) < timedelta(microseconds=2)
        assert record.duration_ms == round((source["endTime"] - source["startTime"]) * 1000)
        first = source["completionStartTime"] - source["startTime"]
        assert record.ttft_ms == (round(first * 1000) if expected["stream"] else None)
        assert (record.input_tokens, record.output_tokens) == (
            source["prompt_tokens"],
            source["completion_tokens"],
        )
        assert record.cost == Decimal(repr(source["response_cost"])).quantize(Decimal("1e-12"))
        if breakdown := source["cost_breakdown"]:
            assert record.billing is not None
            assert [
                (line["kind"], Decimal(line["amount"]), line["tokens"]) for line in record.billing["lines"]
            ] == [
                (kind, Decimal(repr(breakdown[f"{kind}_cost"])).quantize(Decimal("1e-12")), tokens)
                for kind, tokens in (("input", record.input_tokens), ("output", record.output_tokens))
            ]
        assert record.provider == "openai"
        assert record.user_agent == "OpenAI/Python 2.54.0"
        assert record.endpoint == "/chat/completions"
        assert record.type == RecordType.REQUEST
        provider_id = source["error_information"]["error_provider_request_id"]
        assert record.upstream_request_id == (provider_id or source["litellm_call_id"])
        assert record.metadata is not None
        assert record.metadata["trace_id"] == source["trace_id"]
        assert record.metadata["tags"] == ["routescope-test", "nightly"]
        stored = json.dumps([record.parameters, record.metadata, record.billing, record.attempts])
        for message in source["messages"]:
            assert message["content"] not in stored


def _records(body: bytes) -> list[bytes]:
    if body.startswith(b"["):
        return [json.dumps(record).encode() for record in json.loads(body)]
    return body.split(b"\n")


@captures.needed
def test_the_same_bytes_again_change_nothing(sender: Sender) -> None:
    body = captures.load("litellm/json_array").body
    sender.post(PATH, body)
    sums = list(UsageHour.objects.values())
    assert sender.post(PATH, body).json() == {"accepted": 0, "duplicates": 5, "rejected": []}
    assert list(UsageHour.objects.values()) == sums


@captures.needed
def test_a_record_without_anything_but_id_and_time_is_kept_whatever_else_is_odd(sender: Sender) -> None:
    source = json.loads(captures.load("litellm/single-success").body)
    for number, field in enumerate(source):
        if field in ("id", "startTime"):
            continue
        for odd in (None, "x", 5, [], {}, [None], {"a": {"b": 1}}, True):
            record = copy.deepcopy(source) | {field: odd, "id": f"{number}"}
            batch = litellm.decode(json.dumps(record).encode())
            assert len(batch.events) == 1, (field, odd, batch.rejected)


def test_a_bad_element_and_nulls_cost_nothing_else(sender: Sender) -> None:
    answer = sender.post(PATH, [None, payload(), {"id": "no-time"}, None, payload(id="chatcmpl-2"), 7])
    assert answer.status_code == 200
    body = answer.json()
    assert body["accepted"] == 2
    assert [refused["request_id"] for refused in body["rejected"]] == ["no-time", None]


def test_only_nulls_are_no_error(sender: Sender) -> None:
    assert sender.post(PATH, b"[null,null]").json() == {"accepted": 0, "duplicates": 0, "rejected": []}
    assert sender.post(PATH, b"[]").status_code == 200


def test_a_failed_attempt_and_its_retry_are_two_records(sender: Sender) -> None:
    failed = payload(id="call-1", status="failure", error_information={"error_code": "500"})
    answer = sender.post(PATH, [failed, payload(id="chatcmpl-1", startTime=failed["startTime"] + 2)])
    assert answer.json()["accepted"] == 2
    assert UsageRecord.objects.filter(request_id="call-1").exists()
    assert sender.record("chatcmpl-1").upstream_request_id == "call-1"


def test_cache_hits_are_found_by_the_id_the_client_saw(sender: Sender) -> None:
    first = payload()
    hits = [
        first | {"id": f"chatcmpl-1_cache_hit{n}.5", "cache_hit": True, "response_cost": 0} for n in (1, 2)
    ]
    assert sender.post(PATH, [first, *hits]).json()["accepted"] == 3
    assert UsageRecord.objects.filter(request_id="chatcmpl-1").count() == 3


def test_cached_input_is_charged_once() -> None:
    event = decode_one(
        payload(
            response_cost=0.001325,
            metadata={
                "usage_object": {
                    "prompt_tokens_details": {"cached_tokens": 60},
                    "completion_tokens_details": {"reasoning_tokens": 4},
                }
            },
            cost_breakdown={
                "input_cost": 0.000325,
                "cache_read_cost": 0.000075,
                "output_cost": 0.001,
                "reasoning_cost": 0.0004,
                "original_cost": 0.001325,
                "total_cost": 0.001325,
            },
        )
    )
    assert (event.input_tokens, event.cached_tokens, event.reasoning_tokens) == (100, 60, 4)
    assert event.billing is not None
    assert [(line["kind"], Decimal(line["amount"]), line["tokens"]) for line in event.billing["lines"]] == [
        ("input", Decimal("0.00025"), 40),
        ("cached_input", Decimal("0.000075"), 60),
        ("output", Decimal("0.0006"), 6),
        ("reasoning", Decimal("0.0004"), 4),
    ]


@pytest.mark.parametrize(
    "breakdown",
    [
        # Cache costs beside the input, a discount, a margin, a fee, and parts that do not explain the charge.
        {"input_cost": 0.0002, "cache_read_cost": 0.0001, "output_cost": 0.0007, "original_cost": 0.001},
        {"input_cost": 0.0005, "output_cost": 0.0006, "original_cost": 0.0011, "discount_amount": 0.0001},
        {"input_cost": 0.0003, "output_cost": 0.0006, "original_cost": 0.0009, "margin_total_amount": 0.0001},
        {"input_cost": 0.0003, "output_cost": 0.0006, "additional_costs": {"fee": 0.0001}},
        {"input_cost": 0.0001},
        {"output_cost": 0.3333333333333333e-3, "input_cost": 0.6666666666666666e-3},
        {},
    ],
)
def test_the_lines_always_add_up_to_the_charge(breakdown: dict[str, Any]) -> None:
    event = decode_one(payload(cost_breakdown=breakdown))
    assert event.billing is not None
    assert sum(Decimal(line["amount"]) for line in event.billing["lines"]) == event.cost == Decimal("0.001")


@pytest.mark.parametrize(
    ("information", "http_status", "code"),
    [
        ({"error_code": "content_policy_violation", "error_class": "X"}, None, "content_policy_violation"),
        ({"error_code": "402", "error_class": "BadRequestError"}, 402, None),
        ({"error_code": "", "error_class": "Timeout"}, 408, None),
        ({"error_code": 400, "error_budget_entity_type": "team"}, 400, "budget_exceeded"),
    ],
)
def test_an_error_code_may_be_a_word_or_empty(
    information: dict[str, Any], http_status: int | None, code: str | None
) -> None:
    event = decode_one(payload(status="failure", error_information=information))
    assert event.status is Status.ERROR
    assert event.http_status == http_status
    assert event.error is not None
    assert event.error.code == code


def test_a_client_that_went_away_is_an_error_with_its_tokens_and_cost(sender: Sender) -> None:
    gone = {"error_code": "499", "error_class": "ClientDisconnected", "error_message": "gone"}
    sender.post(PATH, payload(stream=True, error_information=gone))
    record = sender.record("chatcmpl-1")
    assert (record.status, record.cause, record.http_status) == (Status.ERROR, Cause.CLIENT_CLOSED, 499)
    assert (record.output_tokens, record.cost) == (10, Decimal("0.001"))


def test_a_failed_stream_is_known_by_its_parameters() -> None:
    event = decode_one(payload(status="failure", stream=None, model_parameters={"stream": True}))
    assert event.stream is True


def test_a_model_without_a_price_has_no_cost_rather_than_none() -> None:
    unknown = {"error_str": "This model isn't mapped yet", "model": "mine"}
    assert decode_one(payload(response_cost=0, response_cost_failure_debug_info=unknown)).cost is None
    assert decode_one(payload(response_cost=0)).cost == 0


@pytest.mark.parametrize("huge", ["1e4000032", "1e400", "-1e13", "123456789012345"])
def test_an_absurd_amount_costs_no_other_record(sender: Sender, huge: str) -> None:
    body = json.dumps([payload(), payload(id="chatcmpl-2", response_cost="X")])
    for field in ("X", '0.1, "cost_breakdown": {"original_cost": X}'):
        mutated = body.replace('"X"', field.replace("X", huge)).encode()
        assert sender.post(PATH, mutated).status_code == 200
    assert sender.record("chatcmpl-1").cost == Decimal("0.001")


def test_no_content_is_kept_among_the_parameters() -> None:
    event = decode_one(
        payload(
            messages=[{"role": "user", "content": "secret"}],
            response={"choices": []},
            model_parameters={
                "temperature": 0.1,
                "tools": [{"function": {"description": "secret"}}],
                "prompt": "secret",
                "extra_body": {"x": "secret"},
                "response_format": {"type": "json_schema", "json_schema": {"name": "secret"}},
                "note": "secret" * 100,
            },
        )
    )
    assert event.parameters == {
        "temperature": 0.1,
        "tool_count": 1,
        "response_format": {"type": "json_schema"},
    }
    assert event.input is not None
    assert b"secret" in bytes(event.input)


def test_a_cut_off_body_is_refused_whole() -> None:
    with pytest.raises(FormatError):
        litellm.decode(json.dumps([payload()]).encode()[:-1])


@captures.needed
@pytest.mark.slow
def test_a_full_batch_takes_milliseconds(sender: Sender) -> None:
    """500 records of 13 kB: LiteLLM loses what is logged while a POST is under way."""
    source = json.loads(captures.load("litellm/single-success").body)
    bodies = [
        json.dumps([source | {"id": f"chatcmpl-{batch}-{n}"} for n in range(500)]).encode()
        for batch in range(5)
    ]
    sender.post(PATH, [source])

    def post(body: bytes) -> None:
        assert sender.post(PATH, body).json()["accepted"] == 500

    # The first takes longest, and on a shared machine any may.
    answered = [at_rest(partial(post, body)) for body in bodies]
    decoded = at_rest(partial(litellm.decode, bodies[0]))
    assert min(answered) < 1, (
        f"{len(bodies[0]):,} bytes: decoded in {decoded:.3f} s, answered in {answered} s"
    )
