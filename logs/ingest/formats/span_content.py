"""A span's input and output, as JSON: handed on for the content policy, never among the attributes kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from logs.ingest.formats.span import Span

_INPUT = ("gen_ai.input.messages", "gen_ai.prompt_json", "input.value", "gen_ai.prompt")
_OUTPUT = ("gen_ai.output.messages", "gen_ai.completion_json", "output.value", "gen_ai.completion")
_INPUT_EVENTS = (
    "gen_ai.system.message",
    "gen_ai.user.message",
    "gen_ai.assistant.message",
    "gen_ai.tool.message",
)
_OUTPUT_EVENTS = ("gen_ai.choice",)
_NUMBERED = re.compile(r"gen_ai\.(prompt|completion)\.(\d{1,4})\.(.+)")

_check = msgspec.json.Decoder(msgspec.Raw).decode


def of_input(span: Span) -> msgspec.Raw | None:
    """Return what was asked, None where the instrumentation captured no content."""
    return _of(span, _INPUT, "prompt", _INPUT_EVENTS)


def of_output(span: Span) -> msgspec.Raw | None:
    """Return what was answered."""
    return _of(span, _OUTPUT, "completion", _OUTPUT_EVENTS)


def _of(span: Span, names: tuple[str, ...], numbered: str, events: tuple[str, ...]) -> msgspec.Raw | None:
    for name in names:
        if (value := span.attributes.get(name)) not in (None, "", []):
            return _raw(value)
    messages: dict[int, dict[str, Any]] = {}
    for name, value in span.attributes.items():
        if (found := _NUMBERED.fullmatch(name)) and found[1] == numbered:
            messages.setdefault(int(found[2]), {})[found[3]] = value
    if messages:
        return _raw([messages[number] for number in sorted(messages)])
    happened = [{"event": e.name, **e.attributes} for e in span.events if e.name in events]
    return _raw(happened) if happened else None


def _raw(value: Any) -> msgspec.Raw:
    """Return JSON: text that is JSON already as it is, anything else encoded."""
    if isinstance(value, str):
        try:
            return msgspec.Raw(bytes(_check(value)))
        except (msgspec.DecodeError, RecursionError):
            pass
    return msgspec.Raw(msgspec.json.encode(value))
