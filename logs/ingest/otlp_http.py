"""OTLP/HTTP traces: answers in the content type of the request, as the specification says."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.gateways import deliveries
from accounts.gateways.endpoint import FAULT, RETRY_AFTER_SECONDS
from accounts.gateways.keys import authenticate
from logs.ingest import spans
from logs.ingest.formats import otlp
from routescope.data import limits, room, troubles
from routescope.wire.bodies import BodyError, read_body
from routescope.wire.reading import FormatError

logger = logging.getLogger(__name__)

_MAX_MESSAGE = 1000


@csrf_exempt
@require_POST
def traces(request: HttpRequest) -> HttpResponse:
    """Take in an ExportTraceServiceRequest, in protobuf or JSON, optionally gzipped.

    200 with an ExportTraceServiceResponse after the commit; spans that could not be stored are counted in
    its ``partial_success``. Otherwise a google.rpc.Status with 400, 401, 413, 415, or 503 and
    ``Retry-After``, the only one that exporters send again: while the database is away, and for our faults.
    """
    content_type = (request.content_type or otlp.PROTOBUF).lower()
    if content_type not in otlp.CONTENT_TYPES:
        return _failed(otlp.JSON, 415, f"Content-Type must be {' or '.join(otlp.CONTENT_TYPES)}.")
    try:
        with limits.limited(limits.INGEST):
            return _take_in(request, content_type)
    except Exception as error:
        trouble = troubles.tell(error, request.path)
        if trouble is None:
            logger.exception("Spans could not be taken in through a fault of ours")
            return _again(content_type, FAULT)
        return _again(content_type, f"{trouble.value}; send the same request again.", trouble.retry_after)


def _take_in(request: HttpRequest, content_type: str) -> HttpResponse:
    gateway = None
    try:
        gateway = authenticate(request)
        if gateway is None:
            response = _failed(
                content_type,
                401,
                "The ingest key is missing, unknown or revoked: send Authorization: Bearer <ingest key>.",
            )
            response["WWW-Authenticate"] = 'Bearer realm="ingest"'
            return response
        with room.for_records():
            decoded = otlp.decode(read_body(request), content_type)
            outcome = spans.store(gateway, decoded)
    except (BodyError, FormatError) as error:
        if gateway is not None:
            deliveries.refused(gateway, request.path, str(error))
        return _failed(content_type, error.status, str(error))
    except room.NoRoomError as error:
        return _again(content_type, str(error), room.RETRY_AFTER_SECONDS)
    deliveries.took(
        gateway,
        request.path,
        accepted=outcome.accepted,
        duplicates=outcome.duplicates,
        ignored=decoded.ignored,
        refused=((rejection.request_id, rejection.error) for rejection in outcome.rejected),
    )
    if outcome.faults:
        return _again(content_type, FAULT)
    reasons = "; ".join(dict.fromkeys(rejection.error for rejection in outcome.rejected))
    body = otlp.success(content_type, len(outcome.rejected), reasons[:_MAX_MESSAGE])
    return HttpResponse(body, content_type=content_type)


def _again(content_type: str, message: str, seconds: int = RETRY_AFTER_SECONDS) -> HttpResponse:
    response = _failed(content_type, 503, message)
    response["Retry-After"] = str(seconds)
    return response


def _failed(content_type: str, status: int, message: str) -> HttpResponse:
    return HttpResponse(otlp.failure(content_type, status, message), status=status, content_type=content_type)
