"""Spans out of an ExportTraceServiceRequest in protobuf, one at a time.

The envelope is walked by hand and each span is parsed alone: a request is mostly spans, two bytes are one of
them, and each costs hundreds of bytes once it is parsed. A span that is broken, or has too much in it, costs
no other. Source: protobuf.dev/programming-guides/encoding, and opentelemetry-proto's trace.proto.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from logs.ingest.formats.spans.span import Span, SpanEvent
from logs.models.events import Rejection
from routescope.wire.json_parts import BrokenError, Steps
from routescope.wire.reading import MAX_SPANS, FormatError

MOST_FIELDS = 20_000
"""Of one span, at all its levels: each takes some 100 bytes when parsed. Semantic conventions use some 60."""

_SMALL = 16 * 1024
"""Bytes that cannot hold so many fields that counting them is worth it."""
_MOST_LEVELS = 100
_MOST_STEPS = 10 * MAX_SPANS
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_Kind = Mapping[int, str]
_TEXT = "text"
_KINDS: Mapping[str, _Kind] = {
    "resource": {1: "pair"},
    "scope": {1: _TEXT, 2: _TEXT, 3: "pair"},
    "span": {3: _TEXT, 5: _TEXT, 9: "pair", 11: "event", 13: "link", 15: "status"},
    "pair": {1: _TEXT, 2: "value"},
    "value": {1: _TEXT, 5: "values", 6: "pairs"},
    "values": {1: "value"},
    "pairs": {1: "pair"},
    "event": {2: _TEXT, 3: "pair"},
    "link": {3: _TEXT, 4: "pair"},
    "status": {2: _TEXT},
    "log": {3: _TEXT, 5: "value", 6: "pair", 12: _TEXT},
}
"""By message, its fields that are texts or messages: the other ones hold nothing that grows or breaks."""
_Message = TypeVar("_Message", bound=Message)


class WireError(ValueError):
    """Bytes that are no protobuf."""


class TooMuchError(ValueError):
    """A message of more than ``MOST_FIELDS`` fields."""


def spans(body: bytes) -> Iterator[Span | Rejection]:
    """Yield the spans, and a Rejection for each that cannot be read.

    Raises FormatError for a body that is no such request, and over ``MAX_SPANS``.
    """
    try:
        yield from _spans(body)
    except WireError as error:
        raise FormatError(f"The body is no ExportTraceServiceRequest in protobuf ({error}).") from error
    except BrokenError as error:
        raise FormatError(f"More than {MAX_SPANS:,} spans, or parts beside them: {error}.", 413) from error


def _spans(body: bytes) -> Iterator[Span | Rejection]:
    steps = Steps(_MOST_STEPS)
    left = MAX_SPANS
    for of_resource in messages_in(body, 0, len(body), 1, steps):
        resource: dict[str, Any] | None = None
        for of_scope in messages_in(body, *of_resource, 2, steps):
            scope: str | None = None
            for start, end in messages_in(body, *of_scope, 2, steps):
                left -= 1
                if left < 0:
                    raise FormatError(f"More than {MAX_SPANS:,} spans: export smaller batches.", 413)
                if resource is None:
                    resource = _resource(_joined(body, *of_resource, 1, steps))
                if scope is None:
                    scope = _scope(_joined(body, *of_scope, 1, steps))
                yield _span(body[start:end], scope, resource)


def messages_in(data: bytes, start: int, end: int, wanted: int, steps: Steps) -> Iterator[tuple[int, int]]:
    """Yield where the messages in one field of a message begin and end."""
    for number, kind, begins, ends in fields_of(data, start, end):
        steps.take()
        if number == wanted and kind == _LENGTH:
            yield begins, ends


def _joined(data: bytes, start: int, end: int, wanted: int, steps: Steps) -> bytes:
    """Return the bytes of all occurrences of a message in a field: read together, they are merged."""
    return b"".join(data[begins:ends] for begins, ends in messages_in(data, start, end, wanted, steps))


def _resource(data: bytes) -> dict[str, Any]:
    # An odd resource costs its names only.
    try:
        return attributes_of(parsed(data, "resource", resource_pb2.Resource.FromString).attributes)
    except (DecodeError, WireError, TooMuchError):
        return {}


def _scope(data: bytes) -> str:
    try:
        return parsed(data, "scope", common_pb2.InstrumentationScope.FromString).name
    except (DecodeError, WireError, TooMuchError):
        return ""


def _span(data: bytes, scope: str, resource: Mapping[str, Any]) -> Span | Rejection:
    try:
        span = parsed(data, "span", trace_pb2.Span.FromString)
    except TooMuchError:
        return Rejection(
            index=0, request_id=None, error=f"the span has more than {MOST_FIELDS:,} attributes and values"
        )
    except (DecodeError, WireError) as error:
        return Rejection(index=0, request_id=None, error=f"the span is no protobuf ({error})")
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        scope=scope,
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=attributes_of(span.attributes),
        resource=resource,
        events=[
            SpanEvent(
                name=event.name, time_ns=event.time_unix_nano, attributes=attributes_of(event.attributes)
            )
            for event in span.events
        ],
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        message=clean(span.status.message),
        parent_id=span.parent_span_id.hex(),
    )


def parsed(data: bytes, kind: str, parse: Callable[[bytes], _Message]) -> _Message:
    """Parse a message of a kind known here; texts that are no UTF-8 (cut, say) with U+FFFD in them."""
    if len(data) > _SMALL:
        _count(data, kind)
    try:
        return parse(data)
    except DecodeError:
        return parse(_mended(data, kind, _MOST_LEVELS))


def _count(data: bytes, kind: str) -> None:
    """Raise TooMuchError for a message of too many fields, before anything is built of it."""
    left = MOST_FIELDS
    todo = [(0, len(data), kind)]
    while todo:
        start, end, of = todo.pop()
        known = _KINDS[of]
        for number, wire, begins, ends in fields_of(data, start, end):
            left -= 1
            if left < 0:
                raise TooMuchError
            inner = known.get(number, _TEXT)
            if wire == _LENGTH and inner != _TEXT:
                todo.append((begins, ends, inner))


def _mended(data: bytes, kind: str, levels: int) -> bytes:
    """Return a message written anew, its texts in UTF-8."""
    if not levels:
        raise WireError("it nests too deep")
    known = _KINDS[kind]
    parts: list[bytes] = []
    at = 0
    for number, wire, begins, ends in fields_of(data, 0, len(data)):
        inner = known.get(number)
        if wire == _LENGTH and inner is not None:
            value = data[begins:ends]
            value = (
                value.decode(errors="replace").encode()
                if inner == _TEXT
                else _mended(value, inner, levels - 1)
            )
            parts += (varint(number << 3 | _LENGTH), varint(len(value)), value)
        else:
            parts.append(data[at:ends])
        at = ends
    return b"".join(parts)


def fields_of(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield each field of a message: its number, its wire type, and where its value begins and ends."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        wire = tag & 7
        begins = at
        if wire == _LENGTH:
            length, begins = _varint(data, at, end)
            at = begins + length
        elif wire == _VARINT:
            _, at = _varint(data, at, end)
        elif wire == _FIXED64:
            at += 8
        elif wire == _FIXED32:
            at += 4
        else:
            raise WireError(f"a field of wire type {wire}")
        if at > end:
            raise WireError("it ends within a field")
        yield tag >> 3, wire, begins, at


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise WireError("it ends within a number")


def varint(value: int) -> bytes:
    """Return a number as protobuf writes it."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def attributes_of(pairs: Any) -> dict[str, Any]:
    """Return attributes by name."""
    return {clean(pair.key): value_of(pair.value) for pair in pairs}


def value_of(value: common_pb2.AnyValue) -> Any:
    """Return a value as Python has it; None for none."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return clean(value.string_value)
    if kind == "array_value":
        return [value_of(part) for part in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None


def clean(text: str) -> str:
    return text.replace("\x00", "\ufffd") if "\x00" in text else text
