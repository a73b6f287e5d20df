"""What every endpoint for gateways answers alike: without a key, for a bad body, while the database is
away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from accounts.gateways import deliveries
from accounts.gateways.keys import authenticate
from accounts.models import Gateway
from routescope.data import limits, room, troubles
from routescope.wire.bodies import BodyError
from routescope.wire.reading import FormatError

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
FAULT = "Something went wrong here, not in what was sent; the log says what. Send the same again."
Parameters = ParamSpec("Parameters")


def for_gateways(
    handler: Callable[Concatenate[HttpRequest, Gateway, Parameters], JsonResponse],
) -> Callable[Concatenate[HttpRequest, Parameters], JsonResponse]:
    """Make a view of ``handler(request, gateway, ...)``, which may raise BodyError and FormatError.

    401 without a valid ingest key, 400, 413 or 415 for a body that cannot be taken, 503 with ``Retry-After``
    while the database is away, its disk is nearly full or it keeps us waiting past `limits.INGEST`, and for a
    fault of ours, which the log tells: what came is to be sent again. Errors are ``{"error": sentence}``.
    """

    @csrf_exempt
    @wraps(handler)
    def view(request: HttpRequest, *args: Parameters.args, **kwargs: Parameters.kwargs) -> JsonResponse:
        try:
            with limits.limited(limits.INGEST):
                return answered(request, *args, **kwargs)
        except Exception as error:
            trouble = troubles.tell(error, request.path)
            if trouble is None:
                logger.exception("A batch could not be taken in through a fault of ours")
                return unavailable(FAULT)
            return unavailable(f"{trouble.value}; send the same batch again.", trouble.retry_after)

    def answered(request: HttpRequest, *args: Parameters.args, **kwargs: Parameters.kwargs) -> JsonResponse:
        gateway = None
        try:
            gateway = authenticate(request)
            if gateway is None:
                return _unauthorised()
            with room.for_records():
                return handler(request, gateway, *args, **kwargs)
        except (BodyError, FormatError) as error:
            if gateway is not None:
                deliveries.refused(gateway, request.path, str(error))
            return JsonResponse({"error": str(error)}, status=error.status)
        except room.NoRoomError as error:
            return unavailable(str(error), room.RETRY_AFTER_SECONDS)

    return cast(Callable[Concatenate[HttpRequest, Parameters], JsonResponse], view)


def _unauthorised() -> JsonResponse:
    response = JsonResponse(
        {"error": "The ingest key is missing, unknown or revoked: send Authorization: Bearer <ingest key>."},
        status=401,
    )
    response["WWW-Authenticate"] = 'Bearer realm="ingest"'
    return response


def unavailable(reason: str, seconds: int = RETRY_AFTER_SECONDS) -> JsonResponse:
    """Return the answer after which a client sends the same again, in so many seconds."""
    response = JsonResponse({"error": reason}, status=503)
    response["Retry-After"] = str(seconds)
    return response
