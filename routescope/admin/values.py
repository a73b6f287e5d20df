"""How values are shown in the Django admin."""

from __future__ import annotations

import json

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from routescope.text import formatting


def pretty_json(value: object) -> str | SafeString:
    """Return JSON laid out to be read, or a dash."""
    if value is None:
        return formatting.UNKNOWN
    return format_html(
        '<pre class="json">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False)
    )


def yes_or_no(value: bool | None) -> str:
    """Return the word for a switch: a no is no failure, as Django's red sign has it."""
    return formatting.UNKNOWN if value is None else _("Yes") if value else _("No")


def mono(value: str | None) -> str | SafeString:
    """Return an ID whole, in the face that tells its characters apart."""
    return format_html('<span class="mono">{}</span>', value) if value else formatting.UNKNOWN


def nowrap(value: object) -> SafeString:
    """Return a name on one line, or a dash for none."""
    return format_html('<span class="nowrap">{}</span>', formatting.UNKNOWN if value is None else value)


def badge(kind: str, word: str | Promise) -> SafeString:
    """Return a state as a dot and a word. ``kind`` is success, error, limit, running or quiet."""
    return format_html('<span class="state state-{}">{}</span>', kind, word)


def facts(*pairs: tuple[str, object]) -> SafeString:
    """Return named values side by side."""
    return format_html(
        '<dl class="facts">{}</dl>',
        format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", pairs),
    )


def links(*pairs: tuple[str | Promise, str]) -> SafeString:
    """Return links to what belongs to a row, each a label and an address."""
    return format_html(
        '<span class="row-links">{}</span>', format_html_join(" ", '<a href="{1}">{0}</a>', pairs)
    )


def listed(name: str, **query: str | int) -> str:
    """Return the address of a list of the admin, ``app_model``, narrowed by its filters."""
    url = reverse(f"admin:{name}_changelist")
    return f"{url}?{urlencode(query)}" if query else url
