"""What a page of records is asked for: by its address, or by its form, which is sent in the request's body.

People paste keys where an ID is asked for. A form that wrote into the address what is typed would leave a key
in the browser's history, in the logs of every proxy and in what is copied; a redirect comes too late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpRequest, QueryDict
from django.urls import Resolver404, resolve
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from routescope.text import pasted

SEARCH = "_search"
"""What tells a search of the Django admin from its other forms, which are sent to the same address."""
_LONGEST_ADDRESS = 8_000
_MOST_ASKED = pasted.LONGEST + _LONGEST_ADDRESS
"""Characters of all that is asked for by a form: what is pasted, and filters beside it."""
_OF_THE_FORM = {"csrfmiddlewaretoken", SEARCH}

_View = TypeVar("_View", bound=Callable[..., Any])


def asked_by_form(view: _View) -> _View:
    """Let a view that only shows be asked by POST too: `asked` is what for.

    It changes nothing, so another site gains nothing by sending the form: it needs no token, and a page that
    was open while its reader signed in anew goes on working.
    """
    marked = csrf_exempt(require_http_methods(["GET", "POST"])(view))
    marked.asked_by_form = True  # type: ignore[attr-defined]
    return marked


def asked(request: HttpRequest) -> QueryDict:
    """Return what is asked for: the form that was sent, or the address's query."""
    return _asked_in(request.POST) if request.method == "POST" else request.GET


def _asked_in(form: QueryDict) -> QueryDict:
    """Return what of a form asks for something.

    Of each value as much is read as the boxes take, and in all no more than a search and filters beside it.
    """
    query = QueryDict(mutable=True)
    room = _MOST_ASKED
    for name, values in form.lists():
        for value in (one[: pasted.LONGEST] for one in values):
            if value and name not in _OF_THE_FORM and (room := room - len(name) - len(value)) >= 0:
                query.appendlist(name, value)
    return query


def address(path: str, query: QueryDict, mask: Callable[[str], str] = pasted.identifier) -> str:
    """Return the address that asks for this, with keys masked. What ``mask`` leaves of a key goes.

    What is longer than an address may be leads to the page itself.
    """
    shown = QueryDict(mutable=True)
    for name, values in query.lists():
        if kept := [said for value in values if (said := _without_key(value, mask))]:
            shown.setlist(name, kept)
    whole = f"{path}?{shown.urlencode()}" if shown else path
    return whole if len(whole) <= _LONGEST_ADDRESS else path


def _without_key(value: str, mask: Callable[[str], str]) -> str:
    if pasted.key_in(value) is None:
        return value
    masked = mask(value)
    return "" if pasted.key_in(masked) else masked


def address_of(request: HttpRequest) -> str | None:
    """Return the address that asks what a request asks; None for one that changes something."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    return address(request.path, asked(request)) if is_asked_by_form(request) else None


def is_asked_by_form(request: HttpRequest) -> bool:
    """Say whether a request is the form of a view that only shows."""
    try:
        return request.method == "POST" and hasattr(resolve(request.path_info).func, "asked_by_form")
    except Resolver404:
        return False
