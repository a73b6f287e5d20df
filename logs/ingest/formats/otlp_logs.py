"""Content of model calls out of an ExportLogsServiceRequest: events that instrumentations send beside spans.

Source: the GenAI semantic conventions' events (``gen_ai.user.message``, ``gen_ai.choice``,
``gen_ai.client.inference.operation.details``); openai-v2, botocore and ADK send their content so. An event
names its span. All other log records are passed over unread, and so are all metrics.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1 import logs_pb2

from logs.ingest.formats import otlp_json, otlp_protobuf
from logs.ingest.formats.otlp import PROTOBUF
from logs.ingest.formats.otlp_json import AnyValue, KeyValue
from logs.ingest.formats.spans.content import is_content
from logs.ingest.formats.spans.span import SpanEvent
from routescope.wire.json_parts import BrokenError, Steps, chosen, elements
from routescope.wire.reading import MAX_SPANS, FormatError, RecordError, is_utf8, mended, sanitised

_MARK = b"gen_ai."
_NULL = b"null"


class _LogRecord(msgspec.Struct, frozen=True, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    event_name: str = ""
    body: AnyValue | None = None
    attributes: list[KeyValue] | None = None


class SpanMessage(msgspec.Struct, frozen=True):
    """An event that tells content of a span's call. IDs are hexadecimal."""

    trace_id: str
    span_id: str
    event: SpanEvent


_decode = msgspec.json.Decoder(_LogRecord).decode
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode


def messages(body: bytes, content_type: str) -> list[SpanMessage]:
    """Return the events of content in a request of logs.

    Raises FormatError for a body that is no such request, and over ``MAX_SPANS`` records.
    """
    read = _of_protobuf if content_type == PROTOBUF else _of_json
    return [message for message in read(body) if _is_whole(message)]


def check(body: bytes, content_type: str) -> None:
    """Raise FormatError for a body that is neither protobuf nor a JSON object."""
    try:
        if content_type == PROTOBUF:
            for _ in otlp_protobuf.fields_of(body, 0, len(body)):
                pass
            return
    except otlp_protobuf.WireError as error:
        raise FormatError(f"The body is no protobuf ({error}).") from error
    text = body.strip()
    try:
        if text:
            _decode_raw(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"The body is no JSON ({error}).") from error
    if text and not text.startswith(b"{"):
        raise FormatError("The body is no JSON object.")


def _of_protobuf(body: bytes) -> Iterator[SpanMessage]:
    steps = Steps(10 * MAX_SPANS)
    left = MAX_SPANS
    try:
        for of_resource in otlp_protobuf.messages_in(body, 0, len(body), 1, steps):
            for of_scope in otlp_protobuf.messages_in(body, *of_resource, 2, steps):
                for start, end in otlp_protobuf.messages_in(body, *of_scope, 2, steps):
                    left -= 1
                    if left < 0:
                        raise _too_many()
                    if body.find(_MARK, start, end) >= 0:
                        yield from _from_protobuf(body[start:end])
    except otlp_protobuf.WireError as error:
        raise FormatError(f"The body is no ExportLogsServiceRequest in protobuf ({error}).") from error
    except BrokenError as error:
        raise FormatError(
            f"More than {MAX_SPANS:,} log records, or parts beside them: {error}.", 413
        ) from error


def _from_protobuf(data: bytes) -> Iterator[SpanMessage]:
    try:
        record = otlp_protobuf.parsed(data, "log", logs_pb2.LogRecord.FromString)
    except (DecodeError, otlp_protobuf.WireError, otlp_protobuf.TooMuchError):
        return
    body = otlp_protobuf.value_of(record.body)
    attributes = otlp_protobuf.attributes_of(record.attributes)
    yield _message(record.trace_id.hex(), record.span_id.hex(), record.event_name, body, attributes)


def _of_json(body: bytes) -> Iterator[SpanMessage]:
    body = sanitised(body)
    body = body if is_utf8(body) else mended(body)
    if not body.strip():
        return
    steps = Steps()
    left = MAX_SPANS
    try:
        for of_resource in _each(body, b"resourceLogs", steps):
            for of_scope in _each(of_resource, b"scopeLogs", steps):
                for raw in _each(of_scope, b"logRecords", steps):
                    left -= 1
                    if left < 0:
                        raise _too_many()
                    if _MARK in raw:
                        yield from _from_json(raw)
    except BrokenError as error:
        raise FormatError(f"The body is no ExportLogsServiceRequest in JSON ({error}).") from error


def _from_json(raw: bytes) -> Iterator[SpanMessage]:
    try:
        record = _decode(mended(raw))
        body = otlp_json.value_of(record.body, [])
    except (msgspec.DecodeError, RecursionError, RecordError):
        return
    attributes = otlp_json.attributes_of(record.attributes, [])
    yield _message(record.trace_id.lower(), record.span_id.lower(), record.event_name, body, attributes)


def _each(raw: bytes, name: bytes, steps: Steps) -> Iterator[bytes]:
    value = chosen(raw, (name,), steps).get(name, _NULL)
    # In protobuf's JSON, null is the same as a field left out.
    return iter(()) if value == _NULL else elements(value, steps)


def _message(trace: str, span: str, name: str, body: Any, attributes: dict[str, Any]) -> SpanMessage:
    named = name or str(attributes.pop("event.name", "") or "")
    told = body if isinstance(body, dict) else {"content": body} if body not in (None, "") else {}
    return SpanMessage(trace, span, SpanEvent(name=named, time_ns=0, attributes={**attributes, **told}))


def _is_whole(message: SpanMessage) -> bool:
    known = len(message.trace_id) == 32 and len(message.span_id) == 16
    return known and _is_hex(message.trace_id + message.span_id) and is_content(message.event.name)


def _is_hex(text: str) -> bool:
    return not text.strip("0123456789abcdef")


def _too_many() -> FormatError:
    return FormatError(f"More than {MAX_SPANS:,} log records: export smaller batches.", 413)
