"""Whatever arrives: 2xx with counts or a clear 4xx, never a 500, and sums that agree with the records."""

from __future__ import annotations

import gzip
import json
import os
import random
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from logs.models import ContentPolicy, Level
from tests import captures
from tests.sending import Sender
from tests.sums import check_rollups

ENDPOINTS = {
    "native": ("/api/v1/usage", "application/json"),
    "litellm": ("/api/v1/ingest/litellm", "application/json"),
    "otlp json": ("/v1/traces", "application/json"),
    "otlp protobuf": ("/v1/traces", "application/x-protobuf"),
    "logs json": ("/v1/logs", "application/json"),
    "logs protobuf": ("/v1/logs", "application/x-protobuf"),
    "metrics json": ("/v1/metrics", "application/json"),
    "metrics protobuf": ("/v1/metrics", "application/x-protobuf"),
}
AS_JSON = sorted(name for name, (_, content_type) in ENDPOINTS.items() if content_type.endswith("json"))
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "50"))
_fuzzing = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def strict(db: None) -> Sender:
    """A gateway whose client raises what a view does not catch."""
    return Sender(Client(raise_request_exception=True))


def check(answer: Any) -> None:
    assert answer.status_code in (200, 400, 413, 415), answer.content[:500]
    if answer["Content-Type"] == "application/json":
        json.loads(answer.content)


def _json() -> SearchStrategy[Any]:
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.integers(min_value=-(10**40), max_value=10**40)
        | st.floats()
        | st.text(max_size=30)
        | st.sampled_from(["\x00", "\ud800", "2026-01-01T00:00:00Z", "1e999", "NaN", "🙂" * 300, "0" * 70])
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
        max_leaves=12,
    )


@_fuzzing
@given(body=st.binary(max_size=400), packed=st.booleans(), endpoint=st.sampled_from(sorted(ENDPOINTS)))
def test_any_bytes(strict: Sender, body: bytes, packed: bool, endpoint: str) -> None:
    path, content_type = ENDPOINTS[endpoint]
    headers = {"Content-Encoding": "gzip"} if packed else {}
    check(strict.post(path, gzip.compress(body) if packed else body, content_type=content_type, **headers))


@_fuzzing
@given(body=_json(), endpoint=st.sampled_from(AS_JSON))
def test_any_json(strict: Sender, body: Any, endpoint: str) -> None:
    path, content_type = ENDPOINTS[endpoint]
    for form in (body, [body]):
        check(strict.post(path, json.dumps(form).encode("utf-8", "replace"), content_type=content_type))


LEAST = {
    "native": {"request_id": "r", "created_at": 1795298252.5},
    "litellm": {
        "id": "chatcmpl-1", "startTime": 1795298252.5, "endTime": 1795298253, "status": "success",
        "metadata": {"usage_object": {"prompt_tokens_details": {}}}, "error_information": {}, "response": {},
        "cost_breakdown": {"input_cost": 1}, "response_cost": 0.5,
        "model_parameters": {}, "hidden_params": {},
    },
}  # fmt: skip
FIELDS = {
    "native": "user token group model status type stream duration_ms ttft_ms http_status endpoint ip"
    " user_agent input_tokens output_tokens cached_tokens reasoning_tokens image_count cost billing error"
    " parameters upstream_request_id provider channel attempts task_id metadata request_id created_at",
    "litellm": "id startTime endTime completionStartTime litellm_call_id trace_id session_id call_type stream"
    " status prompt_tokens completion_tokens response_cost cost_breakdown model model_group model_id api_base"
    " model_parameters request_tags end_user requester_ip_address user_agent cache_hit error_str"
    " error_information metadata hidden_params messages response response_cost_failure_debug_info",
}


@_fuzzing
@given(st.data())
def test_any_value_in_any_field(strict: Sender, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(FIELDS)))
    changed = data.draw(st.dictionaries(st.sampled_from(FIELDS[kind].split()), _json(), max_size=4))
    path, content_type = ENDPOINTS[kind]
    body = json.dumps([{**LEAST[kind], **changed}, None, LEAST[kind]]).encode("utf-8", "replace")
    check(strict.post(path, body, content_type=content_type))


NAMES = (
    "gen_ai.operation.name", "gen_ai.request.model", "gen_ai.response.model", "gen_ai.response.id",
    "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.reasoning_tokens", "gen_ai.usage.raw", "gen_ai.usage.cost", "error.type", "error.code",
    "http.response.status_code", "gen_ai.response.time_to_first_chunk", "request_data", "duration",
    "logfire.span_type", "llm.invocation_parameters", "output.value", "gen_ai.response.finish_reasons",
    "gen_ai.request.temperature", "gen_ai.input.messages", "gen_ai.prompt.0.content", "user.id",
    "client.address", "url.path", "gen_ai.request.stream", "ai.operationId", "ai.model.id",
    "ai.usage.inputTokens", "ai.response.msToFirstChunk", "ai.response.providerMetadata",
    "langsmith.span.kind", "langsmith.metadata.usage_metadata", "gen_ai.usage.input_token_details",
    "gen_ai.completion", "openinference.span.kind", "input.value", "llm.token_count.prompt",
    "embedding.invocation_parameters", "llm.openai.usage", "llm.openai.model", "url", "error.message",
    "gen_ai.server.time_to_first_token", "litellm.provider.error.code", "aws.request_id",
    "gen_ai.usage.total_tokens", "gen_ai.usage.cache_read_input_tokens",
)  # fmt: skip
SCOPES = (
    "app", "logfire.openai", "ai", "langsmith", "litellm", "openinference.instrumentation.openai",
    "openinference.instrumentation.bedrock", "strands.telemetry.tracer", "gcp.vertex.agent",
    "opentelemetry.instrumentation.bedrock", "pydantic-ai", "semantic_kernel",
)  # fmt: skip


@_fuzzing
@given(
    attributes=st.dictionaries(
        st.sampled_from(NAMES),
        st.builds(lambda kind, part: {kind: part}, st.sampled_from(
            ["stringValue", "intValue", "doubleValue", "boolValue", "arrayValue", "kvlistValue", "bytesValue"]
        ), _json()) | _json(),
        max_size=8,
    ),
    more=st.dictionaries(
        st.sampled_from(
            ["traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano", "events", "status", "name"]
        ),
        _json() | st.integers(min_value=0, max_value=2**64).map(str),
        max_size=2,
    ),
    scope=st.sampled_from(SCOPES),
)  # fmt: skip
def test_any_attribute_of_a_span(
    strict: Sender, attributes: dict[str, Any], more: dict[str, Any], scope: str
) -> None:
    span = {
        "traceId": "5d0498009e107ac93aefbc5da0e97197",
        "spanId": "f2159480cbdae543",
        "startTimeUnixNano": "1795298252702712579",
        "endTimeUnixNano": "1795298252747646157",
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            *({"key": name, "value": value} for name, value in attributes.items()),
        ],
        **more,
    }
    body = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": scope}, "spans": [span]}]}]}
    check(strict.post("/v1/traces", json.dumps(body).encode("utf-8", "replace")))


@_fuzzing
@given(
    body=_json(),
    attributes=st.lists(_json(), max_size=3),
    more=st.dictionaries(st.sampled_from(["traceId", "spanId", "timeUnixNano", "eventName"]), _json()),
    name=st.sampled_from(
        ["gen_ai.user.message", "gen_ai.choice", "", "gen_ai.client.inference.operation.details"]
    ),
)
def test_any_log_record(
    strict: Sender, body: Any, attributes: list[Any], more: dict[str, Any], name: str
) -> None:
    ContentPolicy.objects.get_or_create(gateway=strict.gateway, defaults={"level": Level.FULL})
    record = {
        "traceId": "5d0498009e107ac93aefbc5da0e97197", "spanId": "f2159480cbdae543", "eventName": name,
        "body": body, "attributes": attributes, **more,
    }  # fmt: skip
    told = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, body]}]}]}
    check(strict.post("/v1/logs", json.dumps(told).encode("utf-8", "replace")))


@captures.needed
@pytest.mark.parametrize("name", [*captures.names("litellm"), *captures.names("otlp")])
def test_mutated_captures(strict: Sender, name: str) -> None:
    """Bytes flipped, cut out, doubled: seeded, so that a failure can be repeated."""
    capture = captures.load(name)
    path = "/api/v1/ingest/litellm" if name.startswith("litellm/") else "/v1/traces"
    content_type = capture.headers["content-type"]
    body = capture.body
    if capture.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    chance = random.Random(name)
    for _ in range(EXAMPLES):
        mutated = bytearray(body)
        for _ in range(chance.choice((1, 1, 2, 8, 40))):
            at = chance.randrange(len(mutated))
            how = chance.randrange(4)
            if how == 0:
                mutated[at] = chance.randrange(256)
            elif how == 1:
                del mutated[at : at + chance.randrange(1, 50)]
            elif how == 2:
                mutated[at:at] = mutated[at : at + chance.randrange(1, 50)]
            else:
                mutated[at:at] = chance.choice(
                    (b"\x00", b"null", b"-1", b"1e400", b'"', b"\\ud800", b"99999999999")
                )
            if not mutated:
                break
        check(strict.post(path, bytes(mutated) or b"x", content_type=content_type))
    check_rollups()
