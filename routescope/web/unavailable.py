"""What is answered while the database is away, busy or too slow: 503 with ``Retry-After``.

A page in words for a browser; a JSON problem (RFC 9457) for machines and for htmx, which shows its words
where the answer would have been. Neither asks the database, the session or the manifest of static files.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template import loader
from django.urls import Resolver404, resolve
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l
from django.views import defaults

from routescope.data import limits
from routescope.data.ranges import Preset
from routescope.data.troubles import Trouble, trouble_of
from routescope.filters.filter_set import CUSTOM, with_shown_range
from routescope.rest.problems import CONTENT_TYPE, Problem
from routescope.web.asking import address_of

Handler = Callable[[HttpRequest], HttpResponse]
_View = TypeVar("_View", bound=Callable[..., object])

_FOR_MACHINES = ("/api/", "/hooks/", "/v1/")
_TABS = re.compile(r"/records/[a-z]+/(results/)?\Z")
"""The pages whose range of time is one by default, said in the address or not."""
_SHORTER = {
    Preset.ALL: Preset.MONTH,
    CUSTOM: Preset.DAY,
    Preset.QUARTER: Preset.MONTH,
    Preset.MONTH: Preset.WEEK,
    Preset.THIS_MONTH: Preset.WEEK,
    Preset.WEEK: Preset.DAY,
    Preset.DAY: Preset.HOUR,
    Preset.TODAY: Preset.HOUR,
    Preset.YESTERDAY: Preset.HOUR,
}


class Shorter(msgspec.Struct, frozen=True):
    """The same page over less time: where it is, and what to call it."""

    url: str
    label: str


class Unavailable(Problem, frozen=True, omit_defaults=True):
    """The problem, and where it may be had over a shorter range."""

    shorter: Shorter | None = None


_WORDS: dict[Trouble, tuple[str | Promise, str | Promise]] = {
    Trouble.AWAY: (
        _l("The console is temporarily unavailable"),
        _l(
            "The database cannot be reached. Records accepted from gateways are safe. Try again in a few "
            "seconds."
        ),
    ),
    Trouble.BUSY: (
        _l("Busy at the moment"),
        _l("This is being changed and is locked at the moment. Try again in a few seconds."),
    ),
    Trouble.TOO_LONG: (
        _l("This takes too long"),
        _l("There was no answer within the time limit. Ask for less, or try again."),
    ),
}
_RANGE_TOO_LONG = (
    _l("This range takes too long"),
    _l("There was no answer within the time limit. Choose a shorter range."),
)


def within_limits(get_response: Handler) -> Handler:
    """Middleware, the outermost: whatever a request asks of the database has the limits of a page.

    Views for gateways say otherwise (`accounts.gateways.endpoint`).
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        with limits.limited(limits.PAGE):
            return get_response(request)

    return middleware


def answers_json(view: _View) -> _View:
    """Mark a view whose answers are JSON, so that its errors are too. Paths of the API need no mark."""
    view.answers_json = True  # type: ignore[attr-defined]
    return view


def failed(request: HttpRequest) -> HttpResponse:
    """Answer for an error that no view caught: 503 for one of the database's troubles, else 500."""
    trouble = trouble_of(sys.exception())
    return defaults.server_error(request) if trouble is None else answer(request, trouble)


def answer(request: HttpRequest, trouble: Trouble) -> HttpResponse:
    """Return the 503 that a trouble of the database means for this request."""
    if _is_for_machine(request):
        with translation.override("en"):
            return _finished(_problem(request, trouble), trouble)
    if request.headers.get("HX-Request"):
        return _finished(_problem(request, trouble), trouble)
    title, detail, shorter = _said(request, trouble)
    context = {
        "title": title,
        "detail": detail,
        "shorter": shorter,
        "again": address_of(request) or "",
    }
    # Without the request: its context processors ask for the session.
    page = loader.get_template("503.html").render(context)
    return _finished(HttpResponse(page, status=503), trouble)


def _problem(request: HttpRequest, trouble: Trouble) -> HttpResponse:
    title, detail, shorter = _said(request, trouble)
    body = msgspec.json.encode(Unavailable(title, 503, detail, shorter=shorter))
    return HttpResponse(body, content_type=CONTENT_TYPE, status=503)


def _finished(response: HttpResponse, trouble: Trouble) -> HttpResponse:
    response["Retry-After"] = str(trouble.retry_after)
    response["Cache-Control"] = "no-store"
    return response


def _said(request: HttpRequest, trouble: Trouble) -> tuple[str, str, Shorter | None]:
    """Return the title, the sentence, and the shorter range where one mends it."""
    shorter = _shorter(request) if trouble is Trouble.TOO_LONG else None
    title, detail = _RANGE_TOO_LONG if shorter else _WORDS[trouble]
    return str(title), str(detail), shorter


def _shorter(request: HttpRequest) -> Shorter | None:
    asks_for = address_of(request)
    if asks_for is None:
        return None
    query = with_shown_range(QueryDict(asks_for.partition("?")[2])).copy()
    preset = _preset_in(query)
    if preset is None and _TABS.match(request.path):
        preset = Preset.DAY
    wanted = _SHORTER.get(preset) if preset else None
    if wanted is None:
        return None
    for name in ("start", "end", "older", "newer"):
        query.pop(name, None)
    query["range"] = wanted.value
    # The page, not its fragment.
    path = request.path.removesuffix("results/") if _TABS.match(request.path) else request.path
    return Shorter(f"{path}?{query.urlencode()}", _("Show: %(range)s") % {"range": wanted.label})


def _preset_in(query: QueryDict) -> str | None:
    preset = query.get("range", "")
    if preset in Preset.values:
        return str(preset)
    return CUSTOM if query.get("start") or query.get("end") else None


def _is_for_machine(request: HttpRequest) -> bool:
    if request.path.startswith(_FOR_MACHINES) or not request.accepts("text/html"):
        return True
    try:
        return bool(getattr(resolve(request.path_info).func, "answers_json", False))
    except Resolver404:
        return False
