"""The guides of ``docs/``, shown inside the console: the same words, with this installation's own address."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt

EXAMPLE_URL = "https://routescope.example"
"""What the guides call the console's address."""

_DOCS = settings.BASE_DIR / "docs"
SECTIONS: dict[str, str | Promise] = {"gateways": _("Connect a gateway")}
"""Folders of ``docs/`` that are shown, in this order."""


@dataclass(frozen=True, slots=True)
class Guide:
    """One guide. ``summary`` is its first paragraph, as text."""

    slug: str
    section: str
    title: str
    summary: str
    source: str


@cache
def guides() -> dict[str, Guide]:
    """Return all guides by their address below ``/learn/``."""
    found = {}
    for section in SECTIONS:
        for path in sorted((_DOCS / section).glob("*.md")):
            text = path.read_text()
            heading, _blank, rest = text.partition("\n")
            slug = f"{section}/{path.stem}"
            first = next((part for part in rest.strip().split("\n\n") if part[:1].isalpha()), "")
            summary = first.replace("*", "").replace("`", "")
            found[slug] = Guide(slug, section, heading.removeprefix("#").strip(), summary, rest)
    return found


def as_html(guide: Guide) -> SafeString:
    """Return a guide as HTML, its heading left out. HTML within a guide is shown, not used."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    text = guide.source.replace(EXAMPLE_URL, settings.BASE_URL)
    return SafeString(markdown.render(text))


@login_required
@require_safe
def learn(request: HttpRequest) -> HttpResponse:
    """List the guides."""
    sections = [
        (title, [guide for guide in guides().values() if guide.section == name])
        for name, title in SECTIONS.items()
    ]
    return render(request, "learn/index.html", {"sections": sections})


@login_required
@require_safe
def guide(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one guide; 404 for any other address."""
    shown = guides().get(slug)
    if shown is None:
        raise Http404
    return render(request, "learn/guide.html", {"guide": shown, "text": as_html(shown)})
