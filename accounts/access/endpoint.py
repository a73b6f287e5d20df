"""What every endpoint of the read API does alike: who asks, how often they may, what they may ask for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import msgspec
from django.http import Http404, HttpRequest, HttpResponseBase, QueryDict
from django.utils import timezone, translation

from accounts.access import personal_tokens
from accounts.models import User
from accounts.people.time_zones import zone_of
from routescope.data import troubles
from routescope.data.snapshot import snapshot
from routescope.data.troubles import Trouble
from routescope.rest import declared, problems
from routescope.rest.answers import View, respond
from routescope.rest.declared import Endpoint
from routescope.rest.problems import ProblemError

Body = TypeVar("Body", bound=msgspec.Struct)


class ReadRequest:
    """A request to the read API: whose it is, and its checked query."""

    def __init__(self, user: User, query: QueryDict, url: str) -> None:
        self.user = user
        self.query = query
        self.url = url
        """The path it was sent to, for links to other pages."""


def endpoint(declaration: Endpoint) -> Callable[[Callable[..., msgspec.Struct]], View]:
    """Make a view of ``handler(request, ...)``, which returns the declared body or raises ProblemError.

    It is run for the person whose token it is, in their time zone and in one snapshot of the database.
    Problems: 400 for parameters, 401 without a valid token, 404, 429 over the limit with ``Retry-After``, 503
    while the database is away or busy, and for what takes longer than a page may.
    """
    declared.declare(declaration)

    def made(handler: Callable[..., msgspec.Struct]) -> View:
        @wraps(handler)
        def view(request: HttpRequest, **path: str) -> HttpResponseBase:
            headers: dict[str, str] = {}
            try:
                user = personal_tokens.reader_of(request)
                if user is None:
                    raise _unauthorised()
                allowance = personal_tokens.count_request(user)
                headers = allowance.headers
                if allowance.is_spent:
                    raise _too_many(allowance)
                with timezone.override(zone_of(user)), translation.override("en"):
                    query = declared.checked(declaration, request.GET)
                    with snapshot():
                        body = handler(ReadRequest(user, query, request.path), **path)
                response = respond(request, body)
            except ProblemError as error:
                response = problems.answer(error)
            except Http404:
                response = problems.answer(ProblemError(404, _NOBODYS))
            except Exception as error:
                trouble = troubles.tell(error, request.path)
                if trouble is None:
                    raise
                response = problems.answer(_unavailable(trouble))
            for name, value in headers.items():
                response[name] = value
            return response

        return view

    return made


_NOBODYS = "There are no rows of yours to see under this `of`: leave it out for your own."


def _unauthorised() -> ProblemError:
    detail = (
        "The access token is missing, unknown, expired or revoked: send Authorization: Bearer <token> with a "
        "personal access token from the console's Profile and security. An ingest key can read nothing."
    )
    return ProblemError(401, detail, headers={"WWW-Authenticate": 'Bearer realm="read"'})


def _too_many(allowance: personal_tokens.Allowance) -> ProblemError:
    detail = (
        f"{allowance.limit} requests a minute are the limit. Ask again in {allowance.seconds} s; an export "
        "gives all records at once."
    )
    return ProblemError(429, detail, headers={"Retry-After": str(allowance.seconds)})


def _unavailable(trouble: Trouble) -> ProblemError:
    advice = "Choose a shorter range." if trouble is Trouble.TOO_LONG else "Ask again shortly."
    headers = {"Retry-After": str(trouble.retry_after)}
    return ProblemError(503, f"{trouble.value}. {advice}", headers=headers)
