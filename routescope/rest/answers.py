"""Answers of the read API: JSON with an ``ETag``, and 304 where the client holds the same already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.views.decorators.csrf import csrf_exempt

from routescope.data.ranges import TimeRange
from routescope.rest.problems import ProblemError
from routescope.rest.problems import answer as problem

Money = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^-?\d+(\.\d+)?$", description="US dollars, exact, as a decimal string.", examples=["0.0049"]
    ),
]
Ratio = Annotated[str, msgspec.Meta(pattern=r"^-?\d+(\.\d+)?$", description="A decimal string.")]


class Range(msgspec.Struct, frozen=True):
    """The range of time answered for, start <= t < end in UTC; null is without bound."""

    start: datetime | None
    end: datetime | None


View = Callable[..., HttpResponseBase]


def utc(moment: datetime) -> datetime:
    """Return a time in UTC, as every answer writes it (RFC 3339, ending with Z)."""
    return moment.astimezone(UTC)


def range_of(chosen: TimeRange) -> Range:
    return Range(
        None if chosen.start is None else utc(chosen.start), None if chosen.end is None else utc(chosen.end)
    )


def respond(request: HttpRequest, body: msgspec.Struct) -> HttpResponseBase:
    """Return the body as JSON, or 304 where ``If-None-Match`` names its ``ETag``."""
    encoded = msgspec.json.encode(body)
    etag = f'"{hashlib.blake2b(encoded, digest_size=12).hexdigest()}"'
    response = HttpResponse(encoded, content_type="application/json")
    response["ETag"] = etag
    # To be kept by this client alone, and asked about each time: records are amended and sums move.
    response["Cache-Control"] = "private, no-cache"
    response["Vary"] = "Authorization"
    found = get_conditional_response(request, etag=etag, response=response)
    return found if found is not None else response


def by_method(**views: View) -> View:
    """Make one view of several, each for its method: ``by_method(GET=read, POST=write)``.

    HEAD goes where GET goes; other methods answer 405 with ``Allow``.
    """
    if "GET" in views:
        views["HEAD"] = views["GET"]
    allowed = ", ".join(sorted(views))

    @csrf_exempt
    def view(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        chosen = views.get(request.method or "")
        if chosen is None:
            detail = f"{request.method} is not for this path: send {allowed}."
            return problem(ProblemError(405, detail, headers={"Allow": allowed}))
        return chosen(request, *args, **kwargs)

    return view
