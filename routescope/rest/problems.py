"""Errors of the API: problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

CONTENT_TYPE = "application/problem+json"


class Invalid(msgspec.Struct, frozen=True):
    """One parameter that could not be used."""

    parameter: Annotated[str, msgspec.Meta(description="The parameter's name.")]
    detail: Annotated[str, msgspec.Meta(description="What is wrong with it, and what to send.")]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong, as RFC 9457 says it."""

    title: Annotated[str, msgspec.Meta(description="The kind of problem, the same for all of its kind.")]
    status: Annotated[int, msgspec.Meta(description="The HTTP status.")]
    detail: Annotated[str, msgspec.Meta(description="What happened here, and what to do.")]
    errors: list[Invalid] = []


_TITLES = {
    400: "Parameters that cannot be used",
    401: "No valid access token",
    404: "Not found",
    405: "Method not allowed",
    429: "Too many requests",
    503: "Temporarily unavailable",
}


class ProblemError(Exception):
    """Raised by an endpoint to answer with a problem. ``headers`` are added to the answer."""

    def __init__(
        self, status: int, detail: str, errors: Iterable[Invalid] = (), headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = list(errors)
        self.headers = headers or {}


def answer(error: ProblemError) -> HttpResponse:
    """Return the response that tells of a problem."""
    body = Problem(_TITLES[error.status], error.status, str(error), error.errors)
    response = HttpResponse(msgspec.json.encode(body), content_type=CONTENT_TYPE, status=error.status)
    for name, value in error.headers.items():
        response[name] = value
    response["Cache-Control"] = "no-store"
    return response


@csrf_exempt
def not_found(request: HttpRequest, rest: str) -> HttpResponse:
    """Answer for a path under the API that is none of its own."""
    return answer(ProblemError(404, "There is nothing at this path. See /api/v1/openapi.json."))
