"""What a call ordered that is counted in no tokens: pictures, seconds, characters, or pieces as billed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from logs.pricing.kinds import TOKENS
from routescope.text import formatting

_MOST = 3
"""Kinds of pieces that are named; a receipt has them all."""


def ordered(image_count: int | None, quantities: Any, lines: Any) -> str:
    """Return in a few words what was ordered; nothing where no count says it.

    ``quantities`` and the ``lines`` of a receipt are as the gateway sent them, in whatever shape.
    """
    found: list[str] = []
    if image_count:
        found.append(
            ngettext("%(n)s image", "%(n)s images", image_count) % {"n": formatting.exact(image_count)}
        )
    if isinstance(quantities, Mapping):
        found += [words for name, count in quantities.items() if (words := _counted(name, _number(count)))]
    if not found and isinstance(lines, list):
        found = [words for line in lines if (words := _billed(line))]
    return ", ".join(found[:_MOST])


def _counted(name: str, count: Decimal | None) -> str:
    if not count:
        return ""
    number = formatting.exact(count)
    words = {
        "video_seconds": _("%(n)s s video"),
        "audio_seconds": _("%(n)s s audio"),
        "characters": ngettext("%(n)s character", "%(n)s characters", int(count)),
        "pages": ngettext("%(n)s page", "%(n)s pages", int(count)),
    }
    return words[name] % {"n": number} if name in words else ""


def _billed(line: Any) -> str:
    if not isinstance(line, Mapping):
        return ""
    item, count = str(line.get("item") or ""), _number(line.get("quantity"))
    if not item or item in TOKENS or not count:
        return ""
    return _counted(item, count) or f"{formatting.exact(count)} {item[:40].replace('_', ' ')}"


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < 10**12 else None
