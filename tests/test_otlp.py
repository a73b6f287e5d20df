"""What instrumentations export over OTLP is stored once and whole, and answered as the protocol says."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from logs.ingest.formats import otlp
from logs.models import Cause, Status, UsageRecord
from tests import captures
from tests.sending import Sender, sender
from tests.spans import CHAT, NOW, PATH, attributes, request, span
from tests.sums import check_rollups

__all__ = ["sender"]

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
