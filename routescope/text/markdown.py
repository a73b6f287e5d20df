"""Markdown as HTML: of our own words, and of what people and models wrote, which is trusted in nothing.

HTML in a text is shown and not used. Links lead to web and mail addresses alone, in a window that knows
nothing of the console; images are links, so that reading a text asks nobody for anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

MOST = 20_000
"""The longest text that is rendered, in characters: a tenth of a second's work. A longer one is shown as it
is."""

_MARKS = re.compile(r"[*_`#>|~\[]|^[ \t]*(?:[-+]|\d{1,9}[.)])[ \t]", re.MULTILINE)
_MOST_CELLS = 5_000
"""Of a table, which a few characters a row fill up to the width of its head."""
_SHIFT = 3
"""Headings within a text stand under the page's own: its first level is the fourth."""


def is_plain(text: str) -> bool:
    """Whether there is nothing to render, or too much: a text too long, or a table too wide."""
    if len(text) > MOST or not _MARKS.search(text):
        return True
    lines = text.splitlines()
    return len(lines) * max(line.count("|") for line in lines) > _MOST_CELLS


def as_html(text: str) -> SafeString:
    """Return what somebody wrote as HTML. Line ends stay line ends, as whoever wrote it saw them."""
    return SafeString(_written().render(text))


def inline(text: str) -> SafeString:
    """Return one line of our own words as HTML, its `code` as code."""
    return SafeString(_own().renderInline(text))


@cache
def _written() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True})
    markdown.enable(["table", "strikethrough"])
    # What is indented or underlined in a chat is rarely meant as code or as a heading; HTML never.
    markdown.disable(["code", "lheading", "html_block", "html_inline", "reference"])
    markdown.validateLink = _is_elsewhere  # type: ignore[method-assign]
    for name in ("heading_open", "heading_close"):
        markdown.add_render_rule(name, _heading)
    markdown.add_render_rule("link_open", _link)
    markdown.add_render_rule("image", _image)
    return markdown


@cache
def _own() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False})


def _is_elsewhere(url: str) -> bool:
    """Whether a link leads out of the console, to an address that names its host itself."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.netloc) if parts.scheme in ("http", "https") else parts.scheme == "mailto"


def _heading(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    tokens[at].tag = f"h{min(int(tokens[at].tag[1]) + _SHIFT, 6)}"
    return renderer.renderToken(tokens, at, options, env)


def _link(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    tokens[at].attrSet("rel", "noopener noreferrer nofollow")
    tokens[at].attrSet("target", "_blank")
    return renderer.renderToken(tokens, at, options, env)


def _image(renderer: RendererHTML, tokens: Sequence[Token], at: int, *_rest: Any) -> str:
    url = str(tokens[at].attrGet("src") or "")
    words = tokens[at].content or _("Image at %(host)s") % {"host": urlsplit(url).hostname or url}
    return format_html('<a href="{}" target="_blank" rel="noopener noreferrer nofollow">{}</a>', url, words)
