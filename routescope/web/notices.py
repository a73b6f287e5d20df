"""What a long work of the operator's says at the top of the console's pages while it goes on: how far it is.

Kept in the cache, which all processes share. One work speaks at a time; of two, the one that spoke last.
"""

from __future__ import annotations

from time import monotonic
from urllib.parse import urlsplit

import msgspec
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_GET
from django_htmx.middleware import HtmxDetails

SPEAKS_FOR = 30
"""Seconds that a notice is shown after its author last spoke: who has died says nothing."""
_KEY = "routescope.web.notices"
_SILENT_FOR = 2.0
"""Seconds for which a process takes it that there is nothing to say: pages do not ask the database each."""


class Notice(msgspec.Struct, frozen=True):
    """``text`` is English, marked for translation by its author; ``percent`` says how much of it is done."""

    text: str
    percent: int | None = None

    @property
    def words(self) -> str:
        return gettext(self.text)


class _Silence:
    """Until when this process takes it that nothing is said."""

    until = 0.0


def show(text: str, percent: int | None = None) -> None:
    """Show a notice on every page of the console for ``SPEAKS_FOR`` seconds; say it again before they end.

    ``text`` goes through ``gettext_noop`` at its author's. Raises OperationalError if the database is away.
    """
    percent = None if percent is None else max(0, min(percent, 100))
    cache.set(_KEY, msgspec.to_builtins(Notice(text, percent)), SPEAKS_FOR)
    _Silence.until = 0.0


def take_down() -> None:
    """Show no notice any more. Raises OperationalError if the database is away."""
    cache.delete(_KEY)


def current() -> Notice | None:
    """Return what is to be shown now. A new notice may be missed for two seconds."""
    if monotonic() < _Silence.until:
        return None
    found = cache.get(_KEY)
    if found is None:
        _Silence.until = monotonic() + _SILENT_FOR
        return None
    return msgspec.convert(found, Notice)


class NoticeOnPage(msgspec.Struct, frozen=True):
    """A notice, if there is one, on a page with the address ``page``.

    ``results`` is the address of what the page lists, empty where it lists nothing: both have names.
    """

    notice: Notice | None
    page: str
    results: str


def on_page(page: str) -> NoticeOnPage:
    """Return what the page with this address, path and query, is to show now."""
    parts = urlsplit(page)
    try:
        results = reverse(f"{resolve(parts.path).url_name}-results")
    except (Resolver404, NoReverseMatch):
        results = ""
    query = f"?{parts.query}" if parts.query else ""
    return NoticeOnPage(current(), parts.path + query, results and results + query)


class _HtmxRequest(HttpRequest):
    htmx: HtmxDetails


@require_GET
@login_required
def notice(request: _HtmxRequest) -> HttpResponse:
    """How far the work is whose notice (``said``) a page (``at``) shows, for its place there.

    Where another work has begun, or the page has become another one, all of the notice comes anew. Where the
    work is over, a page with a list offers what has come in, and another one shows nothing.
    """
    work = on_page(request.htmx.current_url_abs_path or "")
    told = work.notice is not None and work.notice.text == request.GET.get("said")
    if told and work.page == request.GET.get("at"):
        return render(request, "components/work_notice.html#progress", {"work": work})
    response = render(request, "components/work_notice.html", {"work": work})
    response["HX-Retarget"] = "#work-notice"
    response["HX-Reswap"] = "outerHTML"
    return response
