"""OTLP/HTTP traces (``POST /v1/traces``): the envelope, in protobuf and JSON, and the answers to it.

Source: opentelemetry.io/docs/specs/otlp, "OTLP/HTTP" and "JSON Protobuf Encoding": hex IDs, integer enums,
64-bit integers as string or number, lowerCamelCase, unknown fields ignored; answers in the request's content
type.
What a span means is read in ``logs.formats.genai``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from logs.events import Rejection
from logs.formats import genai
from logs.formats.genai import Reading, Span, SpanEvent
from routescope.reading import MAX_RECORDS, FormatError, readable, sanitised

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
CONTENT_TYPES = (PROTOBUF, JSON)

_RPC_CODES = {400: 3, 401: 16, 413: 8, 415: 3, 503: 14}
"""google.rpc.Code of the HTTP statuses that are answered here."""
_RPC_UNKNOWN = 2
_MAX_DEPTH = 20


class Spans(msgspec.Struct):
    """A decoded request: the model calls with their spans' places in it, and what could not be read."""

    readings: list[tuple[int, Reading]]
    rejected: list[Rejection]
    ignored: int


def decode(body: bytes, content_type: str) -> Spans:
    """Read the spans of an ExportTraceServiceRequest; spans that are no model call are counted and left out.

    Raises FormatError for a body that is no such request, and over ``MAX_RECORDS`` model calls.
    """
    found = Spans(readings=[], rejected=[], ignored=0)
    for index, span in enumerate(_protobuf(body) if content_type == PROTOBUF else _json(body)):
        if isinstance(span, Rejection):
            found.rejected.append(Rejection(index=index, request_id=span.request_id, error=span.error))
            continue
        try:
            reading = genai.read(span)
        except ValueError as error:
            found.rejected.append(Rejection(index=index, request_id=span.span_id, error=str(error)))
            continue
        if reading is None:
            found.ignored += 1
        else:
            found.readings.append((index, reading))
    if len(found.readings) > MAX_RECORDS:
        raise FormatError(
            f"More than {MAX_RECORDS:,} model calls in one request: export smaller batches.", 413
        )
    return found


def success(content_type: str, rejected: int, message: str) -> bytes:
    """Return an ExportTraceServiceResponse; ``partial_success`` is unset where nothing was rejected."""
    if content_type == JSON:
        partial = {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": message}}
        return msgspec.json.encode(partial if rejected else {})
    response = ExportTraceServiceResponse()
    if rejected:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = message
    return response.SerializeToString()


def failure(content_type: str, http_status: int, message: str) -> bytes:
    """Return a google.rpc.Status: ``int32 code = 1; string message = 2``."""
    code = _RPC_CODES.get(http_status, _RPC_UNKNOWN)
    if content_type == JSON:
        return msgspec.json.encode({"code": code, "message": message})
    text = message.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


# --- Protobuf ----------------------------------------------------------------------------------------------


def _protobuf(body: bytes) -> Iterator[Span]:
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise FormatError(f"The body is no ExportTraceServiceRequest in protobuf ({error}).") from error
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield _span(span, scope_spans.scope.name, resource)


def _span(span: trace_pb2.Span, scope: str, resource: Mapping[str, Any]) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        scope=scope,
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        resource=resource,
        events=[
            SpanEvent(name=event.name, time_ns=event.time_unix_nano, attributes=_attributes(event.attributes))
            for event in span.events
        ],
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        message=_clean(span.status.message),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: common_pb2.AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return _clean(value.string_value)
    if kind == "array_value":
        return [_value(part) for part in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None


def _clean(text: str) -> str:
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


# --- JSON --------------------------------------------------------------------------------------------------


class _JSONValue(msgspec.Struct, frozen=True, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    bytes_value: str | None = None
    array_value: _JSONArray | None = None
    kvlist_value: _JSONPairs | None = None


class _JSONArray(msgspec.Struct, frozen=True):
    values: list[_JSONValue] = []


class _JSONPair(msgspec.Struct, frozen=True):
    key: str = ""
    value: _JSONValue | None = None


class _JSONPairs(msgspec.Struct, frozen=True):
    values: list[_JSONPair] = []


class _JSONEvent(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    time_unix_nano: int | str = 0
    attributes: list[_JSONPair] | None = None


class _JSONStatus(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""


class _JSONSpan(msgspec.Struct, frozen=True, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    name: str = ""
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[_JSONPair] | None = None
    events: list[_JSONEvent] | None = None
    status: _JSONStatus | None = None


class _JSONScope(msgspec.Struct, frozen=True):
    name: str = ""


class _JSONResource(msgspec.Struct, frozen=True):
    attributes: list[_JSONPair] | None = None


class _JSONScopeSpans(msgspec.Struct, frozen=True):
    scope: _JSONScope = _JSONScope()
    spans: list[msgspec.Raw] = []


class _JSONResourceSpans(msgspec.Struct, frozen=True, rename="camel"):
    resource: _JSONResource = _JSONResource()
    scope_spans: list[_JSONScopeSpans] = []


class _JSONRequest(msgspec.Struct, frozen=True, rename="camel"):
    resource_spans: list[_JSONResourceSpans] = []


_decode_request = msgspec.json.Decoder(_JSONRequest).decode
_decode_span = msgspec.json.Decoder(_JSONSpan).decode


def _json(body: bytes) -> Iterator[Span | Rejection]:
    try:
        request = _decode_request(sanitised(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"The body is no ExportTraceServiceRequest in JSON ({error}).") from error
    for resource_spans in request.resource_spans:
        try:
            resource = _json_attributes(resource_spans.resource.attributes)
        except ValueError:
            # An odd resource costs its names only.
            resource = {}
        for scope_spans in resource_spans.scope_spans:
            for raw in scope_spans.spans:
                try:
                    yield _json_span(_decode_span(raw), scope_spans.scope.name, resource)
                except msgspec.ValidationError as error:
                    yield Rejection(index=0, request_id=None, error=readable(error))
                except (ValueError, RecursionError) as error:
                    yield Rejection(index=0, request_id=None, error=str(error))


def _json_span(span: _JSONSpan, scope: str, resource: Mapping[str, Any]) -> Span:
    status = span.status or _JSONStatus()
    return Span(
        trace_id=_hex(span.trace_id),
        span_id=_hex(span.span_id),
        scope=scope,
        name=span.name,
        start_ns=_integer(span.start_time_unix_nano),
        end_ns=_integer(span.end_time_unix_nano),
        attributes=_json_attributes(span.attributes),
        resource=resource,
        events=[
            SpanEvent(
                name=event.name,
                time_ns=_integer(event.time_unix_nano),
                attributes=_json_attributes(event.attributes),
            )
            for event in span.events or ()
        ],
        failed=status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        message=status.message,
    )


def _hex(text: str) -> str:
    try:
        return binascii.unhexlify(text).hex()
    except ValueError:
        raise ValueError(f"traceId, spanId: {text[:50]!r} is not hexadecimal") from None


def _integer(value: int | str) -> int:
    try:
        number = int(value)
    except ValueError:
        raise ValueError(f"{str(value)[:50]!r} is not an integer") from None
    if not -(2**63) <= number < 2**64:
        raise ValueError(f"{str(value)[:50]} does not fit 64 bits")
    return number


def _json_attributes(pairs: list[_JSONPair] | None, depth: int = 0) -> dict[str, Any]:
    # In protobuf's JSON, null is the same as a field left out.
    return {pair.key: _json_value(pair.value, depth) for pair in pairs or ()}


def _json_value(value: _JSONValue | None, depth: int) -> Any:
    if value is None or depth > _MAX_DEPTH:
        return None
    if value.int_value is not None:
        return _integer(value.int_value)
    if value.double_value is not None:
        return float(value.double_value)
    if value.array_value is not None:
        return [_json_value(part, depth + 1) for part in value.array_value.values]
    if value.kvlist_value is not None:
        return _json_attributes(value.kvlist_value.values, depth + 1)
    for plain in (value.string_value, value.bool_value, value.bytes_value):
        if plain is not None:
            return plain
    return None
