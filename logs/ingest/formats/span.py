"""A span as its transport gives it, and what is read of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from logs.models.events import UsageEvent


class SpanEvent(msgspec.Struct, frozen=True):
    """Something that happened within a span."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any]


class Span(msgspec.Struct, frozen=True):
    """A span, whatever encoding it came in. Times are Unix nanoseconds."""

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


class Half(msgspec.Struct, frozen=True):
    """One of the two spans in which logfire reports a streamed call.

    The first ends when the answer begins, and knows no usage; the second is a point in time at the stream's
    end that carries the usage and how long the stream took, without response ID, often in another trace.
    Both carry the same request: ``key``. ``met_at`` is when the first should have ended.
    """

    key: str
    is_usage: bool
    met_at: datetime


class Reading(msgspec.Struct, frozen=True):
    """A model call as one span tells it."""

    event: UsageEvent
    span: str
    """Trace and span ID: a span sent again is the same span."""
    scope: str
    has_response_id: bool
    """Whether ``event.request_id`` is the response's, which other spans of the call share."""
    half: Half | None
