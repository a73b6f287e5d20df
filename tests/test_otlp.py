"""Spans: what instrumentations export is stored once and whole, however and in whatever order it comes."""

from __future__ import annotations

import gzip
import itertools
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from logs.ingest.formats import genai, otlp
from logs.models import Cause, Status, UsageRecord
from routescope.data.ids import moment_of
from tests import captures
from tests.sending import Sender, sender
from tests.sums import check_rollups

__all__ = ["sender"]

PATH = "/v1/traces"
NOW = int(time.time()) - 60
KNOWN = {
    "otlp/openai-v2-success": {
        "request_id": "chatcmpl-i1r4yjy5l5h6k5196rfevxltpmll8",
        "model": "gpt-4o-mini-2024-07-18",
        "input_tokens": 15,
        "output_tokens": 23,
        "cached_tokens": 0,
        "http_status": 200,
        "status": Status.SUCCESS,
        "cause": Cause.NONE,
        "stream": None,
        "parameters": {"temperature": 0.2, "max_tokens": 200},
        "error_type": None,
        "duration_ms": 45,
    },
    "otlp/openai-v2-error": {
        "request_id": "3733e1819c9dbbaf",
        "model": "gpt-4o",
        "input_tokens": 0,
        "output_tokens": 0,
        "http_status": 429,
        "status": Status.ERROR,
        "cause": Cause.RATE_LIMIT,
        "error_type": "RateLimitError",
        "duration_ms": 49,
        "error_code": "rate_limit_exceeded",
        "parameters": None,
        "stream": None,
    },
    "otlp/openllmetry-success": {
        "request_id": "chatcmpl-5uep3d8oxxh3f0unsfqaqak9gx8hx",
        "model": "gpt-4o-mini-2024-07-18",
        "input_tokens": 15,
        "output_tokens": 30,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "http_status": 200,
        "status": Status.SUCCESS,
        "stream": False,
        "parameters": {"temperature": 0.2, "max_tokens": 200},
        "error_type": None,
        "duration_ms": 55,
    },
    "otlp/openllmetry-error": {
        "request_id": "6141221c560d05a4",
        "model": "gpt-4o",
        "input_tokens": 0,
        "http_status": 429,
        "status": Status.ERROR,
        "cause": Cause.RATE_LIMIT,
        "error_type": "RateLimitError",
        "error_code": "rate_limit_exceeded",
        "stream": False,
        "duration_ms": 42,
    },
}


def value(given: Any) -> dict[str, Any]:
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    if isinstance(given, list):
        return {"arrayValue": {"values": [value(part) for part in given]}}
    return {kinds[type(given)]: str(given) if type(given) is int else given}


def attributes(given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": value(part)} for name, part in given.items()]


_ids = itertools.count(1)


def span(given: dict[str, Any], *, at: float = 0.0, lasts: float = 1.0, **more: Any) -> dict[str, Any]:
    number = next(_ids)
    start = NOW * 10**9 + round(at * 10**9)
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat gpt-4o",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": start + round(lasts * 10**9),
        "attributes": attributes(given),
        **more,
    }


def request(*spans: dict[str, Any], scope: str = "app", service: str = "demo") -> dict[str, Any]:
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes({"service.name": service})},
                "scopeSpans": [{"scope": {"name": scope}, "spans": list(spans)}],
            }
        ]
    }


CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 10,
}


def read(given: dict[str, Any], **more: Any) -> Any:
    spans = otlp.decode(json.dumps(request(span(given, **more))).encode(), otlp.JSON)
    assert not spans.rejected
    return spans.readings[0][1].event if spans.readings else None


# --- Captures ----------------------------------------------------------------------------------------------


@captures.needed
@pytest.mark.parametrize("name", captures.names("otlp"))
@pytest.mark.parametrize("encoding", [otlp.PROTOBUF, otlp.JSON])
def test_every_capture_is_stored_as_its_client_knew_it(sender: Sender, name: str, encoding: str) -> None:
    capture = captures.load(name)
    body, headers = capture.body, {}
    if "content-encoding" in capture.headers:
        headers["Content-Encoding"] = capture.headers["content-encoding"]
    raw = gzip.decompress(body) if headers else body
    if encoding == otlp.JSON:
        body, headers = json.dumps(_as_json(raw)).encode(), {}
    answer = sender.post(PATH, body, content_type=encoding, **headers)
    assert answer.status_code == 200
    assert answer["Content-Type"] == encoding
    assert answer.content == (b"{}" if encoding == otlp.JSON else b"")
    expected = KNOWN[name]
    record = sender.record(str(expected["request_id"]))
    assert record.model.name == expected["model"]
    for field, known in expected.items():
        if field != "model":
            assert getattr(record, field) == known, field
    [sent] = ExportTraceServiceRequest.FromString(raw).resource_spans[0].scope_spans[0].spans
    assert record.created_at == datetime.fromtimestamp(sent.start_time_unix_nano // 1000 / 1e6, UTC)
    assert record.provider == "openai"
    assert record.token.name == "demo-gateway"
    assert record.metadata["trace_id"] == sent.trace_id.hex()
    if record.status == Status.ERROR:
        assert record.error_message.startswith("Rate limit reached for gpt-4o in organization")
    stored = json.dumps([record.parameters, record.metadata])
    assert "invoice 2210" not in stored
    assert "messages" not in stored
    # The same request again, as exporters send it after a time-out.
    sender.post(PATH, capture.body, content_type=otlp.PROTOBUF, **_encoding(capture))
    assert UsageRecord.objects.count() == 1
    check_rollups()


def _encoding(capture: captures.Capture) -> dict[str, str]:
    encoding = capture.headers.get("content-encoding")
    return {"Content-Encoding": encoding} if encoding else {}


def _as_json(raw: bytes) -> dict[str, Any]:
    """Write a protobuf request in OTLP's JSON."""

    def plain(given: Any) -> Any:
        kind = given.WhichOneof("value")
        found = getattr(given, kind)
        return [plain(part) for part in found.values] if kind == "array_value" else found

    def pairs(given: Any) -> list[dict[str, Any]]:
        return attributes({pair.key: plain(pair.value) for pair in given})

    [resource_spans] = ExportTraceServiceRequest.FromString(raw).resource_spans
    [scope_spans] = resource_spans.scope_spans
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": pairs(resource_spans.resource.attributes)},
                "scopeSpans": [
                    {
                        "scope": {"name": scope_spans.scope.name, "version": "1"},
                        "spans": [
                            {
                                "traceId": sent.trace_id.hex().upper(),
                                "spanId": sent.span_id.hex(),
                                "name": sent.name,
                                "kind": sent.kind,
                                "startTimeUnixNano": sent.start_time_unix_nano,
                                "endTimeUnixNano": str(sent.end_time_unix_nano),
                                "attributes": pairs(sent.attributes),
                                "status": {"code": sent.status.code, "message": sent.status.message},
                                "events": [
                                    {"name": e.name, "attributes": pairs(e.attributes)} for e in sent.events
                                ],
                                "aFieldOfTomorrow": {"x": 1},
                            }
                            for sent in scope_spans.spans
                        ],
                    }
                ],
            }
        ]
    }


# --- The protocol ------------------------------------------------------------------------------------------


def test_an_empty_request_succeeds(sender: Sender) -> None:
    assert sender.post(PATH, b"", content_type=otlp.PROTOBUF).status_code == 200
    answer = sender.post(PATH, b"{}", content_type=otlp.JSON)
    assert (answer.status_code, answer.content) == (200, b"{}")


def test_spans_that_are_no_model_call_are_accepted_and_ignored(sender: Sender) -> None:
    others = [
        span(
            {
                "gen_ai.operation.name": name,
                "gen_ai.request.model": "m",
                "gen_ai.aggregated_usage.input_tokens": 5,
            }
        )
        for name in ("invoke_agent", "execute_tool", "retrieval")
    ]
    others += [span({"http.method": "GET"}), span({**CHAT}, name="raw_gen_ai_request")]
    others += [span({"openinference.span.kind": "AGENT", "llm.token_count.prompt": 5})]
    answer = sender.post(PATH, request(*others))
    assert (answer.status_code, answer.json()) == (200, {})
    assert not UsageRecord.objects.exists()


@pytest.mark.parametrize("encoding", [otlp.PROTOBUF, otlp.JSON])
def test_what_cannot_be_stored_is_a_partial_success(sender: Sender, encoding: str) -> None:
    old = span({**CHAT, "gen_ai.response.id": "chatcmpl-old"}, at=-20 * 365 * 86400)
    body: Any = request(span(CHAT), old)
    if encoding == otlp.PROTOBUF:
        body = ExportTraceServiceRequest()
        spans = body.resource_spans.add().scope_spans.add().spans
        for start, response in ((NOW * 10**9, "chatcmpl-1"), (10**9, "chatcmpl-old")):
            sent = spans.add(trace_id=b"1" * 16, span_id=b"2" * 8, start_time_unix_nano=start)
            sent.end_time_unix_nano = start
            for name, part in {**CHAT, "gen_ai.response.id": response}.items():
                if isinstance(part, str):
                    sent.attributes.add(key=name).value.string_value = part
        body = body.SerializeToString()
    answer = sender.post(PATH, body, content_type=encoding)
    assert answer.status_code == 200
    if encoding == otlp.JSON:
        partial = answer.json()["partialSuccess"]
        assert partial["rejectedSpans"] == "1"
        assert "older than records are kept" in partial["errorMessage"]
    else:
        told = ExportTraceServiceResponse.FromString(answer.content)
        assert told.partial_success.rejected_spans == 1
        assert "older than records are kept" in told.partial_success.error_message
    assert UsageRecord.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "status", "code"),
    [
        (b"\xff\xff\xff", otlp.PROTOBUF, {}, 400, 3),
        (b"{", otlp.JSON, {}, 400, 3),
        (b'{"resourceSpans": 5}', otlp.JSON, {}, 400, 3),
        (b"{}", otlp.JSON, {"Authorization": "Bearer wrong"}, 401, 16),
        (b"", otlp.PROTOBUF, {"Authorization": "Bearer wrong"}, 401, 16),
        (b"{}", otlp.JSON, {"Content-Encoding": "br"}, 415, 3),
        (b"not gzip", otlp.PROTOBUF, {"Content-Encoding": "gzip"}, 400, 3),
        (b"x", "text/plain", {}, 415, 3),
    ],
)
def test_errors_are_a_status_in_the_content_type_of_the_request(
    sender: Sender, body: bytes, content_type: str, headers: dict[str, str], status: int, code: int
) -> None:
    answer = sender.post(PATH, body, content_type=content_type, **headers)
    assert answer.status_code == status
    if content_type == otlp.PROTOBUF:
        assert answer["Content-Type"] == otlp.PROTOBUF
        assert answer.content[:3] == bytes([0x08, code, 0x12])
    else:
        assert answer.json()["code"] == code


def test_null_is_a_field_left_out(sender: Sender) -> None:
    body = request({**span(CHAT), "events": None, "status": None})
    body["resourceSpans"][0]["resource"] = {"attributes": None}
    assert sender.post(PATH, body).json() == {}
    assert UsageRecord.objects.count() == 1


def test_a_body_that_is_too_large_when_unpacked_is_refused(sender: Sender) -> None:
    bomb = gzip.compress(b"\0" * (65 * 1024 * 1024))
    answer = sender.post(PATH, bomb, content_type=otlp.PROTOBUF, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 413


# --- Names -------------------------------------------------------------------------------------------------


def test_old_and_new_names_together_are_never_added() -> None:
    event = read({**CHAT, "gen_ai.usage.prompt_tokens": 100, "gen_ai.usage.completion_tokens": 10})
    assert (event.input_tokens, event.output_tokens) == (100, 10)


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        *(({name: 7}, "cached_tokens", 7) for name in genai._CACHED),
        *(({name: 7}, "cache_write_tokens", 7) for name in genai._WRITTEN),
        *(({name: 7}, "reasoning_tokens", 7) for name in genai._REASONING),
        *(({name: 0.25}, "cost", Decimal("0.25")) for name in genai._COST),
        *(({name: True}, "stream", True) for name in genai._STREAM),
        *(({name: "k"}, "token", "k") for name in genai._TOKEN),
        *(({name: "u"}, "user", "u") for name in genai._USER),
        *(({name: "g"}, "group", "g") for name in genai._GROUP),
        ({"gen_ai.response.time_to_first_chunk": 0.3}, "ttft_ms", 300),
        ({"gen_ai.response.model": "gpt-4o-2024-08-06"}, "model", "gpt-4o-2024-08-06"),
        ({"litellm.call_id": "call"}, "upstream_request_id", "call"),
        ({"http.response.status_code": 503}, "http_status", 503),
        ({"gen_ai.usage.raw": '{"prompt_tokens_details": {"cached_tokens": 9}}'}, "cached_tokens", 9),
        ({"gen_ai.provider.name": "azure.ai.openai", "gen_ai.system": "old"}, "provider", "azure.ai.openai"),
    ],
)
def test_a_name_is_understood(given: dict[str, Any], field: str, expected: Any) -> None:
    assert getattr(read({**CHAT, **given}), field) == expected


@pytest.mark.parametrize(
    "given",
    [
        {"gen_ai.system": "openai", "llm.request.type": "chat", "gen_ai.usage.prompt_tokens": 100},
        {"openinference.span.kind": "LLM", "llm.model_name": "m", "llm.token_count.prompt": 100},
        {"gen_ai.operation.name": "acompletion", "gen_ai.usage.input_tokens": 100},
        {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 100},
        {
            "gen_ai.operation.name": "generate_video",
            "gen_ai.request.model": "m",
            "llm.token_count.prompt": 100,
        },
    ],
)
def test_a_model_call_is_known_by_any_convention(given: dict[str, Any]) -> None:
    assert read(given).input_tokens == 100


def test_without_a_response_id_the_call_id_counts_and_else_the_span() -> None:
    given = {name: part for name, part in CHAT.items() if name != "gen_ai.response.id"}
    assert read({**given, "litellm.call_id": "call"}).request_id == "call"
    assert read(given, spanId="00000000000000ab").request_id == "00000000000000ab"
    assert read({**given, "output.value": '{"id": "chatcmpl-9", "choices": []}'}).request_id == "chatcmpl-9"


def test_the_error_is_found_where_only_the_status_text_or_the_event_tells() -> None:
    text = (
        "Error code: 400 - {'error': {'message': 'Too long.', 'type': 'x', 'param': 'messages',"
        " 'code': 'context_length_exceeded'}}"
    )
    event = read({"gen_ai.operation.name": "chat"}, status={"code": 2, "message": f"BadRequestError: {text}"})
    assert (event.http_status, event.error.code, event.error.message, event.error.param) == (
        400, "context_length_exceeded", "Too long.", "messages",
    )  # fmt: skip
    happened = {
        "name": "exception",
        "attributes": attributes({"exception.type": "a.b.Slow", "exception.message": "late"}),
    }
    event = read({"gen_ai.operation.name": "chat"}, status={"code": 2}, events=[happened])
    assert (event.status, event.error.type, event.error.message) == (Status.ERROR, "Slow", "late")


def test_content_is_handed_on_and_not_kept_among_the_attributes() -> None:
    event = read(
        {**CHAT, "gen_ai.input.messages": '[{"role":"user"}]', "gen_ai.completion.0.content": "secret"}
    )
    assert bytes(event.input) == b'[{"role":"user"}]'
    assert bytes(event.output) == b'[{"content":"secret"}]'
    assert "secret" not in json.dumps([event.parameters, event.metadata])


# --- Calls in parts ----------------------------------------------------------------------------------------


def parts(of: list[dict[str, Any]], scope: str = "app") -> Iterator[list[dict[str, Any]]]:
    """Yield every order of the spans, in requests of their own and in one."""
    for order in itertools.permutations(of):
        yield [request(one, scope=scope) for one in order]
        yield [request(*order, scope=scope)]


def state(record: UsageRecord) -> tuple[Any, ...]:
    return (record.status, record.input_tokens, record.output_tokens, record.cached_tokens, record.stream)


def test_a_record_is_completed_by_a_later_span_of_the_same_response(sender: Sender) -> None:
    start = {name: part for name, part in CHAT.items() if "usage" not in name}
    for number, requests in enumerate(
        parts([span(start, at=0, lasts=0.2), span({**CHAT, "gen_ai.usage.cost": 0.5}, at=0.2, lasts=1)])
    ):
        one = Sender(sender.client, f"gateway {number}")
        for body in requests * 2:
            assert one.post(PATH, body).json() == {}
            check_rollups()
        record = UsageRecord.objects.get(gateway=one.gateway)
        assert (record.input_tokens, record.output_tokens, record.cost) == (100, 10, Decimal("0.5"))
        assert record.duration_ms == 1200
        assert record.created_at == datetime.fromtimestamp(NOW, UTC)
        assert moment_of(record.pk) == record.created_at


def test_a_later_failure_moves_the_record_to_the_errors(sender: Sender) -> None:
    sender.post(PATH, request(span(CHAT)))
    failed = {"code": 2, "message": "Error code: 500 - {'error': {'message': 'Broken.'}}"}
    sender.post(PATH, request(span(CHAT, status=failed), scope="another"))
    record = sender.record("chatcmpl-1")
    assert (record.status, record.cause, record.http_status) == (Status.ERROR, Cause.MODEL_RESPONSE, 500)
    check_rollups()


def test_what_the_catalogue_priced_is_priced_anew_when_completed(sender: Sender) -> None:
    start = {name: part for name, part in CHAT.items() if "usage" not in name}
    for body in (request(span(start)), request(span(CHAT, at=1)), request(span(CHAT))):
        sender.post(PATH, body)
    record = sender.record("chatcmpl-1")
    # gpt-4o in the catalogue: 100 tokens in at 2.50 USD and 10 out at 10 USD for a million.
    assert record.cost == Decimal("0.00035")
    check_rollups()


def test_a_completion_keeps_the_names_that_it_does_not_tell(sender: Sender) -> None:
    sender.post(PATH, request(span({**CHAT, "litellm.team.alias": "vip", "user.id": "ann"})))
    sender.post(PATH, request(span({"gen_ai.operation.name": "chat", "gen_ai.response.id": "chatcmpl-1",
                                    "gen_ai.usage.reasoning_tokens": 4}), scope="two"))  # fmt: skip
    record = sender.record("chatcmpl-1")
    assert (record.group.name, record.user.name, record.model.name) == ("vip", "ann", "gpt-4o")
    assert record.reasoning_tokens == 4
    check_rollups()


def test_two_instrumentations_of_one_call_are_one_record(sender: Sender) -> None:
    sender.post(PATH, request(span(CHAT), scope="one"))
    sender.post(PATH, request(span({**CHAT, "gen_ai.usage.reasoning_tokens": 4}), scope="two"))
    record = sender.record("chatcmpl-1")
    assert (record.input_tokens, record.reasoning_tokens) == (100, 4)
    check_rollups()


def test_a_cached_answer_with_the_same_response_id_is_another_call(sender: Sender) -> None:
    first, second = span(CHAT), span(CHAT, at=5)
    for body in (request(first), request(second), request(second), request(first, second)):
        sender.post(PATH, body)
    assert UsageRecord.objects.filter(request_id="chatcmpl-1").count() == 2
    check_rollups()


def _halves(at: float = 0.0, prompt: str = "hello", lasts: float = 2.0) -> list[dict[str, Any]]:
    asked = {
        "request_data": '{"model":"gpt-4o"}',
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.input.messages": prompt,
    }
    usage = {
        "logfire.span_type": "log", "duration": lasts, "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.raw": '{"prompt_tokens_details":{"cached_tokens":60}}',
    }  # fmt: skip
    return [
        span({**asked, "logfire.span_type": "span"}, at=at, lasts=0.3),
        span({**asked, **usage}, at=at + 0.301 + lasts, lasts=0),
    ]


def test_both_halves_of_a_stream_of_logfire_are_one_record_in_any_order(sender: Sender) -> None:
    for number, requests in enumerate(parts(_halves(), scope="logfire.openai")):
        one = Sender(sender.client, f"gateway {number}")
        for body in requests * 2:
            assert one.post(PATH, body).json() == {}
            check_rollups()
        record = UsageRecord.objects.get(gateway=one.gateway)
        assert state(record) == (Status.SUCCESS, 100, 10, 60, True)
        assert record.duration_ms == 2301
        assert record.created_at == datetime.fromtimestamp(NOW, UTC)


def test_equal_streams_at_once_are_told_apart_by_time(sender: Sender) -> None:
    first, second = _halves(at=0, lasts=2), _halves(at=0.5, lasts=2)
    for body in (
        request(first[0], second[0], scope="logfire.openai"),
        request(second[1], first[1], scope="logfire.openai"),
    ):
        sender.post(PATH, body)
    records = list(UsageRecord.objects.order_by("created_at"))
    assert [state(record) for record in records] == [(Status.SUCCESS, 100, 10, 60, True)] * 2
    assert [record.duration_ms for record in records] == [2301, 2301]
    check_rollups()


def test_a_stream_that_never_ends_is_a_record_all_the_same(sender: Sender) -> None:
    sender.post(PATH, request(_halves()[0], scope="logfire.openai"))
    assert state(UsageRecord.objects.get()) == (Status.SUCCESS, 0, 0, 0, True)
