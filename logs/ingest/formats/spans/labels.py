"""The tags and the metadata that a caller gives a span, under the names of the instrumentations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from logs.ingest.formats import usage_objects
from logs.ingest.formats.spans import names
from logs.ingest.formats.spans.span import Span
from logs.models.events import JSONObject
from logs.models.marks import MOST_LETTERS, TAGS, is_key
from routescope.text.identifiers import shown

_MOST = 20
_OF_LANGSMITH = "ls_"
"""What LangSmith itself says of a model begins so."""


def tags(span: Span) -> list[str] | None:
    """Return a span's tags: a list, or a text in which commas part them."""
    found: list[str] = []
    for name in names.TAGS:
        value = span.attributes.get(name)
        several = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
        found += [text for one in several if isinstance(one, str) and (text := shown(one)[:MOST_LETTERS])]
    return list(dict.fromkeys(found))[:_MOST] or None


def metadata(span: Span) -> JSONObject | None:
    """Return the texts, numbers and truth values that the caller gave beside the call."""
    found: JSONObject = {}
    for key, value in _given(span):
        if len(found) < _MOST and is_key(key) and key != TAGS and not key.startswith(_OF_LANGSMITH):
            text = shown(value)[: MOST_LETTERS + 1] if isinstance(value, str) else value
            if isinstance(text, str | int | float) and text != "":
                found.setdefault(key, text)
    return found or None


def _given(span: Span) -> Iterator[tuple[str, Any]]:
    for name, value in span.attributes.items():
        for prefix in names.METADATA:
            if name.startswith(prefix):
                yield name.removeprefix(prefix), value
    for name in names.METADATA_OBJECTS:
        yield from usage_objects.loose(span.attributes.get(name)).items()
