"""What is a call of a model, as each instrumentation tells it, and what only looks like one."""

from __future__ import annotations

from typing import Any

import pytest

from logs.ingest.formats import call_types
from logs.models import Status
from tests.dialects import event_of, read, written

LLM = {"openinference.span.kind": "LLM"}
OPENAI = "openinference.instrumentation.openai"

CALLS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # scope, attributes, {"name": of the span}
    ("ai", {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "gpt-4o"}, {}),
    ("ai", {"ai.operationId": "ai.streamText.doStream", "ai.model.id": "gpt-4o"}, {}),
    ("ai", {"ai.operationId": "ai.generateObject.doGenerate", "ai.model.id": "gpt-4o"}, {}),
    ("ai", {"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "text-embedding-3-small"}, {}),
    ("ai", {"ai.operationId": "ai.embedMany.doEmbed", "ai.model.id": "text-embedding-3-small"}, {}),
    ("ai", {"ai.model.id": "gpt-4o"}, {"name": "ai.generateText.doGenerate summarise"}),
    ("langsmith", {"langsmith.span.kind": "llm", "gen_ai.operation.name": "chat"}, {}),
    ("langsmith", {"langsmith.span.kind": "embedding"}, {}),
    (
        "semantic_kernel.connectors",
        {"gen_ai.operation.name": "chat.completions", "gen_ai.request.model": "gpt-4o"},
        {},
    ),
    (
        "Microsoft.SemanticKernel.Diagnostics",
        {"gen_ai.operation.name": "text.streaming_completions", "gen_ai.request.model": "m"},
        {},
    ),
    ("strands.telemetry.tracer", {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}, {}),
    ("gcp.vertex.agent", {"gen_ai.request.model": "gemini-2.5-flash"}, {"name": "call_llm"}),
    ("logfire.openai", {"url": "/audio/speech", "request_data": '{"model": "tts-1"}'}, {}),
    ("logfire.openai", {"url": "/audio/transcriptions", "request_data": '{"model": "whisper-1"}'}, {}),
    ("logfire.openai", {"url": "/images/edits", "request_data": '{"model": "gpt-image-1"}'}, {}),
    ("logfire.openai_agents", {"gen_ai.request.model": "gpt-4o"}, {"name": "Responses API with 'gpt-4o'"}),
    ("logfire.openai_agents", {"gen_ai.request.model": "gpt-4o"}, {"name": "Chat completion with 'gpt-4o'"}),
    ("logfire.openai_agents", {"gen_ai.request.model": "tts-1"}, {"name": "Text → Speech"}),
    (OPENAI, {**LLM, "input.value": '{"model": "gpt-image-1", "prompt": "A harbour"}'}, {}),
    (OPENAI, {**LLM, "input.value": '{"file": "clip.mp3", "language": "de"}'}, {}),
    (OPENAI, {**LLM, "input.value": "__REDACTED__"}, {}),
    (
        OPENAI,
        {"openinference.span.kind": "EMBEDDING", "embedding.invocation_parameters": '{"model": "e-3"}'},
        {},
    ),
    (
        "litellm",
        {"llm.openai.model": "gpt-4o", "llm.openai.messages": "[]", "llm.openai.usage": "{}"},
        {"name": "raw_gen_ai_request"},
    ),
    ("litellm", {"gen_ai.operation.name": "aresponses", "gen_ai.request.model": "m"}, {}),
    ("app", {"gen_ai.operation.name": "moderation", "gen_ai.request.model": "m"}, {}),
]

NO_CALLS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("ai", {"ai.operationId": "ai.generateText", "ai.usage.inputTokens": 9, "ai.model.id": "gpt-4o"}, {}),
    ("ai", {"ai.operationId": "ai.streamText", "ai.usage.inputTokens": 9, "ai.model.id": "gpt-4o"}, {}),
    ("ai", {"ai.operationId": "ai.embedMany", "ai.usage.tokens": 9, "ai.model.id": "e-3"}, {}),
    ("ai", {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "weather"}, {}),
    ("langsmith", {"langsmith.span.kind": "prompt", "gen_ai.operation.name": "chat"}, {}),
    ("langsmith", {"langsmith.span.kind": "chain", "gen_ai.usage.input_tokens": 9}, {}),
    ("langsmith", {"langsmith.span.kind": "retriever", "gen_ai.operation.name": "embeddings"}, {}),
    ("langsmith", {"langsmith.span.kind": "tool"}, {}),
    (
        "semantic_kernel.agents",
        {
            "gen_ai.operation.name": "chat", "gen_ai.agent.id": "7", "gen_ai.request.model": "m",
        },
        {},
    ),
    (
        "strands.telemetry.tracer",
        {
            "gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m",
            "gen_ai.usage.input_tokens": 900,
        },
        {},
    ),
    ("strands.telemetry.tracer", {"gen_ai.operation.name": "execute_event_loop_cycle"}, {}),
    ("gcp.vertex.agent", {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m"}, {}),
    ("gcp.vertex.agent", {"gen_ai.operation.name": "execute_tool"}, {"name": "execute_tool search"}),
    (
        "pydantic-ai",
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.aggregated_usage.input_tokens": 12},
        {"name": "agent run"},
    ),
    ("logfire.openai", {"url": "/responses/resp_1", "request_data": '{"model": "gpt-4o"}'}, {}),
    ("logfire.openai_agents", {"gen_ai.system": "openai"}, {"name": "Agent run: 'porter'"}),
    ("logfire.openai_agents", {"gen_ai.system": "openai"}, {"name": "Function: weather"}),
    ("logfire.openai_agents", {"gen_ai.system": "openai"}, {"name": "Text → Speech group"}),
    ("logfire.openai", {"url": "/files", "request_data": "{}"}, {}),
    ("logfire.openai_agents", {"gen_ai.system": "openai", "name": "helper"}, {}),
    ("logfire.openai", {"url": "/models", "request_data": "{}"}, {}),
    (OPENAI, {**LLM, "llm.model_name": "gpt-4o", "llm.token_count.prompt": 9, "input.value": "{}"}, {}),
    (OPENAI, {**LLM, "llm.model_name": "gpt-4o", "input.value": '{"timeout": 30}'}, {}),
    ("openinference.instrumentation.langchain", {"openinference.span.kind": "CHAIN"}, {}),
    ("openinference.instrumentation.langchain", {"openinference.span.kind": "PROMPT"}, {}),
    ("openinference.instrumentation.langchain", {"openinference.span.kind": "RETRIEVER"}, {}),
    ("litellm", {"gen_ai.operation.name": "aget_responses", "gen_ai.request.model": "gpt-4o",
                 "gen_ai.usage.input_tokens": 9}, {}),
    ("litellm", {"litellm.call_type": "call_mcp_tool", "gen_ai.operation.name": "chat",
                 "gen_ai.request.model": "MCP: weather"}, {}),
    ("litellm", {"llm.openai.model": "gpt-4o"}, {"name": "raw_gen_ai_request"}),
    ("app", {"gen_ai.operation.name": "fetch_response", "gen_ai.request.model": "m",
             "gen_ai.usage.input_tokens": 9}, {}),
    ("app", {"gen_ai.operation.name": "execute_tool", "gen_ai.request.model": "m"}, {}),
    ("app", {"http.request.method": "POST", "url.path": "/v1/chat/completions"}, {}),
    ("app", {"llm.request.type": "rerankings"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("scope", "given", "more"), CALLS)
def test_a_call(scope: str, given: dict[str, Any], more: dict[str, Any]) -> None:
    assert read(given, scope, **more) is not None
    assert event_of(given, scope, error="Connection error.", **more).status is Status.ERROR


@pytest.mark.parametrize(("scope", "given", "more"), NO_CALLS)
def test_no_call(scope: str, given: dict[str, Any], more: dict[str, Any]) -> None:
    assert read(given, scope, **more) is None


@pytest.mark.parametrize(
    "call_type",
    [
        "aget_responses", "get_responses", "adelete_responses", "acancel_responses", "alist_input_items",
        "call_mcp_tool", "list_mcp_tools", "aretrieve_batch", "acancel_batch", "alist_batches",
        "afile_content", "acreate_file", "avideo_status", "avideo_content", "avector_store_search",
        "vector_store_create", "arun_thread_management", "GET_RESPONSES",
    ],
)  # fmt: skip
def test_retrievals_and_tools_are_no_calls(call_type: str) -> None:
    assert call_types.is_no_call(call_type)


@pytest.mark.parametrize(
    "call_type",
    [
        "completion", "acompletion", "aresponses", "responses", "aembedding", "aspeech", "atranscription",
        "aimage_generation", "aimage_edit", "arerank", "anthropic_messages", "agenerate_content",
        "acreate_batch", "create_video", "amoderation", "atext_completion", "arealtime", "",
    ],
)  # fmt: skip
def test_calls_of_models_are_calls(call_type: str) -> None:
    assert not call_types.is_no_call(call_type)


def test_a_failed_embedding_has_the_model_that_was_asked() -> None:
    event = event_of(
        {
            "openinference.span.kind": "EMBEDDING",
            "embedding.invocation_parameters": written(
                {"model": "text-embedding-3-large", "dimensions": 256}
            ),
        },
        OPENAI,
        error="Error code: 401 - {'error': {'message': 'Incorrect API key', 'code': 'invalid_api_key'}}",
    )
    assert (event.model, event.endpoint, event.http_status) == ("text-embedding-3-large", "embedding", 401)
    assert event.parameters == {"dimensions": 256}


def test_version_1_of_litellm_tells_a_success_only_as_the_request_to_the_provider() -> None:
    event = event_of(
        {
            "llm.openai.model": "gpt-4o-2024-08-06",
            "llm.openai.id": "chatcmpl-raw",
            "llm.openai.object": "chat.completion",
            "llm.openai.stream": "True",
            "llm.openai.service_tier": "flex",
            "llm.openai.usage": str(
                {
                    "prompt_tokens": 40, "completion_tokens": 9, "total_tokens": 49,
                    "prompt_tokens_details": {"cached_tokens": 32, "audio_tokens": 0},
                }
            ),
        },
        "litellm",
        name="raw_gen_ai_request",
    )  # fmt: skip
    assert (event.request_id, event.model, event.provider) == ("chatcmpl-raw", "gpt-4o-2024-08-06", "openai")
    assert (event.input_tokens, event.output_tokens, event.cached_tokens) == (40, 9, 32)
    assert (event.stream, event.endpoint, event.billing) == (True, "chat", {"service_tier": "flex"})
