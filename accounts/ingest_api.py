"""What every endpoint for gateways answers alike: without a key, for a bad body, while the database is
away.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from accounts import deliveries
from accounts.ingest_keys import authenticate
from accounts.models import Gateway
from routescope.bodies import BodyError
from routescope.data import limits, outages
from routescope.data.outages import Trouble
from routescope.reading import FormatError

Parameters = ParamSpec("Parameters")


def for_gateways(
    handler: Callable[Concatenate[HttpRequest, Gateway, Parameters], JsonResponse],
) -> Callable[Concatenate[HttpRequest, Parameters], JsonResponse]:
    """Make a view of ``handler(request, gateway, ...)``, which may raise BodyError and FormatError.

    401 without a valid ingest key, 400, 413 or 415 for a body that cannot be taken, 503 with ``Retry-After``
    while the database is away or keeps it waiting past `limits.INGEST`. Errors are ``{"error": sentence}``.
    """

    @csrf_exempt
    @wraps(handler)
    def view(request: HttpRequest, *args: Parameters.args, **kwargs: Parameters.kwargs) -> JsonResponse:
        try:
            with limits.limited(limits.INGEST):
                return answered(request, *args, **kwargs)
        except Exception as error:
            trouble = outages.tell(error, request.path)
            if trouble is None:
                raise
            return _unavailable(trouble)

    def answered(request: HttpRequest, *args: Parameters.args, **kwargs: Parameters.kwargs) -> JsonResponse:
        gateway = None
        try:
            gateway = authenticate(request)
            if gateway is None:
                return _unauthorised()
            return handler(request, gateway, *args, **kwargs)
        except (BodyError, FormatError) as error:
            if gateway is not None:
                deliveries.refused(gateway, request.path, str(error))
            return JsonResponse({"error": str(error)}, status=error.status)

    return cast(Callable[Concatenate[HttpRequest, Parameters], JsonResponse], view)


def _unauthorised() -> JsonResponse:
    response = JsonResponse(
        {"error": "The ingest key is missing, unknown or revoked: send Authorization: Bearer <ingest key>."},
        status=401,
    )
    response["WWW-Authenticate"] = 'Bearer realm="ingest"'
    return response


def _unavailable(trouble: Trouble) -> JsonResponse:
    response = JsonResponse({"error": f"{trouble.value}; send the same batch again."}, status=503)
    response["Retry-After"] = str(trouble.retry_after)
    return response
