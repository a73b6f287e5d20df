"""Ingest over HTTP: authenticate, decode, store, answer after the commit."""

from __future__ import annotations

import logging

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.ingest_keys import authenticate
from logs import ingest
from logs.formats import native
from routescope.bodies import BodyError, read_body

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5


@csrf_exempt
@require_POST
def usage(request: HttpRequest) -> JsonResponse:
    """Take in records in the native format.

    200 with ``{"accepted", "duplicates", "rejected": [{"index", "request_id", "error"}]}`` after the commit.
    400 if nothing can be decoded, 401 without a valid key, 413 for too much at once, 415 for an unknown
    encoding, 503 with ``Retry-After`` while the database cannot be reached. Errors are
    ``{"error": sentence}``.
    """
    try:
        gateway = authenticate(request)
        if gateway is None:
            return _unauthorised()
        batch = native.decode(read_body(request))
        outcome = ingest.store(gateway, batch)
    except BodyError as error:
        return JsonResponse({"error": str(error)}, status=error.status)
    except native.FormatError as error:
        return JsonResponse({"error": str(error)}, status=error.status)
    except (OperationalError, InterfaceError):
        logger.exception("Records could not be stored; the client is asked to send them again")
        return _unavailable()
    return JsonResponse(
        {
            "accepted": outcome.accepted,
            "duplicates": outcome.duplicates,
            "rejected": [
                {"index": rejection.index, "request_id": rejection.request_id, "error": rejection.error}
                for rejection in outcome.rejected
            ],
        }
    )


def _unauthorised() -> JsonResponse:
    response = JsonResponse(
        {"error": "The ingest key is missing, unknown or revoked: send Authorization: Bearer <ingest key>."},
        status=401,
    )
    response["WWW-Authenticate"] = 'Bearer realm="ingest"'
    return response


def _unavailable() -> JsonResponse:
    response = JsonResponse(
        {"error": "The database cannot be reached; send the same batch again."}, status=503
    )
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
