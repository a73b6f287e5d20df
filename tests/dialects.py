"""Spans of single dialects, read without a transport."""

from __future__ import annotations

import itertools
import json
from typing import Any

from logs.ingest.formats.spans import reading
from logs.ingest.formats.spans.reading import Reading
from logs.ingest.formats.spans.span import Span, SpanEvent
from logs.models.events import UsageEvent
from tests.spans import NOW

_ids = itertools.count(1)
SECOND = 10**9


def span_of(
    given: dict[str, Any],
    scope: str = "app",
    *,
    name: str = "chat",
    events: list[tuple[str, float, dict[str, Any]]] | None = None,
    error: str | None = None,
    lasts: float = 2.0,
) -> Span:
    """Return a span that failed with a status text where ``error`` is one; times of events in seconds."""
    number, start = next(_ids), NOW * SECOND
    return Span(
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        scope=scope,
        name=name,
        start_ns=start,
        end_ns=start + round(lasts * SECOND),
        attributes=given,
        resource={"service.name": "demo"},
        events=[SpanEvent(name, start + round(at * SECOND), told) for name, at, told in events or ()],
        failed=error is not None,
        message=error or "",
    )


def read(given: dict[str, Any], scope: str = "app", **more: Any) -> Reading | None:
    return reading.read(span_of(given, scope, **more))


def event_of(given: dict[str, Any], scope: str = "app", **more: Any) -> UsageEvent:
    found = read(given, scope, **more)
    assert found is not None
    return found.event


def written(value: Any) -> str:
    return json.dumps(value)
