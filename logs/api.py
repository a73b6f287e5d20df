"""Ingest over HTTP: authenticate, decode, store, answer after the commit."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.ingest_keys import authenticate
from logs import ingest
from logs.events import Batch
from logs.formats import litellm, native
from logs.formats.reading import FormatError
from routescope.bodies import BodyError, read_body

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5


@csrf_exempt
@require_POST
def usage(request: HttpRequest) -> JsonResponse:
    """Take in records in the native format. Answers as ``_take_in`` says."""
    return _take_in(request, native.decode)


@csrf_exempt
@require_POST
def litellm_callback(request: HttpRequest) -> JsonResponse:
    """Take in what LiteLLM's generic API callback sends. Answers as ``_take_in`` says.

    Never 429, and nothing here takes long: LiteLLM drops a batch that is refused, and what it logs while it
    waits for the answer.
    """
    return _take_in(request, litellm.decode)


def _take_in(request: HttpRequest, decode: Callable[[bytes], Batch]) -> JsonResponse:
    """Authenticate, decode, store, and answer after the commit.

    200 with ``{"accepted", "duplicates", "rejected": [{"index", "request_id", "error"}]}``. 400 if nothing
    can be decoded, 401 without a valid key, 413 for too much at once, 415 for an unknown encoding, 503 with
    ``Retry-After`` while the database cannot be reached. Errors are ``{"error": sentence}``.
    """
    try:
        gateway = authenticate(request)
        if gateway is None:
            return _unauthorised()
        outcome = ingest.store(gateway, decode(read_body(request)))
    except (BodyError, FormatError) as error:
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
