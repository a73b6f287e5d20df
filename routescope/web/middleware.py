"""Middleware of the frame."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from routescope.web.asking import address_of


class HtmxHttpRequest(HttpRequest):
    """A request as HtmxMiddleware leaves it."""

    htmx: HtmxDetails


Handler = Callable[[HtmxHttpRequest], HttpResponse]

_RESULTS = "/results/"
"""How the address of a page's results ends."""


def htmx_sign_in(get_response: Handler) -> Handler:
    """Lead an htmx request whose session has expired to the sign-in page as a whole.

    Redirected as usual, htmx would follow and put the sign-in page where the results were. After signing in,
    the person gets what they asked for: the page of the results, or else the page they were on.
    """

    def middleware(request: HtmxHttpRequest) -> HttpResponse:
        response = get_response(request)
        if not request.htmx or not isinstance(response, HttpResponseRedirect):
            return response
        target = urlsplit(response.url)
        sign_in = resolve_url(settings.LOGIN_URL)
        if target.path != sign_in or target.netloc not in ("", request.get_host()):
            return response
        page = _page_of(request) or request.htmx.current_url_abs_path
        query = f"?{urlencode({REDIRECT_FIELD_NAME: page})}" if page else ""
        return HttpResponseClientRedirect(sign_in + query)

    return middleware


def _page_of(request: HtmxHttpRequest) -> str | None:
    """Return the page whose results are asked for: its twin, under the same query."""
    path, _, query = (address_of(request) or "").partition("?")
    if not path.endswith(_RESULTS):
        return None
    return path.removesuffix(_RESULTS) + "/" + (f"?{query}" if query else "")
