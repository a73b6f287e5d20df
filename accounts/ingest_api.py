"""What every endpoint for gateways answers alike: without a key, for a bad body, while the database is
away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from accounts import deliveries
from accounts.ingest_keys import authenticate
from accounts.models import Gateway
from routescope.bodies import BodyError
from routescope.data import room
from routescope.reading import FormatError

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
Parameters = ParamSpec("Parameters")


def for_gateways(
    handler: Callable[Concatenate[HttpRequest, Gateway, Parameters], JsonResponse],
) -> Callable[Concatenate[HttpRequest, Parameters], JsonResponse]:
    """Make a view of ``handler(request, gateway, ...)``, which may raise BodyError and FormatError.

    401 without a valid ingest key, 400, 413 or 415 for a body that cannot be taken, 503 with ``Retry-After``
    while the database cannot be reached or its disk is nearly full. Errors are ``{"error": sentence}``.
    """

    @csrf_exempt
    @wraps(handler)
    def view(request: HttpRequest, *args: Parameters.args, **kwargs: Parameters.kwargs) -> JsonResponse:
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
            return _later(str(error), room.RETRY_AFTER_SECONDS)
        except (OperationalError, InterfaceError):
            logger.exception("Records could not be stored; the client is asked to send them again")
            return _unavailable()

    return cast(Callable[Concatenate[HttpRequest, Parameters], JsonResponse], view)


def _unauthorised() -> JsonResponse:
    response = JsonResponse(
        {"error": "The ingest key is missing, unknown or revoked: send Authorization: Bearer <ingest key>."},
        status=401,
    )
    response["WWW-Authenticate"] = 'Bearer realm="ingest"'
    return response


def _unavailable() -> JsonResponse:
    return _later("The database cannot be reached; send the same batch again.", RETRY_AFTER_SECONDS)


def _later(error: str, seconds: int) -> JsonResponse:
    response = JsonResponse({"error": error}, status=503)
    response["Retry-After"] = str(seconds)
    return response
