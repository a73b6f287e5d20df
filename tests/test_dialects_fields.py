"""What spans tell beside tokens and errors: units of time, IDs, tiers, who called, content."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.dialects import event_of, written

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
LLM = {"openinference.span.kind": "LLM", "llm.model_name": "m"}
VERCEL = {"ai.operationId": "ai.streamText.doStream", "ai.model.id": "m", "ai.model.provider": "openai.chat"}
STRANDS = {**CHAT, "gen_ai.system": "strands-agents"}
TOKEN_AT: list[Any] = [("First Token Stream Event", 0.75, {})]


@pytest.mark.parametrize(
    ("scope", "given", "events", "ms"),
    [
        ("app", {**CHAT, "gen_ai.response.time_to_first_chunk": 0.812}, [], 812),
        ("app", {**CHAT, "gen_ai.server.time_to_first_token": 0.812}, [], 812),
        ("strands.telemetry.tracer", {**CHAT, "gen_ai.server.time_to_first_token": 812}, [], 812),
        (
            "app",
            {**CHAT, "gen_ai.system": "strands-agents", "gen_ai.server.time_to_first_token": 812},
            [],
            812,
        ),
        ("ai", {**VERCEL, "ai.response.msToFirstChunk": 812.4}, [], 812),
        ("ai", VERCEL, [("ai.stream.firstChunk", 0.25, {"ai.response.msToFirstChunk": 250})], 250),
        ("openinference.instrumentation.openai", LLM, TOKEN_AT, 750),
        ("app", {**CHAT, "gen_ai.response.time_to_first_chunk": -1}, [], None),
        ("app", {**CHAT, "gen_ai.response.time_to_first_chunk": 1e300}, [], None),
        ("app", {**CHAT, "gen_ai.response.time_to_first_chunk": float("nan")}, [], None),
        ("app", CHAT, [("gen_ai.choice", 0.5, {})], None),
    ],
)
def test_the_time_to_the_first_token_is_in_milliseconds(
    scope: str, given: dict[str, Any], events: list[Any], ms: int | None
) -> None:
    event = event_of(given, scope, events=events)
    assert (event.ttft_ms, event.duration_ms) == (ms, 2000)


@pytest.mark.parametrize(
    ("scope", "given", "request_id", "upstream"),
    [
        ("app", {**CHAT, "gen_ai.response.id": "resp_1", "aws.request_id": "0c9b-5"}, "resp_1", "0c9b-5"),
        ("app", {**CHAT, "gen_ai.response.id": "resp_1", "apim-request-id": "5e1f"}, "resp_1", "5e1f"),
        ("app", {**CHAT, "gen_ai.response.id": "resp_1", "http.response.header.x-request-id": ["req_9"]},
         "resp_1", "req_9"),
        ("app", {**CHAT, "gen_ai.response.id": "resp_1", "http.response.header.x_request_id": ["req_9"]},
         "resp_1", "req_9"),
        ("app", {**CHAT, "gen_ai.response.id": "resp_1", "app.request_id": "mine"}, "resp_1", None),
        # What the client sent under such a name is its own.
        ("app", {**CHAT, "gen_ai.response.id": "resp_1", "http.request.header.x-request-id": ["req_9"]},
         "resp_1", None),
        ("app", {**CHAT, "gen_ai.response.id": "resp_1", "az.service_request_id": "5e1f"}, "resp_1", "5e1f"),
        ("openinference.instrumentation.openai", {**LLM, "output.value": written({"id": "chatcmpl-4"})},
         "chatcmpl-4", None),
        ("openinference.instrumentation.langchain", {**LLM, "output.value": written({
            "generations": [[{"text": "Hi", "message": {"kwargs": {
                "id": "lc_run--0198", "response_metadata": {"id": "chatcmpl-5"}}}}]]})}, "chatcmpl-5", None),
        ("langsmith", {"langsmith.span.kind": "llm", "gen_ai.completion": written({
            "generations": [[{"text": "Hi", "message": {"kwargs": {"id": "msg_6"}}}]]})}, "msg_6", None),
        ("ai", {**VERCEL, "ai.response.id": "chatcmpl-7"}, "chatcmpl-7", None),
        ("litellm", {**CHAT, "gen_ai.response.id": "chatcmpl-8", "litellm.call_id": "c-8"}, "chatcmpl-8",
         "c-8"),
        ("litellm", {**CHAT, "gen_ai.response.id": "c-9", "litellm.call_id": "c-9"}, "c-9", None),
        ("semantic_kernel.connectors", {**CHAT, "gen_ai.response.id": "None"}, None, None),
    ],
)  # fmt: skip
def test_ids_are_found(
    scope: str, given: dict[str, Any], request_id: str | None, upstream: str | None
) -> None:
    event = event_of(given, scope)
    assert event.upstream_request_id == upstream
    spans_own = (event.metadata or {})["span_id"]
    assert event.request_id == (request_id or spans_own)


@pytest.mark.parametrize(
    ("scope", "given", "asked", "served"),
    [
        ("app", {**CHAT, "gen_ai.openai.request.service_tier": "flex",
                 "gen_ai.openai.response.service_tier": "default"}, "flex", "default"),
        ("app", {**CHAT, "gen_ai.request.service_tier": "priority"}, "priority", None),
        ("app", {**CHAT, "openai.response.service_tier": "priority"}, None, "priority"),
        ("openinference.instrumentation.openai", {
            **LLM, "llm.invocation_parameters": '{"service_tier": "auto", "temperature": 0}',
            "output.value": '{"id": "x", "service_tier": "flex"}'}, "auto", "flex"),
        ("ai", {**VERCEL, "ai.response.providerMetadata": '{"openai": {"serviceTier": "flex"}}'}, None,
         "flex"),
        ("logfire.openai", {**CHAT, "gen_ai.openai.response.service_tier": "priority"}, None, "priority"),
    ],
)  # fmt: skip
def test_the_tier_that_was_asked_for_and_the_one_that_served(
    scope: str, given: dict[str, Any], asked: str | None, served: str | None
) -> None:
    event = event_of(given, scope)
    assert (event.parameters or {}).get("service_tier") == asked
    assert event.billing == ({"service_tier": served} if served else None)


def test_the_ai_sdk_tells_who_called_and_what_was_said() -> None:
    event = event_of(
        {
            **VERCEL,
            "ai.telemetry.metadata.userId": "u-5",
            "ai.telemetry.metadata.apiKeyName": "shop",
            "ai.telemetry.metadata.teamName": "warehouse",
            "ai.telemetry.metadata.sessionId": "s-1",
            "ai.prompt.messages": written([{"role": "user", "content": "Where is it?"}]),
            "ai.response.text": "In Lindau.",
            "ai.response.finishReason": "stop",
            "ai.settings.maxRetries": 2,
            "gen_ai.request.temperature": 0.5,
        },
        "ai",
    )
    assert (event.user, event.token, event.group) == ("u-5", "shop", "warehouse")
    assert (event.stream, event.provider) == (True, "openai")
    assert event.endpoint == "ai.streamText.doStream"
    assert event.parameters == {"maxRetries": 2, "temperature": 0.5}
    assert event.input is not None
    assert event.output is not None
    assert json.loads(bytes(event.input))[0]["content"] == "Where is it?"
    assert json.loads(bytes(event.output)) == "In Lindau."
    told = event.metadata or {}
    assert (told["session_id"], told["finish_reasons"]) == ("s-1", ["stop"])


def test_without_a_name_the_service_is_the_key() -> None:
    assert event_of(VERCEL, "ai").token == "demo"


def test_the_route_that_the_proxy_was_asked_for_is_the_endpoint() -> None:
    route = {"litellm.request.route": "/v1/chat/completions", "litellm.call_type": "acompletion"}
    assert event_of({**CHAT, **route}, "litellm").endpoint == "/v1/chat/completions"
    assert event_of({**CHAT, "litellm.call_type": "acompletion"}, "litellm").endpoint == "acompletion"


def test_names_of_frameworks_are_no_providers() -> None:
    for scope, name in (
        ("strands.telemetry.tracer", "strands-agents"),
        ("gcp.vertex.agent", "gcp.vertex.agent"),
    ):
        assert event_of({**CHAT, "gen_ai.system": name}, scope).provider is None
    given = {
        "langsmith.span.kind": "llm",
        "gen_ai.system": "langchain",
        "langsmith.metadata.ls_provider": "openai",
    }
    assert event_of(given, "langsmith").provider == "openai"


@pytest.mark.parametrize(("cost", "kept"), [(0, None), (0.002, "0.002"), (-1, None), ("nan", None)])
def test_a_cost_of_nothing_is_none_where_litellm_knows_no_price(cost: Any, kept: str | None) -> None:
    event = event_of({**CHAT, "gen_ai.usage.input_tokens": 5, "litellm.cost.total": cost}, "litellm")
    assert event.cost == (None if kept is None else Decimal(kept))


def test_speech_of_logfire_is_a_call_without_tokens() -> None:
    event = event_of(
        {
            "url": "/audio/speech",
            "request_data": written({"model": "tts-1", "voice": "alloy", "input": "Hi"}),
        },
        "logfire.openai",
    )
    assert (event.model, event.endpoint, event.input_tokens) == ("tts-1", "/audio/speech", 0)
