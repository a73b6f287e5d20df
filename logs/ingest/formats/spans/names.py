"""The names of attributes, by what they tell; the ones first that say it best.

Source: the GenAI semantic conventions old and new, and the instrumentations of `logs.ingest.formats.spans`,
as their releases of 2026 send them. Where old and new names come together they say the same thing: the
first one that says something counts, and nothing is ever added up. ``gen_ai.aggregated_usage.*`` of agents
is not read.
"""

from __future__ import annotations

OPERATION = ("gen_ai.operation.name", "llm.request.type", "openinference.span.kind")
RESPONSE_MODEL = ("gen_ai.response.model", "llm.response.model_name", "ai.response.model",
                  "decision.response.model_name")  # fmt: skip
REQUEST_MODEL = (
    "gen_ai.request.model", "llm.model_name", "llm.request.model_name", "embedding.model_name",
    "reranker.model_name", "llm.request.model", "ai.model.id", "decision.model_name",
)  # fmt: skip
PROVIDER = (
    "gen_ai.provider.name", "gen_ai.system", "gen_ai.model.provider", "llm.provider", "llm.system",
    "decision.provider",
)  # fmt: skip
RESPONSE_ID = ("gen_ai.response.id", "llm.response.id", "ai.response.id")
CALL_ID = ("litellm.call_id", "gen_ai.request.id")
PROVIDER_ID = (
    "aws.request_id", "aws.requestId", "az.service_request_id", "anthropic.request.id",
    "gen_ai.response.request_id", "gen_ai.openai.request_id", "openai.request_id", "azure.request_id",
)  # fmt: skip
"""The provider's own ID of the request, as its answer's headers have it."""
PROVIDER_HEADERS = frozenset({
    "apim-request-id", "x-request-id", "request-id", "x-amzn-requestid", "x-amz-request-id",
    "x-ms-request-id", "x-goog-request-id",
})  # fmt: skip
"""Such headers: the last part of an attribute's name."""
CLIENT_ID = ("az.client_request_id", "gen_ai.request.client_request_id")
"""The ID that the client gave a request."""
INPUT = (
    "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt",
    "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens", "llm.usage.prompt_tokens",
    "gen_ai.response.prompt_tokens", "decision.token_count.input",
)  # fmt: skip
OUTPUT = (
    "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
    "ai.usage.outputTokens", "ai.usage.completionTokens", "llm.usage.completion_tokens",
    "gen_ai.response.completion_tokens", "decision.token_count.output",
)  # fmt: skip
TOTAL = (
    "gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total", "ai.usage.totalTokens",
)  # fmt: skip
CACHED_DOTTED = ("gen_ai.usage.cache_read.input_tokens",)
WRITTEN_DOTTED = ("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens")
CACHED = (
    *CACHED_DOTTED, "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cache_read_tokens",
    "gen_ai.usage.details.cache_read_input_tokens", "gen_ai.usage.details.cache_read_tokens",
    "gen_ai.usage.input_cached_tokens", "gen_ai.usage.details.cached_tokens",
    "llm.token_count.prompt_details.cache_read", "ai.usage.cachedInputTokens",
    "ai.usage.inputTokenDetails.cacheReadTokens", "gen_ai.usage.cached_tokens",
)  # fmt: skip
WRITTEN = (
    *WRITTEN_DOTTED, "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.cache_write_tokens",
    "gen_ai.usage.cache_write_input_tokens", "gen_ai.usage.details.cache_write_tokens",
    "gen_ai.usage.details.cache_creation_input_tokens", "llm.token_count.prompt_details.cache_write",
    "ai.usage.inputTokenDetails.cacheWriteTokens",
)  # fmt: skip
WRITTEN_5M = (
    "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
    "gen_ai.usage.cache_creation.ephemeral_5m_input_tokens",
    "gen_ai.usage.details.ephemeral_5m_input_tokens",
)  # fmt: skip
WRITTEN_1H = (
    "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    "gen_ai.usage.cache_creation.ephemeral_1h_input_tokens",
    "gen_ai.usage.details.ephemeral_1h_input_tokens",
)  # fmt: skip
REASONING = (
    "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens", "gen_ai.usage.details.thoughts_tokens",
    "llm.token_count.completion_details.reasoning", "ai.usage.reasoningTokens",
    "ai.usage.outputTokenDetails.reasoningTokens", "gen_ai.usage.reasoning_output_tokens",
)  # fmt: skip
AUDIO_INPUT = (
    "gen_ai.usage.audio.input_tokens", "gen_ai.usage.details.input_audio_tokens",
    "gen_ai.usage.input_audio_tokens", "llm.token_count.prompt_details.audio",
)  # fmt: skip
AUDIO_OUTPUT = (
    "gen_ai.usage.audio.output_tokens", "gen_ai.usage.details.output_audio_tokens",
    "gen_ai.usage.output_audio_tokens", "llm.token_count.completion_details.audio",
)  # fmt: skip
CACHED_AUDIO = ("gen_ai.usage.audio.cache_read.input_tokens", "gen_ai.usage.details.cache_audio_read_tokens")
IMAGE_INPUT = ("gen_ai.usage.image.input_tokens", "gen_ai.usage.details.input_image_tokens")
IMAGE_OUTPUT = ("gen_ai.usage.image.output_tokens", "gen_ai.usage.details.output_image_tokens")
TOOL_INPUT = ("gen_ai.usage.details.tool_use_prompt_tokens",)
COST = (
    "gen_ai.usage.cost", "operation.cost", "gen_ai.cost.total_cost", "litellm.cost.total", "llm.cost.total",
)  # fmt: skip
FIRST_TOKEN_SECONDS = (
    "gen_ai.response.time_to_first_chunk", "gen_ai.client.operation.time_to_first_chunk",
    "gen_ai.server.time_to_first_token",
)  # fmt: skip
FIRST_TOKEN_MS = ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk")
STREAM = (
    "gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming", "litellm.request.streaming",
    "langsmith.request.streaming", "llm.request.is_streaming",
)  # fmt: skip
SERVED_TIER = (
    "gen_ai.openai.response.service_tier", "gen_ai.response.service_tier",
    "anthropic.response.service_tier", "openai.response.service_tier", "litellm.response.service_tier",
)  # fmt: skip
TOKEN = ("metadata.user_api_key_alias", "litellm.metadata.user_api_key_alias", "litellm.key.alias")
USER = (
    "metadata.user_api_key_user_email", "litellm.metadata.user_api_key_user_email",
    "metadata.user_api_key_user_id", "litellm.metadata.user_api_key_user_id", "user.id", "enduser.id",
)  # fmt: skip
GROUP = (
    "litellm.team.alias", "metadata.user_api_key_team_alias", "litellm.metadata.user_api_key_team_alias",
    "litellm.team.id", "metadata.user_api_key_team_id", "litellm.metadata.user_api_key_team_id",
)  # fmt: skip
ENDPOINT = ("litellm.request.route", "url.path", "http.route", "metadata.user_api_key_request_route")
SESSION = (
    "session.id", "gen_ai.conversation.id", "langsmith.metadata.session_id", "langsmith.metadata.thread_id",
    "ai.telemetry.metadata.sessionId",
)  # fmt: skip
TAGS = (
    "tag.tags", "langsmith.span.tags", "logfire.tags", "langfuse.trace.tags", "ai.telemetry.metadata.tags",
    "traceloop.association.properties.tags",
)  # fmt: skip
"""Of OpenInference, LangSmith, logfire, Langfuse, the AI SDK and OpenLLMetry: the conventions have none."""
METADATA = (
    "langsmith.metadata.", "ai.telemetry.metadata.", "traceloop.association.properties.",
    "langfuse.trace.metadata.", "langfuse.observation.metadata.",
)  # fmt: skip
"""How the names of what the caller gave beside a call begin."""
METADATA_OBJECTS = ("metadata",)
"""The same as one object: OpenInference's."""
USAGE_OBJECTS = ("gen_ai.usage.raw", "langsmith.metadata.usage_metadata", "metadata.usage_object")
"""Usage objects, as JSON or as Python's ``str`` of one."""
PROMPT = (
    "gen_ai.input.messages", "gen_ai.prompt_json", "ai.prompt.messages", "input.value", "gen_ai.prompt",
    "ai.values", "ai.prompt",
)  # fmt: skip
ANSWER = (
    "gen_ai.output.messages", "gen_ai.completion_json", "ai.response.text", "ai.response.object",
    "ai.response.toolCalls", "output.value", "gen_ai.completion",
)  # fmt: skip
