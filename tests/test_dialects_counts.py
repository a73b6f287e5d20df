"""Tokens and what else was used, as each instrumentation counts: the record read is the usage."""

from __future__ import annotations

from typing import Any

import pytest

from logs.models.events import COUNTS_READ
from tests.dialects import event_of, written

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
CLAUDE = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-sonnet-4-5"}
LLM = {"openinference.span.kind": "LLM", "llm.model_name": "m"}
VERCEL = {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "m"}
LANGSMITH = {"langsmith.span.kind": "llm", "gen_ai.request.model": "m"}
FIELDS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")


def dotted(cached: int, written_: int) -> dict[str, int]:
    return {
        "gen_ai.usage.cache_read.input_tokens": cached,
        "gen_ai.usage.cache_creation.input_tokens": written_,
    }


def old(cached: int, written_: int) -> dict[str, int]:
    return {
        "gen_ai.usage.cache_read_input_tokens": cached,
        "gen_ai.usage.cache_creation_input_tokens": written_,
    }


def used(given: int, made: int, total: int | None = None) -> dict[str, int]:
    found = {"gen_ai.usage.input_tokens": given, "gen_ai.usage.output_tokens": made}
    return found if total is None else {**found, "gen_ai.usage.total_tokens": total}


ANTHROPIC = {"gen_ai.provider.name": "anthropic"}
INCLUDED = {"llm.token_count.prompt": 900, "llm.token_count.completion": 40,
            "llm.token_count.prompt_details.cache_read": 500,
            "llm.token_count.prompt_details.cache_write": 300}  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "given", "right"),
    [
        # The conventions' names with dots mean included counts, whoever writes them.
        ("app", {**CLAUDE, **ANTHROPIC, **used(900, 40), **dotted(500, 300)}, (900, 40, 500, 300, None)),
        ("anthropic",
         {**CLAUDE, **ANTHROPIC, **used(900, 40), **dotted(500, 300)}, (900, 40, 500, 300, None)),
        # Under the old names Anthropic's own counts are handed on.
        ("app", {**CLAUDE, **ANTHROPIC, **used(900, 40), **old(500, 300)}, (1700, 40, 500, 300, None)),
        ("app", {**CHAT, "gen_ai.system": "aws.bedrock", **used(900, 40), **old(500, 300)},
         (1700, 40, 500, 300, None)),
        ("app", {**CHAT, "gen_ai.system": "openai", **used(900, 40), **old(500, 300)},
         (900, 40, 500, 300, None)),
        # The total decides before all that.
        ("app", {**CLAUDE, **ANTHROPIC, **used(900, 40, 1740), **old(500, 300)}, (1700, 40, 500, 300, None)),
        ("app", {**CLAUDE, **ANTHROPIC, **used(900, 40, 940), **old(500, 300)}, (900, 40, 500, 300, None)),
        ("app", {**CHAT, **used(900, 40, 1740), **dotted(500, 300)}, (1700, 40, 500, 300, None)),
        # Size, where nothing is as it should be.
        ("app", {**CHAT, **used(9, 40), **dotted(500, 300)}, (809, 40, 500, 300, None)),
        # By scope: who adds up, and who does not.
        ("opentelemetry.instrumentation.anthropic",
         {**CLAUDE, **ANTHROPIC, **used(900, 40), **old(500, 300)}, (900, 40, 500, 300, None)),
        ("opentelemetry.instrumentation.bedrock",
         {**CHAT, **used(900, 40, 940), **old(500, 300)}, (1700, 40, 500, 300, None)),
        ("opentelemetry.instrumentation.botocore.bedrock-runtime",
         {**CHAT, **used(900, 40), **dotted(500, 300)}, (1700, 40, 500, 300, None)),
        ("openinference.instrumentation.anthropic",
         {**LLM, "llm.provider": "anthropic", **INCLUDED}, (900, 40, 500, 300, None)),
        ("openinference.instrumentation.bedrock",
         {**LLM, "llm.provider": "aws", **INCLUDED, "llm.token_count.total": 940},
         (1700, 40, 500, 300, None)),
        ("openinference.instrumentation.bedrock",
         {**LLM, "llm.provider": "aws", **INCLUDED, "llm.token_count.total": 1740},
         (1700, 40, 500, 300, None)),
        ("openinference.instrumentation.bedrock",
         {**LLM, "llm.provider": "aws", "llm.system": "anthropic", **INCLUDED}, (900, 40, 500, 300, None)),
        ("logfire.anthropic", {**CLAUDE, **ANTHROPIC, **used(900, 40), "gen_ai.usage.raw": written(
            {"input_tokens": 100, "output_tokens": 40, "cache_read_input_tokens": 500,
             "cache_creation_input_tokens": 300})}, (900, 40, 500, 300, None)),
        ("logfire.openai_agents", {"gen_ai.request.model": "gpt-4o", **used(900, 40), "usage": written(
            {"requests": 1, "input_tokens": 900, "output_tokens": 40, "total_tokens": 940,
             "input_tokens_details": {"cached_tokens": 500},
             "output_tokens_details": {"reasoning_tokens": 30}})},
         (900, 40, 500, None, 30)),
        ("pydantic-ai",
         {**CLAUDE, **ANTHROPIC, **used(900, 40), "gen_ai.usage.details.cache_read_tokens": 500,
                         "gen_ai.usage.details.cache_write_tokens": 300}, (900, 40, 500, 300, None)),
        ("litellm", {**CLAUDE, **ANTHROPIC, **used(900, 40), **old(500, 300)}, (900, 40, 500, 300, None)),
        ("strands.telemetry.tracer", {
            **CHAT, "gen_ai.system": "strands-agents", **used(900, 40, 1740),
            "gen_ai.usage.cache_read_input_tokens": 500, "gen_ai.usage.cache_write_input_tokens": 300},
         (1700, 40, 500, 300, None)),
        # Thinking.
        ("app",
         {**CHAT, **used(100, 40), "gen_ai.usage.reasoning.output_tokens": 30}, (100, 40, 0, None, 30)),
        ("app", {**CHAT, **used(100, 40, 170), "gen_ai.usage.reasoning_tokens": 30}, (100, 70, 0, None, 30)),
        ("opentelemetry.instrumentation.google_generativeai",
         {**CHAT, **used(100, 40), "llm.usage.total_tokens": 170}, (100, 70, 0, None, 30)),
        ("app", {**CHAT, "gen_ai.response.model": "gemini-2.5-pro", **used(100, 40, 170)},
         (100, 70, 0, None, 30)),
        # The AI SDK of Vercel, versions 4 to 6.
        ("ai", {**VERCEL, "ai.usage.promptTokens": 100, "ai.usage.completionTokens": 40},
         (100, 40, 0, None, None)),
        ("ai", {**VERCEL, "ai.model.provider": "openai.responses", "ai.usage.inputTokens": 900,
                "ai.usage.outputTokens": 70, "ai.usage.totalTokens": 970, "ai.usage.reasoningTokens": 30,
                "ai.usage.cachedInputTokens": 500}, (900, 70, 500, None, 30)),
        ("ai", {**VERCEL, "ai.model.provider": "anthropic.messages", "ai.usage.inputTokens": 900,
                "ai.usage.outputTokens": 40, "ai.usage.totalTokens": 940, "ai.usage.cachedInputTokens": 500,
                "ai.response.providerMetadata": written({"anthropic": {"cacheCreationInputTokens": 300}})},
         (1700, 40, 500, 300, None)),
        ("ai", {**VERCEL, "ai.model.provider": "anthropic.messages", "ai.usage.inputTokens": 900,
                "ai.usage.outputTokens": 40, "ai.usage.totalTokens": 940,
                "ai.usage.inputTokenDetails.noCacheTokens": 100,
                "ai.usage.inputTokenDetails.cacheReadTokens": 500,
                "ai.usage.inputTokenDetails.cacheWriteTokens": 300,
                "ai.usage.outputTokenDetails.reasoningTokens": 12}, (900, 40, 500, 300, 12)),
        ("ai", {"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "m", "ai.usage.tokens": 12},
         (12, 0, 0, None, None)),
        # LangSmith: in three places, as JSON or as Python writes it.
        ("langsmith", {**LANGSMITH, **used(900, 70), "gen_ai.usage.input_token_details": written(
            {"cache_read": 500, "cache_creation": 300}),
            "gen_ai.usage.output_token_details": written({"reasoning": 30})}, (900, 70, 500, 300, 30)),
        ("langsmith",
         {**LANGSMITH, **used(900, 70), "gen_ai.usage.input_token_details": "{'cache_read': 500}",
                       "gen_ai.usage.output_token_details": "{'reasoning': 30}"}, (900, 70, 500, None, 30)),
        ("langsmith", {**LANGSMITH, "langsmith.metadata.usage_metadata": written(
            {"input_tokens": 900, "output_tokens": 70, "total_tokens": 970,
             "input_token_details": {"cache_read": 500}, "output_token_details": {"reasoning": 30}})},
         (900, 70, 500, None, 30)),
        # Semantic Kernel's former names.
        ("semantic_kernel.connectors", {**CHAT, "gen_ai.operation.name": "chat.completions",
                                        "gen_ai.response.prompt_tokens": 100,
                                        "gen_ai.response.completion_tokens": 40}, (100, 40, 0, None, None)),
        # Usage that only the answer itself tells.
        ("openinference.instrumentation.openai", {**LLM, "output.value": written(
            {"created": 1, "data": [{"url": "https://images.example/1.png"}],
             "usage": {"input_tokens": 50, "output_tokens": 4160, "total_tokens": 4210,
                       "input_tokens_details": {"text_tokens": 20, "image_tokens": 30}}})},
         (50, 4160, 0, None, None)),
        ("openinference.instrumentation.openai", {**LLM, "input.value": '{"file": "a.mp3"}',
                                                  "output.value": written(
            {"text": "Hello.", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 45,
                                         "total_tokens": 59, "input_token_details": {"audio_tokens": 14}}})},
         (14, 45, 0, None, None)),
        # Gemini's own object: thinking and tools beside.
        ("app", {**CHAT, "gen_ai.usage.raw": written(
            {"promptTokenCount": 100, "candidatesTokenCount": 40, "thoughtsTokenCount": 30,
             "toolUsePromptTokenCount": 10, "totalTokenCount": 180})}, (110, 70, 0, None, 30)),
    ],
)  # fmt: skip
def test_the_usage_is_read(scope: str, given: dict[str, Any], right: tuple[int | None, ...]) -> None:
    event = event_of(given, scope)
    assert tuple(getattr(event, name) for name in FIELDS) == right
    assert "contradiction" not in (event.metadata or {}).get(COUNTS_READ, {})


def test_what_contradicts_itself_is_kept_as_sent_and_marked() -> None:
    event = event_of({**CHAT, **used(100, 40, 77)})
    assert (event.input_tokens, event.output_tokens) == (100, 40)
    assert (event.metadata or {})[COUNTS_READ] == {
        "sent": {"input": 100, "output": 40, "total": 77},
        "contradiction": True,
    }


@pytest.mark.parametrize(
    ("scope", "given", "quantities", "more"),
    [
        (
            "app",
            {**CHAT, **used(900, 40), "gen_ai.usage.audio.input_tokens": 80,
             "gen_ai.usage.audio.output_tokens": 20, "gen_ai.usage.image.input_tokens": 70,
             "gen_ai.usage.image.output_tokens": 10, "gen_ai.usage.audio.cache_read.input_tokens": 30,
             "gen_ai.usage.cache_read.input_tokens": 60},
            {"cached_audio_tokens": 30, "image_input_tokens": 70, "image_output_tokens": 10},
            {"audio_input_tokens": 80, "audio_output_tokens": 20},
        ),
        (
            "app",
            {**CLAUDE, **ANTHROPIC, **used(900, 40), **dotted(0, 300),
             "gen_ai.usage.cache_creation.ephemeral_1h_input_tokens": 200,
             "gen_ai.usage.cache_creation.ephemeral_5m_input_tokens": 100},
            {"cache_write_1h_tokens": 200},
            {"cache_write_tokens": 300},
        ),
        (
            "logfire.anthropic",
            {**CLAUDE, **used(900, 40), "gen_ai.usage.raw": written(
                {"input_tokens": 600, "output_tokens": 40, "cache_creation_input_tokens": 300,
                 "cache_read_input_tokens": 0, "server_tool_use": {"web_search_requests": 2},
                 "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}})},
            {"cache_write_1h_tokens": 200, "web_search_count": 2},
            {"cache_write_tokens": 300},
        ),
        (
            "openinference.instrumentation.openai",
            {**LLM, "input.value": '{"file": "a.mp3"}', "output.value": written(
                {"text": "Hello.", "duration": 12.34, "usage": {"type": "duration", "seconds": 13}})},
            {"audio_seconds": 12.34},
            {"input_tokens": 0},
        ),
        (
            "openinference.instrumentation.openai",
            {**LLM, "output.value": written(
                {"created": 1, "data": [{"b64_json": "x"}, {"b64_json": "y"}],
                 "usage": {"input_tokens": 50, "output_tokens": 90, "total_tokens": 140,
                           "input_tokens_details": {"text_tokens": 20, "image_tokens": 30},
                           "output_tokens_details": {"image_tokens": 90}}})},
            {"image_input_tokens": 30, "image_output_tokens": 90},
            {"image_count": 2},
        ),
        (
            "ai",
            {**VERCEL, "ai.model.provider": "anthropic.messages", "ai.usage.inputTokens": 10,
             "ai.usage.outputTokens": 40, "ai.response.providerMetadata": written(
                 {"anthropic": {"usage": {"server_tool_use": {"web_search_requests": 3}},
                                "cacheCreationInputTokens": 0}})},
            {"web_search_count": 3},
            {"input_tokens": 10},
        ),
        (
            "app",
            {**CHAT, "gen_ai.usage.raw": written(
                {"promptTokenCount": 300, "candidatesTokenCount": 50, "totalTokenCount": 350,
                 "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100},
                                         {"modality": "AUDIO", "tokenCount": 200}],
                 "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 50}]})},
            {"image_output_tokens": 50},
            {"audio_input_tokens": 200},
        ),
    ],
)  # fmt: skip
def test_kinds_of_tokens_and_what_else_was_used(
    scope: str, given: dict[str, Any], quantities: dict[str, Any], more: dict[str, Any]
) -> None:
    event = event_of(given, scope)
    assert event.quantities == quantities
    assert {name: getattr(event, name) for name in more} == more


def test_an_embedding_has_no_images() -> None:
    listed = written({"data": [{"embedding": [0.1]}], "model": "e-3", "usage": {"prompt_tokens": 3}})
    kind = {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "e-3"}
    event = event_of({**kind, "output.value": listed}, "openinference.instrumentation.openai")
    assert (event.image_count, event.input_tokens) == (None, 3)


@pytest.mark.parametrize("nonsense", ["many", "", True, [1], -5, "12.5", 10**30, float("inf")])
def test_counts_that_are_none_are_nothing(nonsense: Any) -> None:
    event = event_of({**CHAT, "gen_ai.usage.input_tokens": nonsense, "gen_ai.usage.output_tokens": 4})
    assert 0 <= event.input_tokens < 2**63
    assert event.output_tokens == 4


@pytest.mark.parametrize("name", ["bedrock.converse", "bedrock.converse_stream"])
@pytest.mark.parametrize(("prompt", "total"), [(900, 940), (100, 940)])
def test_openinference_adds_up_what_converse_counts(name: str, prompt: int, total: int) -> None:
    """Since 0.1.61 the prompt holds what was cached; before, the total tells that it lies beside."""
    given = {**LLM, "llm.provider": "aws", **INCLUDED, "llm.token_count.prompt": prompt}
    event = event_of(
        {**given, "llm.token_count.total": total}, "openinference.instrumentation.bedrock", name=name
    )
    assert (event.input_tokens, event.output_tokens, event.cached_tokens) == (900, 40, 500)
