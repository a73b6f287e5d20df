"""A span as its transport gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class SpanEvent(msgspec.Struct, frozen=True):
    """Something that happened within a span."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any]


class Span(msgspec.Struct, frozen=True):
    """A span, whatever encoding it came in. Times are Unix nanoseconds; IDs are hexadecimal.

    ``parent_id`` is empty for the root of a trace.
    """

    trace_id: str
    span_id: str
    scope: str
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    events: Sequence[SpanEvent]
    failed: bool
    message: str
    left_out: Sequence[str] = ()
    """Names of fields and attributes that could not be read."""
    parent_id: str = ""
