"""What a payload of LiteLLM counts: its own figures, and the usage object that it keeps beside them.

LiteLLM adds cached tokens in for every provider, written ones not in all its versions; a passed-through call
of Anthropic's own route has Anthropic's usage object, which counts both beside the input.
"""

from __future__ import annotations

from logs.ingest.formats import counts
from logs.ingest.formats.counts import Told
from logs.ingest.formats.litellm_payload import (
    NO_DETAILS,
    NO_LIFETIMES,
    NO_TOOLS,
    Payload,
    Usage,
)
from routescope.wire.reading import MAX_COUNT


def told(payload: Payload, usage: Usage) -> Told:
    """Return the token counts as the payload gives them."""
    given = (
        usage.prompt_tokens_details or usage.input_tokens_details or usage.input_token_details or NO_DETAILS
    )
    made = (
        usage.completion_tokens_details
        or usage.output_tokens_details
        or usage.output_token_details
        or NO_DETAILS
    )
    lifetimes = given.cache_creation_token_details or usage.cache_creation or NO_LIFETIMES
    is_raw = _is_anthropic(payload, usage)
    provider, model = str(payload.custom_llm_provider or ""), str(payload.model or "")
    return Told(
        input=_first(payload.prompt_tokens, usage.prompt_tokens, usage.input_tokens),
        output=_first(payload.completion_tokens, usage.completion_tokens, usage.output_tokens),
        # Beside Anthropic's own counts LiteLLM's total is only the sum of the two.
        total=None if is_raw else usage.total_tokens or payload.total_tokens,
        cached=given.cached_tokens or usage.cache_read_input_tokens,
        written=given.cache_creation_tokens or usage.cache_creation_input_tokens,
        written_5m=lifetimes.ephemeral_5m_input_tokens,
        written_1h=lifetimes.ephemeral_1h_input_tokens,
        reasoning=made.reasoning_tokens,
        audio_input=given.audio_tokens,
        audio_output=made.audio_tokens,
        cached_audio=given.cached_audio_tokens,
        image_input=given.image_tokens,
        image_output=made.image_tokens,
        beside=counts.CACHE if is_raw else frozenset(),
        is_split=not is_raw,
        thinks_beyond=counts.thinks_beyond(provider, model),
    )


def quantities(usage: Usage) -> dict[str, int | float]:
    """Return what was used beside tokens, by the names of a record's quantities."""
    given = usage.prompt_tokens_details or NO_DETAILS
    tools = usage.server_tool_use or NO_TOOLS
    seconds = usage.seconds if usage.seconds is not None else usage.duration_seconds
    found: dict[str, int | float | None] = {
        "audio_seconds": counts.seconds(seconds),
        "video_seconds": counts.seconds(given.video_length_seconds),
        "characters": given.character_count,
        "web_search_count": tools.web_search_requests or given.web_search_requests,
        "tool_call_count": (tools.web_fetch_requests or 0) + (tools.tool_search_requests or 0),
    }
    return {name: min(value, MAX_COUNT) for name, value in found.items() if value and value > 0}


def _is_anthropic(payload: Payload, usage: Usage) -> bool:
    """Tell whether the usage object is Anthropic's own, and the payload's input the same that it names."""
    names_cache = usage.cache_read_input_tokens is not None or usage.cache_creation_input_tokens is not None
    is_own = names_cache and usage.total_tokens is None and usage.prompt_tokens is None
    return is_own and usage.input_tokens is not None and payload.prompt_tokens in (None, usage.input_tokens)


def _first(*values: int | None) -> int | None:
    """Return the first that counts something; else the first that was given."""
    return next((value for value in values if value), next((v for v in values if v is not None), None))
