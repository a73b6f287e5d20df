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


class _HtmxRequest(HttpRequest):
    htmx: HtmxDetails


@require_GET
@login_required
def notice(request: _HtmxRequest) -> HttpResponse:
    """How far the work is whose notice a page shows (``said``), for its place there.

    Where it is over, a page with a list is told that there may be more to show, and others show nothing.
    """
    found = current()
    if found is not None and found.text == request.GET.get("said"):
        return render(request, "components/work_notice.html#progress", {"work_notice": found})
    context = {"work_notice": found, "more": None if found else _more(request.htmx.current_url_abs_path)}
    response = render(request, "components/work_notice.html#next", context)
    response["HX-Retarget"] = "#work-notice"
    response["HX-Reswap"] = "outerHTML"
    return response


def _more(page: str | None) -> dict[str, str] | None:
    """Return the addresses of a page and of its results, where it is the page of a list: both have names."""
    parts = urlsplit(page or "")
    try:
        name = resolve(parts.path).url_name
        results = reverse(f"{name}-results")
    except (Resolver404, NoReverseMatch):
        return None
    query = f"?{parts.query}" if parts.query else ""
    return {"page": parts.path + query, "results": results + query}
