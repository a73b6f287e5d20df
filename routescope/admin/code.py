"""A field for code: monospaced, numbered lines, and a Tab key that indents and still lets one out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _


class CodeInput(forms.Textarea):
    """Without its script it is a plain text area. With it Tab indents, and Escape lets the next Tab go on:
    a keyboard is not caught in it (WCAG 2.1, 2.1.2), as the line below the field says.
    """

    class Media:
        js = (forms.Script("js/code.js", type="module"),)

    def __init__(self, rows: int) -> None:
        super().__init__(
            attrs={
                "class": "code-text",
                "rows": rows,
                "wrap": "off",
                "spellcheck": "false",
                "autocapitalize": "off",
                "autocomplete": "off",
            }
        )

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        area = super().render(name, value, attrs, renderer)
        hint = _("Tab indents. Escape, then Tab, leaves the field.")
        return format_html(
            '<div class="code-field" data-code><pre class="code-lines" aria-hidden="true"></pre>{}'
            '<p class="code-hint" hidden>{}</p></div>',
            area,
            hint,
        )
