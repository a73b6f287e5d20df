"""Request parameters that an error may be about, without the content that some of them carry."""

from __future__ import annotations

from typing import Any

import msgspec

from logs.models.events import JSONObject
from routescope.wire.reading import MAX_JSON_BYTES

_CONTENT = frozenset({
    "audio", "contents", "documents", "extra_body", "extra_headers", "extra_query", "file", "files",
    "functions", "headers", "image", "images", "input", "instructions", "mask", "messages", "metadata",
    "prediction", "prompt", "query", "suffix", "system", "system_instruction", "text", "texts", "tools",
})  # fmt: skip
"""Parameters that are, or hold, what somebody wrote."""
_COUNTED = {"tools": "tool_count", "functions": "function_count"}
_MAX_STRING = 200


def without_content(given: JSONObject | None) -> JSONObject | None:
    """Return the parameters that describe a request and do not tell what it said.

    Tools become their number, a response format its type; long strings, which only content is, are left out.
    """
    kept: JSONObject = {}
    for name, value in (given or {}).items():
        if name in _COUNTED and isinstance(value, list):
            kept[_COUNTED[name]] = len(value)
        elif name == "response_format" and isinstance(value, dict):
            kept[name] = {"type": value.get("type")}
        elif name not in _CONTENT and value is not None and _is_short(value):
            kept[name[:_MAX_STRING]] = value
    if not kept or len(msgspec.json.encode(kept)) > MAX_JSON_BYTES:
        return None
    return kept


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_STRING
    if isinstance(value, list):
        return len(value) <= 20 and all(_is_short(part) for part in value)
    if isinstance(value, dict):
        return len(value) <= 20 and all(
            name not in _CONTENT and _is_short(part) for name, part in value.items()
        )
    return True
