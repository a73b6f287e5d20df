"""Spans out of an ExportTraceServiceRequest in JSON, one at a time.

Hex IDs, integer enums, 64-bit integers as string or number, lowerCamelCase, unknown fields ignored. A span
that is broken costs no other, and an attribute that cannot be read costs no span: exporters drop what was
refused.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from opentelemetry.proto.trace.v1 import trace_pb2

from logs.ingest.formats import tolerant
from logs.ingest.formats.spans.span import Span, SpanEvent
from logs.models.events import Rejection
from routescope.wire.json_parts import BrokenError, Steps, chosen, elements, is_within
from routescope.wire.reading import (
    MAX_DEPTH,
    MAX_SPANS,
    Counted,
    FormatError,
    RecordError,
    TooManyError,
    counting,
    is_utf8,
    mended,
    readable,
    sanitised,
    without_no_numbers,
)

_MOST_PARTS = 50_000
"""Values of one span: each takes some 150 bytes when decoded."""
_MAX_DEPTH = 20
_NULL = b"null"


class AnyValue(msgspec.Struct, frozen=True, rename="camel"):
    """A value of an attribute or a body."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    bytes_value: str | None = None
    array_value: _Array | None = None
    kvlist_value: _Pairs | None = None


class _Array(msgspec.Struct, frozen=True):
    values: list[AnyValue] = []


class KeyValue(msgspec.Struct, frozen=True):
    """An attribute."""

    key: str = ""
    value: AnyValue | None = None


class _Pairs(msgspec.Struct, frozen=True):
    values: list[KeyValue] = []


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    time_unix_nano: int | str = 0
    attributes: list[KeyValue] | None = None


class _Status(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""


class _Span(msgspec.Struct, frozen=True, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[KeyValue] | None = None
    events: list[_Event] | None = None
    status: _Status | None = None


class _LooseEvent(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    time_unix_nano: int | str = 0
    attributes: msgspec.Raw = msgspec.Raw()


class _LooseSpan(msgspec.Struct, frozen=True, rename="camel"):
    """The same span, for one with something in it that cannot be read."""

    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: msgspec.Raw = msgspec.Raw()
    events: msgspec.Raw = msgspec.Raw()
    status: _Status | None = None


class _Scope(msgspec.Struct, frozen=True):
    name: str = ""


class _OfScope(msgspec.Struct, frozen=True):
    scope: msgspec.Raw = msgspec.Raw()
    spans: list[msgspec.Raw] = []


class _OfResource(msgspec.Struct, frozen=True, rename="camel"):
    resource: msgspec.Raw = msgspec.Raw()
    scope_spans: list[_OfScope] = []


class _Request(msgspec.Struct, frozen=True, rename="camel"):
    resource_spans: list[_OfResource] = []


class _CountedScope(Counted):
    spans: list[Counted] = []


class _CountedResource(Counted, rename="camel"):
    scope_spans: list[_CountedScope] = []


class _CountedRequest(msgspec.Struct, rename="camel"):
    resource_spans: list[_CountedResource] = []


class _Resource(msgspec.Struct, frozen=True):
    attributes: msgspec.Raw = msgspec.Raw()


_count = msgspec.json.Decoder(_CountedRequest).decode
_decode_request = msgspec.json.Decoder(_Request).decode
_decode_span = msgspec.json.Decoder(_Span).decode
_decode_pair = msgspec.json.Decoder(KeyValue).decode


def spans(body: bytes) -> Iterator[Span | Rejection]:
    """Yield the spans, and a Rejection for each that cannot be read.

    Raises FormatError for a body that is no such request, and over ``MAX_SPANS``.
    """
    body = sanitised(body)
    resources: dict[bytes, dict[str, Any]] = {}
    scopes: dict[bytes, str] = {}
    for resource, scope, raw in _parts(body if is_utf8(body) else mended(body)):
        if resource not in resources:
            resources = {resource: _resource(resource)}
        if scope not in scopes:
            scopes = {scope: _scope(scope)}
        yield _span(raw, scopes[scope], resources[resource])


def _parts(body: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield each span with its resource and its scope, as the bytes they came in."""
    try:
        with counting(MAX_SPANS):
            # Counted before anything is kept of them: three bytes are a span.
            _count(body)
        request = _decode_request(body)
    except TooManyError:
        raise _too_many() from None
    except (msgspec.DecodeError, RecursionError):
        yield from _parts_of_odd(body)
        return
    for of_resource in request.resource_spans:
        resource = bytes(of_resource.resource)
        for of_scope in of_resource.scope_spans:
            scope = bytes(of_scope.scope)
            for span in of_scope.spans:
                yield resource, scope, bytes(span)


def _parts_of_odd(body: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield the same of a body with something in it that no decoder takes, which costs the span it is in."""
    steps = Steps()
    left = MAX_SPANS
    try:
        for of_resource in _array(chosen(body, (b"resourceSpans",), steps), b"resourceSpans", steps):
            inner = chosen(of_resource, (b"resource", b"scopeSpans"), steps)
            for of_scope in _array(inner, b"scopeSpans", steps):
                innermost = chosen(of_scope, (b"scope", b"spans"), steps)
                for span in _array(innermost, b"spans", steps):
                    left -= 1
                    if left < 0:
                        raise _too_many()
                    yield inner.get(b"resource", b""), innermost.get(b"scope", b""), span
    except BrokenError as error:
        raise FormatError(f"The body is no ExportTraceServiceRequest in JSON ({error}).") from error


def _array(found: Mapping[bytes, bytes], name: bytes, steps: Steps) -> Iterator[bytes]:
    value = found.get(name, _NULL)
    # In protobuf's JSON, null is the same as a field left out.
    return iter(()) if value == _NULL else elements(value, steps)


def _too_many() -> FormatError:
    return FormatError(f"More than {MAX_SPANS:,} spans: export smaller batches.", 413)


def _resource(raw: bytes) -> dict[str, Any]:
    # An odd resource costs its names only.
    try:
        found, _ = tolerant.decode(raw, _Resource) if raw not in (b"", _NULL) else (_Resource(), [])
        return _one_by_one(bytes(found.attributes), [])
    except BrokenError:
        return {}


def _scope(raw: bytes) -> str:
    try:
        return tolerant.decode(raw, _Scope)[0].name if raw not in (b"", _NULL) else ""
    except BrokenError:
        return ""


def _span(raw: bytes, scope: str, resource: Mapping[str, Any]) -> Span | Rejection:
    if not is_within(raw, depth=MAX_DEPTH, parts=_MOST_PARTS):
        reason = f"the span has more than {_MOST_PARTS:,} values, or nests deeper than {MAX_DEPTH} levels"
        return Rejection(index=0, request_id=None, error=reason)
    left_out: list[str] = []
    try:
        try:
            given = _decode_span(raw)
        except msgspec.DecodeError:
            return _loose_span(raw, scope, resource)
        status = given.status or _Status()
        return Span(
            trace_id=_hex(given.trace_id),
            span_id=_hex(given.span_id),
            scope=scope,
            name=given.name,
            start_ns=_integer(given.start_time_unix_nano, "startTimeUnixNano"),
            end_ns=_or_zero(given.end_time_unix_nano, "endTimeUnixNano", left_out),
            attributes=attributes_of(given.attributes, left_out),
            resource=resource,
            events=[
                SpanEvent(
                    name=event.name,
                    time_ns=_or_zero(event.time_unix_nano, "events.timeUnixNano", left_out),
                    attributes=attributes_of(event.attributes, left_out),
                )
                for event in given.events or ()
            ],
            failed=status.code == trace_pb2.Status.STATUS_CODE_ERROR,
            message=status.message,
            left_out=left_out,
            parent_id=_parent(given.parent_span_id),
        )
    except msgspec.ValidationError as error:
        return Rejection(index=0, request_id=None, error=readable(error))
    except (RecordError, BrokenError) as error:
        return Rejection(index=0, request_id=None, error=str(error))


def _loose_span(raw: bytes, scope: str, resource: Mapping[str, Any]) -> Span:
    """Read a span attribute by attribute. Raises RecordError where its IDs or its time are amiss."""
    given, left_out = tolerant.decode(raw, _LooseSpan)
    status = given.status or _Status()
    return Span(
        trace_id=_hex(given.trace_id),
        span_id=_hex(given.span_id),
        scope=scope,
        name=given.name,
        start_ns=_integer(given.start_time_unix_nano, "startTimeUnixNano"),
        end_ns=_or_zero(given.end_time_unix_nano, "endTimeUnixNano", left_out),
        attributes=_one_by_one(bytes(given.attributes), left_out),
        resource=resource,
        events=[_loose_event(event, left_out) for event in _each(bytes(given.events), "events", left_out)],
        failed=status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        message=status.message,
        left_out=left_out,
        parent_id=_parent(given.parent_span_id),
    )


def _loose_event(raw: bytes, left_out: list[str]) -> SpanEvent:
    try:
        event, further = tolerant.decode(raw, _LooseEvent)
    except BrokenError:
        event, further = _LooseEvent(), ["event"]
    left_out += [f"events.{name}" for name in further]
    return SpanEvent(
        name=event.name,
        time_ns=_or_zero(event.time_unix_nano, "events.timeUnixNano", left_out),
        attributes=_one_by_one(bytes(event.attributes), left_out),
    )


def _each(raw: bytes, name: str, left_out: list[str]) -> list[bytes]:
    if raw in (b"", _NULL):
        return []
    try:
        return list(elements(raw, Steps()))
    except BrokenError:
        left_out.append(name)
        return []


def _one_by_one(raw: bytes, left_out: list[str]) -> dict[str, Any]:
    pairs = []
    for pair in _each(raw, "attributes", left_out):
        try:
            pairs.append(_decode_pair(without_no_numbers(mended(pair))))
        except (msgspec.DecodeError, RecursionError):
            left_out.append("attributes")
    return attributes_of(pairs, left_out)


def attributes_of(pairs: list[KeyValue] | None, left_out: list[str], depth: int = 0) -> dict[str, Any]:
    """Return attributes by name; ``left_out`` is told the names of those that cannot be read."""
    # In protobuf's JSON, null is the same as a field left out.
    found = {}
    for pair in pairs or ():
        try:
            found[pair.key] = value_of(pair.value, left_out, depth)
        except RecordError:
            left_out.append(pair.key)
    return found


def value_of(value: AnyValue | None, left_out: list[str], depth: int = 0) -> Any:
    """Return a value as Python has it; None for none. Raises RecordError for one that cannot be read."""
    if value is None or depth > _MAX_DEPTH:
        return None
    if value.int_value is not None:
        return _integer(value.int_value, "intValue")
    if value.double_value is not None:
        return _number(value.double_value)
    if value.array_value is not None:
        return [value_of(part, left_out, depth + 1) for part in value.array_value.values]
    if value.kvlist_value is not None:
        return attributes_of(value.kvlist_value.values, left_out, depth + 1)
    for plain in (value.string_value, value.bool_value, value.bytes_value):
        if plain is not None:
            return plain
    return None


def _hex(text: str) -> str:
    try:
        return binascii.unhexlify(text).hex()
    except ValueError:
        raise RecordError(f"traceId, spanId: {text[:50]!r} is not hexadecimal") from None


def _parent(text: str) -> str:
    """Return a parent's ID; nothing for one that cannot be any: it costs the ancestry, not the span."""
    try:
        return _hex(text)
    except RecordError:
        return ""


def _integer(value: int | str, field: str) -> int:
    try:
        number = int(value)
    except ValueError:
        raise RecordError(f"{field}: not an integer") from None
    if not -(2**63) <= number < 2**64:
        raise RecordError(f"{field}: does not fit 64 bits")
    return number


def _or_zero(value: int | str, field: str, left_out: list[str]) -> int:
    try:
        return _integer(value, field)
    except RecordError:
        left_out.append(field)
        return 0


def _number(value: float | str) -> float:
    try:
        return float(value)
    except ValueError:
        raise RecordError("doubleValue: not a number") from None
