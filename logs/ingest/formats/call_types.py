"""What is a call of a model, by the names that conventions and LiteLLM give to what was done.

Retrieving what a model answered before, listing, cancelling, files, threads and tools are no calls: some log
the tokens and the cost of the call once more. Work that a call submits (a batch, a video) is one.
"""

from __future__ import annotations

MODEL_OPERATIONS = frozenset({
    "chat", "chat.completions", "chat.streaming_completions", "chat_completion", "completion", "decision",
    "text_completion", "text.completions", "text.streaming_completions", "generate_content",
    "generate_content_stream", "generate", "embedding", "embeddings", "llm", "message", "messages",
    "response", "responses", "image_generation", "image_edit", "image_variation", "speech", "transcription",
    "translation", "moderation", "rerank", "reranker", "anthropic_messages", "ocr", "audio",
})  # fmt: skip
"""``gen_ai.operation.name``, ``llm.request.type`` and ``openinference.span.kind`` of calls, in small letters.
LiteLLM's call types are among them, where asynchronous ones begin with one more ``a``."""

OTHER_OPERATIONS = frozenset({
    "agent", "chain", "create_agent", "evaluator", "execute_tool", "fetch_response", "guardrail",
    "invoke_agent", "invoke_workflow", "retrieval", "retriever", "task", "tool", "workflow", "prompt",
    "parser", "unknown", "compact_events", "execute_event_loop_cycle", "plan", "handoff",
})  # fmt: skip
"""What agents, chains, tools and prompts are called."""

_NO_CALLS = frozenset({
    "get_responses", "delete_responses", "cancel_responses", "list_input_items", "fetch_response",
    "retrieve_batch", "cancel_batch", "list_batches", "file_retrieve", "file_delete", "file_list",
    "file_content", "create_file", "cancel_fine_tuning_job", "list_fine_tuning_jobs",
    "retrieve_fine_tuning_job", "get_assistants", "create_assistants", "delete_assistant", "create_thread",
    "get_thread", "add_message", "_add_message", "get_messages", "video_retrieve", "video_content",
    "video_list", "video_status", "video_retrieve_job", "video_delete", "video_get_character", "ingest",
    "create_container", "list_containers", "retrieve_container", "delete_container", "list_container_files",
    "upload_container_file", "create_sandbox", "delete_sandbox", "run_code", "code_interpreter_tool",
    "call_mcp_tool", "list_mcp_tools", "get_interactions", "get_interaction", "delete_interaction",
    "cancel_interaction", "create_realtime_client_secret", "create_realtime_transcription_session",
    "create_realtime_translation_client_secret", "count_tokens", "health_check", "list_models", "get_model",
})  # fmt: skip
_NO_CALL_PREFIXES = ("vector_store_", "skill", "create_skill", "list_skill", "get_skill", "delete_skill")
"""LiteLLM's call types of what is no call (its ``CallTypes``, 1.110), without the ``a`` of asynchronous
ones."""


def is_no_call(call_type: str) -> bool:
    """Tell whether LiteLLM's call type names a retrieval, a tool or housekeeping."""
    bare = call_type.lower()
    if bare.endswith("_management"):
        return True
    return any(
        name in _NO_CALLS or name.startswith(_NO_CALL_PREFIXES) for name in (bare, bare.removeprefix("a"))
    )


def is_of_model(operation: str) -> bool:
    """Tell whether an operation in small letters is one of a model."""
    return operation in MODEL_OPERATIONS or operation.removeprefix("a") in MODEL_OPERATIONS
