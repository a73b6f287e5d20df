"""Usage objects as providers and frameworks write them, whatever their shape: what they count.

OpenAI's of chat, Responses, images, audio; Anthropic's; Bedrock's; Gemini's; LangChain's ``usage_metadata``.
Which parts lie beside input and output follows from the shape: Anthropic's and Bedrock's cache, Gemini's
thinking and tools.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from logs.ingest.formats import counts
from logs.ingest.formats.counts import CACHE, Told
from logs.models.events import JSONObject
from routescope.wire.reading import MAX_COUNT, built

_MAX_LITERAL = 20_000
_GIVEN = ("prompt_tokens_details", "input_tokens_details", "input_token_details", "inputTokenDetails")
_MADE = (
    "completion_tokens_details", "output_tokens_details", "output_token_details", "outputTokenDetails",
)  # fmt: skip
_INPUT = (
    "prompt_tokens", "input_tokens", "inputTokens", "promptTokenCount", "prompt_token_count", "promptTokens",
    "inputTextTokenCount", "total_input_tokens",
)  # fmt: skip
_OUTPUT = (
    "completion_tokens", "output_tokens", "outputTokens", "candidatesTokenCount", "candidates_token_count",
    "responseTokenCount", "completionTokens", "total_output_tokens",
)  # fmt: skip
_TOTAL = ("total_tokens", "totalTokens", "totalTokenCount", "total_token_count")
_CACHED = (
    "cache_read_input_tokens", "cacheReadInputTokens", "cacheReadInputTokenCount", "cachedContentTokenCount",
    "cached_content_token_count", "prompt_cache_hit_tokens", "cachedInputTokens", "total_cached_tokens",
)  # fmt: skip
_CACHED_INSIDE = ("cached_tokens", "cache_read", "cacheReadTokens", "cache_read_tokens")
_WRITTEN = (
    "cache_creation_input_tokens", "cacheWriteInputTokens", "cacheWriteInputTokenCount",
    "cache_write_input_tokens",
)  # fmt: skip
_WRITTEN_INSIDE = ("cache_write_tokens", "cache_creation_tokens", "cache_creation", "cacheWriteTokens")
_THOUGHTS = ("thoughtsTokenCount", "thoughts_token_count", "total_thought_tokens", "reasoning_tokens")
_THOUGHTS_INSIDE = ("reasoning_tokens", "reasoning", "thinking_tokens", "reasoningTokens")
_TOOLS = ("toolUsePromptTokenCount", "tool_use_prompt_token_count")
_GEMINI = frozenset({"promptTokenCount", "prompt_token_count", "candidatesTokenCount", "thoughtsTokenCount"})
_GEMINI_PARTS = frozenset({"reasoning", "tool_input"})


def loose(text: Any) -> JSONObject:
    """Return an object written as JSON or, as Python's ``str`` has it, as a literal; empty for anything
    else."""
    if isinstance(text, dict):
        return text
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return {}
    if isinstance(value := built(text.encode(errors="replace")), dict):
        return value
    if len(text) > _MAX_LITERAL:
        return {}
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def told(usage: JSONObject) -> Told:
    """Return the token counts of a usage object; of an empty one, none."""
    given, made = _part(usage, _GIVEN), _part(usage, _MADE)
    lifetimes = _object(given.get("cache_creation_token_details")) or _object(usage.get("cache_creation"))
    lifetimes = lifetimes or given
    by_kind_in = _by_kind(usage, "promptTokensDetails", "prompt_tokens_details")
    by_kind_out = _by_kind(usage, "candidatesTokensDetails", "candidates_tokens_details")
    by_kind_cached = _by_kind(usage, "cacheTokensDetails", "cache_tokens_details")
    is_gemini = not _GEMINI.isdisjoint(usage)
    total = count(usage, _TOTAL)
    return Told(
        input=count(usage, _INPUT),
        output=count(usage, _OUTPUT),
        total=total,
        cached=count(given, _CACHED_INSIDE) or count(usage, _CACHED),
        written=count(given, _WRITTEN_INSIDE) or count(usage, _WRITTEN),
        written_5m=count(lifetimes, ("ephemeral_5m_input_tokens",)),
        written_1h=count(lifetimes, ("ephemeral_1h_input_tokens",)),
        reasoning=_known(count(made, _THOUGHTS_INSIDE), count(usage, _THOUGHTS)),
        audio_input=count(given, ("audio_tokens", "audio", "audioTokens")) or by_kind_in.get("AUDIO"),
        audio_output=count(made, ("audio_tokens", "audio", "audioTokens")) or by_kind_out.get("AUDIO"),
        cached_audio=count(_object(given.get("cached_tokens_details")), ("audio_tokens",))
        or count(given, ("cached_audio_tokens",))
        or by_kind_cached.get("AUDIO"),
        image_input=count(given, ("image_tokens", "imageTokens")) or by_kind_in.get("IMAGE"),
        image_output=count(made, ("image_tokens", "imageTokens")) or by_kind_out.get("IMAGE"),
        tool_input=count(usage, _TOOLS),
        beside=_GEMINI_PARTS if is_gemini else CACHE if _counts_cache_beside(usage) else frozenset(),
        thinks_beyond=is_gemini,
    )


def quantities(usage: JSONObject) -> dict[str, int | float]:
    """Return what a usage object counts beside tokens, by the names of a record's quantities."""
    tools = _object(usage.get("server_tool_use"))
    seconds = usage.get("seconds", usage.get("duration_seconds"))
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    found: dict[str, int | float | None] = {
        "audio_seconds": counts.seconds(float(seconds)) if is_number and seconds is not None else None,
        "web_search_count": count(tools, ("web_search_requests",)) or count(usage, ("num_search_queries",)),
        "tool_call_count": count(tools, ("web_fetch_requests",)),
        "characters": count(usage, ("characters", "character_count")),
        "pages": count(usage, ("pages_processed",)),
    }
    return {name: value for name, value in found.items() if value}


def count(values: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """Return the first count under one of the names that is not nothing; else the first that is there."""
    nothing = None
    for name in names:
        value = number(values.get(name))
        if value:
            return value
        nothing = value if nothing is None else nothing
    return nothing


def number(value: Any) -> int | None:
    """Return a whole number between 0 and ``MAX_COUNT``, which may come as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return min(max(int(value), 0), MAX_COUNT)
    except (ValueError, OverflowError):
        return None


def _counts_cache_beside(usage: JSONObject) -> bool:
    """Tell Anthropic's and Bedrock's own objects: a total of theirs would tell, but Anthropic's has none."""
    names = ("cacheReadInputTokens", "cacheWriteInputTokens", "cacheReadInputTokenCount")
    if any(name in usage for name in names):
        return True
    is_own = "input_tokens" in usage and "prompt_tokens" not in usage and count(usage, _TOTAL) is None
    return is_own and ("cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage)


def _known(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _part(usage: JSONObject, names: tuple[str, ...]) -> JSONObject:
    return next((part for name in names if (part := _object(usage.get(name)))), {})


def _object(value: Any) -> JSONObject:
    return value if isinstance(value, dict) else {}


def _by_kind(usage: JSONObject, *names: str) -> dict[str, int]:
    """Return Gemini's counts by modality: ``[{"modality": "AUDIO", "tokenCount": 12}]``."""
    listed = next((value for name in names if isinstance(value := usage.get(name), list)), [])
    found: dict[str, int] = {}
    for one in listed[:20]:
        if isinstance(one, dict) and (tokens := count(one, ("tokenCount", "token_count"))):
            kind = str(one.get("modality")).upper().rpartition(".")[2]
            found[kind] = found.get(kind, 0) + tokens
    return found
