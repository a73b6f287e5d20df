"""One odd record never costs its neighbours: at ingest, on any page, in any file, over the API."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from accounts.models import User
from logs.models import UsageRecord
from logs.models.events import UsageEvent
from routescope.data.scopes import Scope
from tests import everything, odd
from tests.sending import Sender, sender
from tests.sums import check_rollups
from tests.test_fuzz_ingest import EXAMPLES

__all__ = ["sender"]

_numbers = itertools.count(1)
_NATIVE = {
    "request_id": "odd",
    "created_at": odd.AT.isoformat(),
    "user": "alice@example.com",
    "token": "prod",
    "model": "gpt-5-mini",
    "group": "default",
    "input_tokens": 10,
    "output_tokens": 5,
    "cost": "0.001",
}
_NATIVE_FIELDS = (
    *(name for name in UsageEvent.__struct_fields__ if name not in ("identity", "quantities", "content")),
    "video_seconds", "characters", "unknown",
)  # fmt: skip
_LITELLM = {
    "id": "odd",
    "litellm_call_id": "call-odd",
    "call_type": "acompletion",
    "status": "success",
    "startTime": odd.AT.timestamp(),
    "endTime": odd.AT.timestamp() + 2,
    "completionStartTime": odd.AT.timestamp() + 1,
    "model": "gpt-5-mini",
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "response_cost": 0.001,
    "metadata": {"user_api_key_alias": "prod", "user_api_key_user_email": "alice@example.com"},
}
_LITELLM_FIELDS = (
    *_LITELLM, "stream", "trace_id", "session_id", "custom_llm_provider", "cost_breakdown", "model_group",
    "model_id", "api_base", "model_parameters", "request_tags", "end_user", "requester_ip_address",
    "user_agent", "cache_hit", "error_str", "error_information", "hidden_params", "messages", "response",
    "response_cost_failure_debug_info",
)  # fmt: skip
_ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.response.id": "odd",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    "gen_ai.usage.cost": 0.001,
    "user.id": "alice@example.com",
    "litellm.key.alias": "prod",
}
_ATTRIBUTE_NAMES = (
    *_ATTRIBUTES, "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.reasoning_tokens", "error.type",
    "http.response.status_code", "gen_ai.response.time_to_first_chunk", "gen_ai.request.stream",
    "gen_ai.response.finish_reasons", "gen_ai.input.messages", "output.value", "llm.invocation_parameters",
    "gen_ai.usage.raw", "gen_ai.request.temperature", "client.address", "url.path", "duration",
    "logfire.span_type", "request_data", "\x00", "litellm.call_id", "gen_ai.prompt.0.content",
    "ai.operationId", "ai.response.providerMetadata", "ai.response.msToFirstChunk", "langsmith.span.kind",
    "langsmith.metadata.usage_metadata", "gen_ai.completion", "openinference.span.kind", "aws.request_id",
    "gen_ai.usage.total_tokens", "gen_ai.usage.cache_read_input_tokens", "error.message",
    "litellm.provider.error.code", "gen_ai.server.time_to_first_token", "gen_ai.response.service_tier",
)  # fmt: skip
_SCOPES = ("x", "ai", "langsmith", "litellm", "logfire.openai", "openinference.instrumentation.openai",
           "strands.telemetry.tracer", "gcp.vertex.agent")  # fmt: skip
_SPAN_FIELDS = (
    "traceId",
    "spanId",
    "name",
    "startTimeUnixNano",
    "endTimeUnixNano",
    "events",
    "status",
    "kind",
)

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Path) -> None:
    settings.EXPORTS_DIR = tmp_path


def _check(answer: Any, alice: User, neighbour: str) -> None:
    assert answer.status_code == 200, answer.content[:300]
    assert UsageRecord.objects.visible_to(Scope.own(alice)).filter(request_id=neighbour).exists()


@fuzzed
@given(record=odd.oddly(_NATIVE, _NATIVE_FIELDS))
@example(record={**_NATIVE, "metadata": odd.deep(990)})
@example(record={**_NATIVE, "metadata": {"n": 10**45}, "cost": odd.Bare("999999999999")})
def test_native(sender: Sender, alice: User, record: dict[str, Any]) -> None:
    good = {**_NATIVE, "request_id": f"good-{next(_numbers)}"}
    answer = sender.post("/api/v1/usage", odd.written([record, good]))
    _check(answer, alice, str(good["request_id"]))
    told = answer.json()
    assert told["accepted"] + told["duplicates"] + len(told["rejected"]) == 2


@fuzzed
@given(record=odd.oddly(_LITELLM, _LITELLM_FIELDS))
@example(record={**_LITELLM, "endTime": odd.Bare("1e308")})
@example(record={**_LITELLM, "id": None})
def test_litellm(sender: Sender, alice: User, record: dict[str, Any]) -> None:
    good = {**_LITELLM, "id": f"good-{next(_numbers)}"}
    answer = sender.post("/api/v1/ingest/litellm", odd.written([record, good]))
    _check(answer, alice, str(good["id"]))
    # Without a time, or with neither of its two IDs, nothing says which call it was.
    unfit = any(record.get(name) != _LITELLM[name] for name in ("startTime", "litellm_call_id"))
    assert unfit or not answer.json()["rejected"], ("LiteLLM never sends again", answer.json(), record)


def _span(attributes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    number = next(_numbers)
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat",
        "startTimeUnixNano": str(odd.NANO),
        "endTimeUnixNano": str(odd.NANO + 10**9),
        "attributes": [{"key": key, "value": _value(value)} for key, value in attributes.items()],
        **fields,
    }


def _value(value: Any) -> Any:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": value}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(part) for part in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": k, "value": _value(v)} for k, v in value.items()]}}
    return value


@fuzzed
@given(
    attributes=odd.oddly(_ATTRIBUTES, _ATTRIBUTE_NAMES),
    fields=st.dictionaries(st.sampled_from(_SPAN_FIELDS), odd.odd(), max_size=1),
    scope=st.sampled_from(_SCOPES),
)
@example(attributes={**_ATTRIBUTES, "duration": odd.Bare("NaN")}, fields={}, scope="x")
def test_otlp(
    sender: Sender, alice: User, attributes: dict[str, Any], fields: dict[str, Any], scope: str
) -> None:
    neighbour = f"good-{next(_numbers)}"
    scopes = [
        {"scope": {"name": scope}, "spans": [_span(attributes, **fields)]},
        {"scope": {"name": "x"}, "spans": [_span({**_ATTRIBUTES, "gen_ai.response.id": neighbour})]},
    ]
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": scopes}]}
    _check(sender.post("/v1/traces", odd.written(body)), alice, neighbour)


@settings(fuzzed, max_examples=max(EXAMPLES // 6, 5))
@given(
    native=st.lists(odd.oddly(_NATIVE, _NATIVE_FIELDS), min_size=6, max_size=6),
    litellm=st.lists(odd.oddly(_LITELLM, _LITELLM_FIELDS), min_size=3, max_size=3),
    otlp=st.lists(odd.oddly(_ATTRIBUTES, _ATTRIBUTE_NAMES), min_size=3, max_size=3),
)
def test_everything_can_be_read(
    sender: Sender, alice: User, admin: User, native: Any, litellm: Any, otlp: Any
) -> None:
    """Whatever was kept of odd records: every page, every file and the API show it."""
    for records, path, name in (
        (native, "/api/v1/usage", "request_id"),
        (litellm, "/api/v1/ingest/litellm", "id"),
    ):
        numbered = [{**one, name: f"{next(_numbers)}-{one.get(name)!r}"} for one in records]
        assert sender.post(path, odd.written(numbered)).status_code == 200
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [_span(attributes) for attributes in otlp]}]}]}
    assert sender.post("/v1/traces", odd.written(body)).status_code == 200
    check_rollups()
    everything.read_all(alice, admin)
