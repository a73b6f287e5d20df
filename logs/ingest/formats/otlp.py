"""OTLP/HTTP traces (``POST /v1/traces``): the envelope, in protobuf and JSON, and the answers to it.

Source: opentelemetry.io/docs/specs/otlp, "OTLP/HTTP" and "JSON Protobuf Encoding": hex IDs, integer enums,
64-bit integers as string or number, lowerCamelCase, unknown fields ignored; answers in the request's content
type.
What a span means is read in ``logs.ingest.formats.spans.reading``.
"""

from __future__ import annotations

import logging

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from logs.ingest.formats import otlp_json, otlp_protobuf
from logs.ingest.formats.otlp_protobuf import varint
from logs.ingest.formats.spans import reading
from logs.ingest.formats.spans.reading import Reading
from logs.ingest.formats.spans.span import Span
from logs.models.events import Rejection
from routescope.wire.reading import MAX_RECORDS, FormatError, RecordError

logger = logging.getLogger(__name__)

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
CONTENT_TYPES = (PROTOBUF, JSON)

_RPC_CODES = {400: 3, 401: 16, 413: 8, 415: 3, 503: 14}
"""google.rpc.Code of the HTTP statuses that are answered here."""
_RPC_UNKNOWN = 2


_MOST_LINKS = 10_000
"""Spans of one request that are kept for the ancestry of others: more than a call has around it."""


class Link(msgspec.Struct, frozen=True):
    """A span that is no model call, as far as others may be related through it. IDs are hexadecimal."""

    trace_id: str
    span_id: str
    parent_id: str


class Spans(msgspec.Struct):
    """A decoded request: the model calls with their spans' places in it, and what could not be read.

    ``links`` are spans between others; ``faults`` counts spans that could not be read through a fault of
    ours: they are to be sent again.
    """

    readings: list[tuple[int, Reading]]
    rejected: list[Rejection]
    ignored: int
    faults: int = 0
    links: list[Link] = []


def decode(body: bytes, content_type: str) -> Spans:
    """Read the spans of an ExportTraceServiceRequest; spans that are no model call are counted and left out.

    Raises FormatError for a body that is no such request, over ``MAX_SPANS`` spans, and over ``MAX_RECORDS``
    model calls.
    """
    found = Spans(readings=[], rejected=[], ignored=0)
    read = otlp_protobuf.spans if content_type == PROTOBUF else otlp_json.spans
    for index, span in enumerate(read(body)):
        if isinstance(span, Rejection):
            found.rejected.append(Rejection(index=index, request_id=span.request_id, error=span.error))
            continue
        try:
            call = reading.read(span)
        except RecordError as error:
            found.rejected.append(Rejection(index=index, request_id=span.span_id, error=str(error)))
            continue
        except Exception:
            logger.exception("A span (%s) could not be read through a fault of ours", span.span_id)
            found.faults += 1
            continue
        if call is None:
            found.ignored += 1
            if len(found.links) < _MOST_LINKS and _is_between(span):
                found.links.append(Link(span.trace_id, span.span_id, span.parent_id))
            continue
        found.readings.append((index, call))
        if len(found.readings) > MAX_RECORDS:
            raise FormatError(
                f"More than {MAX_RECORDS:,} model calls in one request: export smaller batches.", 413
            )
    return found


def _is_between(span: Span) -> bool:
    """Tell whether a span may lie between two model calls: not at a trace's root, nor at a database."""
    is_whole = len(span.trace_id) == 32 and len(span.span_id) == len(span.parent_id) == 16
    return is_whole and "db.system" not in span.attributes and "db.system.name" not in span.attributes


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
    return b"\x08" + varint(code) + b"\x12" + varint(len(text)) + text
