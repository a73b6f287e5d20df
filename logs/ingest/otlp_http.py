"""OTLP/HTTP: traces, logs and metrics, answered in the content type of the request, as the specification
says."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.gateways import deliveries
from accounts.gateways.endpoint import FAULT, RETRY_AFTER_SECONDS
from accounts.gateways.keys import authenticate
from accounts.models import Gateway
from logs.ingest import span_contents, spans
from logs.ingest.formats import otlp, otlp_logs
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
    return _answered(request, _take_in_spans)


@csrf_exempt
@require_POST
def logs(request: HttpRequest) -> HttpResponse:
    """Take in an ExportLogsServiceRequest: what model calls said, into the records of their spans.

    Other log records are taken and not kept. Answers as `traces` does.
    """
    return _answered(request, _take_in_logs)


@csrf_exempt
@require_POST
def metrics(request: HttpRequest) -> HttpResponse:
    """Take an ExportMetricsServiceRequest, which is not kept: so that an SDK that is set up whole has no
    error to tell. Answers as `traces` does.
    """
    return _answered(request, _take_metrics)


def _answered(
    request: HttpRequest, take: Callable[[HttpRequest, Gateway, str], HttpResponse]
) -> HttpResponse:
    """Authenticate, do the work, and answer in the content type of the request."""
    content_type = (request.content_type or otlp.PROTOBUF).lower()
    if content_type not in otlp.CONTENT_TYPES:
        return _failed(otlp.JSON, 415, f"Content-Type must be {' or '.join(otlp.CONTENT_TYPES)}.")
    try:
        with limits.limited(limits.INGEST):
            return _authenticated(request, content_type, take)
    except Exception as error:
        trouble = troubles.tell(error, request.path)
        if trouble is None:
            logger.exception(
                "What was sent to %s could not be taken in through a fault of ours", request.path
            )
            return _again(content_type, FAULT)
        return _again(content_type, f"{trouble.value}; send the same request again.", trouble.retry_after)


def _authenticated(
    request: HttpRequest, content_type: str, take: Callable[[HttpRequest, Gateway, str], HttpResponse]
) -> HttpResponse:
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
            return take(request, gateway, content_type)
    except (BodyError, FormatError) as error:
        if gateway is not None:
            deliveries.refused(gateway, request.path, str(error))
        return _failed(content_type, error.status, str(error))
    except room.NoRoomError as error:
        return _again(content_type, str(error), room.RETRY_AFTER_SECONDS)


def _take_in_spans(request: HttpRequest, gateway: Gateway, content_type: str) -> HttpResponse:
    decoded = otlp.decode(read_body(request), content_type)
    outcome = spans.store(gateway, decoded)
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


def _take_in_logs(request: HttpRequest, gateway: Gateway, content_type: str) -> HttpResponse:
    span_contents.take_in(gateway, otlp_logs.messages(read_body(request), content_type))
    return _taken(content_type)


def _take_metrics(request: HttpRequest, gateway: Gateway, content_type: str) -> HttpResponse:
    otlp_logs.check(read_body(request), content_type)
    return _taken(content_type)


def _taken(content_type: str) -> HttpResponse:
    """Return an Export*ServiceResponse without anything in it, which is the same of logs and of metrics."""
    return HttpResponse(otlp.success(content_type, 0, ""), content_type=content_type)


def _again(content_type: str, message: str, seconds: int = RETRY_AFTER_SECONDS) -> HttpResponse:
    response = _failed(content_type, 503, message)
    response["Retry-After"] = str(seconds)
    return response


def _failed(content_type: str, status: int, message: str) -> HttpResponse:
    return HttpResponse(otlp.failure(content_type, status, message), status=status, content_type=content_type)
