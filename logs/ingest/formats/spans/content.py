"""A span's input and output, as JSON: handed on for the content policy, never among the attributes kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from logs.ingest.formats.spans import names
from logs.ingest.formats.spans.span import Span, SpanEvent

INPUT_EVENTS = (
    "gen_ai.system.message",
    "gen_ai.user.message",
    "gen_ai.assistant.message",
    "gen_ai.tool.message",
    "gen_ai.content.prompt",
)
OUTPUT_EVENTS = ("gen_ai.choice", "gen_ai.content.completion")
DETAILS = ("gen_ai.client.inference.operation.details",)
"""One event with both, under the names of the attributes."""
_NUMBERED = re.compile(r"gen_ai\.(prompt|completion)\.(\d{1,4})\.(.+)")

_check = msgspec.json.Decoder(msgspec.Raw).decode


def of_input(span: Span) -> msgspec.Raw | None:
    """Return what was asked, None where the instrumentation captured no content."""
    return _of(span, names.PROMPT, "prompt", INPUT_EVENTS)


def of_output(span: Span) -> msgspec.Raw | None:
    """Return what was answered."""
    return _of(span, names.ANSWER, "completion", OUTPUT_EVENTS)


def of_events(events: Iterable[SpanEvent]) -> tuple[msgspec.Raw | None, msgspec.Raw | None]:
    """Return what was asked and answered as events tell it."""
    found = list(events)
    return (
        _of_events(found, names.PROMPT, INPUT_EVENTS),
        _of_events(found, names.ANSWER, OUTPUT_EVENTS),
    )


def is_content(name: str) -> bool:
    """Tell whether events of this name carry content."""
    return name in INPUT_EVENTS or name in OUTPUT_EVENTS or name in DETAILS


def _of(span: Span, known: tuple[str, ...], numbered: str, events: tuple[str, ...]) -> msgspec.Raw | None:
    for name in known:
        if (value := span.attributes.get(name)) not in (None, "", []):
            return raw(value)
    messages: dict[int, dict[str, Any]] = {}
    for name, value in span.attributes.items():
        if (found := _NUMBERED.fullmatch(name)) and found[1] == numbered:
            messages.setdefault(int(found[2]), {})[found[3]] = value
    if messages:
        return raw([messages[number] for number in sorted(messages)])
    return _of_events(list(span.events), known, events)


def _of_events(found: list[SpanEvent], known: tuple[str, ...], events: tuple[str, ...]) -> msgspec.Raw | None:
    happened = [{"event": event.name, **event.attributes} for event in found if event.name in events]
    if happened:
        return raw(happened)
    for event in found:
        if event.name in DETAILS:
            for name in known:
                if (value := event.attributes.get(name)) not in (None, "", []):
                    return raw(value)
    return None


def raw(value: Any) -> msgspec.Raw:
    """Return JSON: text that is JSON already as it is, anything else encoded."""
    if isinstance(value, str):
        try:
            return msgspec.Raw(bytes(_check(value)))
        except (msgspec.DecodeError, RecursionError):
            pass
    return msgspec.Raw(msgspec.json.encode(value))
