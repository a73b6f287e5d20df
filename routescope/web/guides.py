"""The guides of ``docs/`` as the console shows them: the same words, with this installation's own address.

``docs/guide/`` is for everybody, a chapter a file, in the order of their numbers. ``docs/gateways/`` is for
those who run a gateway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path

from django.conf import settings
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.token import Token

EXAMPLE_URL = "https://routescope.example"
"""What the guides call the console's address."""

_DOCS = settings.BASE_DIR / "docs"
PERSONS, OPERATORS = "guide", "gateways"
"""The folders of ``docs/`` that are shown."""
_NUMBER = re.compile(r"^\d+-")
_UPDATED = re.compile(r"^Last updated (\d{4}-\d\d-\d\d)\n+")
_BLOCK = re.compile(r"<p>\{([a-z-]+)\}</p>\n?")
_PICTURES = "static/img/guide/"
DENSITY = 1.5
"""Pixels of a picture to one of CSS."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside a guide, and the anchor that leads to it."""

    anchor: str
    title: str


@dataclass(frozen=True, slots=True)
class Guide:
    """One guide. ``slug`` is its address below ``/learn/``, ``summary`` its first paragraph, as text.

    ``updated`` is when a chapter's words last changed; those for operators do not say.
    """

    slug: str
    section: str
    title: str
    summary: str
    source: str
    updated: date | None = None
    headings: Sequence[Heading] = field(default=())

    @property
    def url(self) -> str:
        return reverse("guide", args=[self.slug])

    @property
    def is_for_operators(self) -> bool:
        return self.section == OPERATORS


@cache
def guides() -> dict[str, Guide]:
    """Return all guides by their address below ``/learn/``, in order."""
    return {guide.slug: guide for section in (PERSONS, OPERATORS) for guide in _read(section)}


def chapters() -> list[Guide]:
    """Return the guide for everybody, chapter by chapter."""
    return [guide for guide in guides().values() if not guide.is_for_operators]


def beside(guide: Guide) -> tuple[Guide | None, Guide | None]:
    """Return the guide before and the one after, of the same section."""
    same = [one for one in guides().values() if one.section == guide.section]
    at = same.index(guide)
    return (same[at - 1] if at else None), (same[at + 1] if at + 1 < len(same) else None)


def as_html(guide: Guide, blocks: Mapping[str, str] | None = None) -> SafeString:
    """Return a guide as HTML, its heading left out. HTML within a guide is shown, not used.

    A paragraph of a name in braces alone is replaced by the block of that name, which is HTML; without one it
    goes.
    """
    tokens = _tokens(guide.source.replace(EXAMPLE_URL, settings.BASE_URL), guide.section)
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return SafeString(_BLOCK.sub(lambda found: (blocks or {}).get(found[1], ""), html))


def _read(section: str) -> Iterator[Guide]:
    for path in sorted((_DOCS / section).glob("*.md")):
        heading, _blank, rest = path.read_text().partition("\n")
        rest = rest.lstrip("\n")
        dated = _UPDATED.match(rest)
        rest = rest[dated.end() :] if dated else rest
        first = next((part for part in rest.split("\n\n") if part[:1].isalpha()), "")
        stem = _NUMBER.sub("", path.stem)
        yield Guide(
            slug=stem if section == PERSONS else f"{section}/{stem}",
            section=section,
            title=heading.removeprefix("#").strip(),
            summary=first.replace("*", "").replace("`", "").replace("\n", " "),
            source=rest,
            updated=date.fromisoformat(dated[1]) if dated else None,
            headings=_headings(_tokens(rest, section)),
        )


_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def _tokens(source: str, section: str) -> list[Token]:
    """Parse a guide: headings get anchors, links to other guides lead to their pages here."""
    tokens = _MARKDOWN.parse(source)
    for token, content in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", slugify(content.content))
    for token in tokens:
        token.children = list(_linked(token.children, section)) if token.children else token.children
    return tokens


def _linked(children: Sequence[Token], section: str) -> Iterator[Token]:
    """Yield what a paragraph is made of, its links led; of one to a file that is not shown, the words."""
    open_links: list[bool] = []
    for child in children:
        if child.type == "link_open":
            href = _led(str(child.attrs["href"]), section)
            open_links.append(bool(href))
            child.attrSet("href", href)
        if child.type not in ("link_open", "link_close") or open_links[-1]:
            yield child
        if child.type == "link_close":
            open_links.pop()


def _headings(tokens: Sequence[Token]) -> list[Heading]:
    return [
        Heading(str(token.attrs["id"]), content.content.replace("`", ""))
        for token, content in pairwise(tokens)
        if token.type == "heading_open" and token.tag == "h2"
    ]


def _led(href: str, section: str) -> str:
    """Return where a link leads: to a guide's page for its file, to a page of the console by its path alone.

    Nothing for a file that is not shown here.
    """
    if settings.BASE_URL and href.startswith(f"{settings.BASE_URL}/"):
        return href.removeprefix(settings.BASE_URL)
    file, hash_, anchor = href.partition("#")
    if not file.endswith(".md") or "://" in file:
        return href
    path = (_DOCS / section / file).resolve()
    folder, stem = path.parent.name, _NUMBER.sub("", path.stem)
    if path.parent not in (_DOCS / PERSONS, _DOCS / OPERATORS):
        return ""
    return f"{reverse('guide', args=[stem if folder == PERSONS else f'{folder}/{stem}'])}{hash_}{anchor}"


def _picture(renderer: object, tokens: Sequence[Token], at: int, options: object, env: object) -> str:
    """Draw a screenshot twice, light and dark: the style sheet shows the one that fits."""
    token = tokens[at]
    name = str(token.attrs["src"]).rpartition("/")[2].removesuffix("-light.webp")
    return SafeString("").join(
        format_html(
            '<img class="only-{}" src="{}" alt="{}" width="{}" height="{}" loading="lazy" decoding="async">',
            look,
            static(f"img/guide/{name}-{look}.webp"),
            token.content,
            *size(settings.BASE_DIR / _PICTURES / f"{name}-{look}.webp"),
        )
        for look in ("light", "dark")
    )


@cache
def size(picture: Path) -> tuple[int, int]:
    """Return a picture's width and height in CSS pixels.

    It reads the kind of WebP that a browser's canvas makes (RFC 9649, 2.7). Raises ValueError for another.
    """
    head = picture.read_bytes()[:30]
    if head[8:16] != b"WEBPVP8X":
        raise ValueError(f"{picture.name} is not an extended WebP picture: make pictures.")
    width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
    return round(width / DENSITY), round(height / DENSITY)


_MARKDOWN.add_render_rule("image", _picture)
