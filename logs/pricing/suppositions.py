"""The one change that makes the catalogue's price the charge, where the gateway sent no lines.

Tried in order: a group's ratio that was left out, cached tokens at the full price, tokens written for an hour
at the price of 5 minutes, audio and images at the price of text, another service tier, another version of the
prices, another unit, another ratio. None of them is told by the gateway: the sentences say what would explain
the charge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from logs.pricing.charges import ONE, WIDE
from logs.pricing.consumed import Consumed
from logs.pricing.quotes import PriceBook, Quote
from routescope.text import formatting

_SMALL = Decimal("1e-9")
_TIERS = ("", "flex", "priority", "batch")
_UNITS = tuple(map(Decimal, (60, 3600, 1000, 1_000_000)))
"""Between seconds, minutes and hours; between one, a thousand and a million."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One cause of the difference. ``amount`` USD is what it adds to the catalogue's price."""

    cause: str
    sentence: str
    amount: Decimal


def supposed(cost: Decimal, quote: Quote, book: PriceBook, used: Consumed) -> Difference:
    """Name the one change that makes the catalogue's price the charge; that there is none, else."""
    amount = cost - quote.total
    if not cost:
        return Difference("free", _("The gateway charged nothing"), amount)
    bare = _quoted(book, used, ONE)
    if bare is not None and bare.total and quote.ratio != ONE and _near(bare.total, cost):
        sentence = _("Group ratio: the charge is the price without the group's ratio of %(ours)s")
        return Difference("ratio", sentence % {"ours": formatting.plain(quote.ratio)}, amount)
    for cause, other, sentence in _others(used, book):
        found = _quoted(book, other())
        if found is not None and _near(found.total, cost):
            return Difference(cause, sentence % {"version": found.version}, amount)
    if bare is not None and bare.total:
        factor = WIDE.divide(cost, quote.total) if quote.total else ONE
        if unit := other_unit(factor):
            sentence = _("Unit: the charge is the price times %(theirs)s")
            return Difference("unit", sentence % {"theirs": formatting.plain(unit)}, amount)
        ratio = WIDE.divide(cost, bare.total)
        if ratio == ratio.quantize(Decimal("0.01")):
            sentence = _(
                "Group ratio: the charge is the price times %(theirs)s, the group's ratio is %(ours)s"
            )
            ratios = {"theirs": formatting.plain(ratio), "ours": formatting.plain(quote.ratio)}
            return Difference("ratio", sentence % ratios, amount)
    return Difference("untold", _("The gateway sent no lines that would explain it"), amount)


def other_unit(factor: Decimal) -> Decimal | None:
    """Return the factor between two units of measure that a factor is; None where it is none."""
    both = (one for unit in _UNITS for one in (unit, WIDE.divide(ONE, unit)))
    return next((one for one in both if abs(factor - one) < _SMALL * one), None)


def tiers_beside(tier: str) -> list[str]:
    """Return the service tiers that a call may have been charged as by mistake, "" being none."""
    return [other for other in _TIERS if other != tier]


def tier_sentence(charged: str, tier: str) -> str:
    """Say that a call was charged as one of another service tier."""
    words = {"charged": charged or _("standard"), "tier": tier or _("standard")}
    return _("Service tier: charged at the prices of “%(charged)s”, the call was of “%(tier)s”") % words


def said(sentence: str, theirs: Decimal, ours: Decimal, item: str = "") -> str:
    """Put two numbers, and what they are of, into a sentence."""
    return sentence % {
        "theirs": formatting.exact(theirs),
        "ours": formatting.exact(ours),
        "item": item,
    }


def _others(used: Consumed, book: PriceBook) -> Iterable[tuple[str, Callable[[], Consumed], str]]:
    """Yield what else may have been charged: the cause, the usage, and what would explain it."""

    def without(*names: str) -> Callable[[], Consumed]:
        counts = {key: count for key, count in used.counts.items() if key not in names}
        return lambda: replace(used, counts=counts)

    if used.counts.get("cached_tokens"):
        words = _("Cache share: the charge is the price with no input token taken as cached")
        yield "cache", without("cached_tokens", "cached_audio_tokens"), words
    if used.counts.get("cache_write_1h_tokens"):
        words = _("Cache tier: the charge is the price with all cache writes kept for 5 minutes")
        yield "cache_tier", without("cache_write_1h_tokens"), words
    if used.counts.get("cache_write_tokens"):
        words = _("Cache writes: the charge is the price with no token written to the cache")
        yield "cache_write", without("cache_write_tokens", "cache_write_1h_tokens"), words
    heard = ("audio_input_tokens", "audio_output_tokens", "cached_audio_tokens")
    if any(used.counts.get(name) for name in heard):
        words = _("Audio: the charge is the price with audio taken as text")
        yield "audio", without(*heard), words
    seen = ("image_input_tokens", "image_output_tokens")
    if any(used.counts.get(name) for name in seen):
        words = _("Images: the charge is the price with images taken as text")
        yield "image", without(*seen), words
    for tier in tiers_beside(used.tier):
        yield "tier", _in_tier(used, tier), tier_sentence(tier, used.tier).replace("%", "%%")
    for version in book.versions(used):
        words = _("Price version: the charge is the price of version %(version)s")
        yield "version", _at(used, version), words


def _in_tier(used: Consumed, tier: str) -> Callable[[], Consumed]:
    return lambda: replace(used, tier=tier)


def _at(used: Consumed, moment: datetime) -> Callable[[], Consumed]:
    return lambda: replace(used, at=moment)


def _quoted(book: PriceBook, used: Consumed, ratio: Decimal | None = None) -> Quote | None:
    found = book.quote(used, ratio)
    return found if isinstance(found, Quote) and found.is_whole else None


def _near(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) < _SMALL
