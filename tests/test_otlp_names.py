"""The names that instrumentations give to what a span holds: each is understood, none counted twice."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from logs.ingest.formats import otlp
from logs.ingest.formats.spans import names
from logs.models import Status
from tests.spans import CHAT, attributes, request, span


def read(given: dict[str, Any], **more: Any) -> Any:
    spans = otlp.decode(json.dumps(request(span(given, **more))).encode(), otlp.JSON)
    assert not spans.rejected
    return spans.readings[0][1].event if spans.readings else None


def test_old_and_new_names_together_are_never_added() -> None:
    event = read({**CHAT, "gen_ai.usage.prompt_tokens": 100, "gen_ai.usage.completion_tokens": 10})
    assert (event.input_tokens, event.output_tokens) == (100, 10)


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        *(({name: 7}, "cached_tokens", 7) for name in names.CACHED),
        *(({name: 7}, "cache_write_tokens", 7) for name in names.WRITTEN),
        *(({name: 7}, "reasoning_tokens", 7) for name in names.REASONING),
        *(({name: 0.25}, "cost", Decimal("0.25")) for name in names.COST),
        *(({name: True}, "stream", True) for name in names.STREAM),
        *(({name: "k"}, "token", "k") for name in names.TOKEN),
        *(({name: "u"}, "user", "u") for name in names.USER),
        *(({name: "g"}, "group", "g") for name in names.GROUP),
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
