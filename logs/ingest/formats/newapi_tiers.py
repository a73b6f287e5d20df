"""A charge by one of new-api's tiers: an expression that the row carries, or else one true amount.

Source: pkg/billingexpr of new-api. ``tier("base", p * 2.5 + c * 15 + cr * 0.25)`` prices tokens in USD per
million, `u("seconds") * 0.4` facts of a task, ``fixed(0.01)`` a request. Only plain sums are read, and only
where they come to the charge.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from logs.ingest.formats.counts import CACHE, Told
from logs.ingest.formats.newapi_other import Other
from logs.ingest.formats.newapi_parts import MILLION, Portion, explains

_LONGEST = 16_000
_ONE = Decimal(1)
_OPENS = re.compile(r"""\btier\(\s{0,9}(["'])([^"'\n]{0,100})\1\s{0,9},""")
_NUMBER = r"\d{1,12}(?:\.\d{1,18})?"
_TERM = re.compile(
    r"""\s*+(?:(?P<var>[a-z][a-z0-9_]{0,8})|u\(\s*+(["'])(?P<fact>\w{1,40})\2\s*+\))\s*+\*\s*+(?P<price>"""
    rf"{_NUMBER})\s*+"
)
_FIXED = re.compile(rf"\s*+fixed\(\s*+({_NUMBER})\s*+\)\s*+")
_KINDS = {
    "p": "input",
    "c": "output",
    "cr": "cached_input",
    "cc": "cache_write",
    "cc1h": "cache_write_1h",
    "img": "image_input",
    "ai": "audio_input",
    "img_o": "image_output",
    "ao": "audio_output",
}
_FACTS = {"seconds": "video_seconds"}


def parts(other: Other, told: Told, group: Decimal, charged: Decimal, noise: Decimal) -> list[Portion]:
    """Return the kinds of a tier's price where they come to the charge, else the charge as one part."""
    terms = _terms(other)
    factor = _ONE
    for rule in other.request_rules:
        factor *= rule.multiplier if rule.matched else _ONE
    if terms is not None:
        for is_beside in (bool(told.beside), not told.beside):
            counts = _counts(told, {var for var, _, _ in terms}, is_beside=is_beside)
            found = list(_priced(terms, counts, other.usage_facts, factor))
            if explains(found, group, charged, noise):
                told.beside = CACHE if is_beside and (told.cached or told.written) else frozenset()
                return found
    # The group's ratio is in the amount, as it is in those of the others.
    whole = charged / group if group > 0 else charged
    return [Portion(f"tier {other.matched_tier or ''}".strip(), None, whole, 1)]


def _terms(other: Other) -> list[tuple[str, str, Decimal]] | None:
    """Return (variable, fact, price) of each term of the tier that was reached; None where it is no sum."""
    body = _body(_expression(other.expr_b64 or ""), other.matched_tier or "")
    if not body:
        return None
    found: list[tuple[str, str, Decimal]] = []
    for term in body.split("+"):
        if fixed := _FIXED.fullmatch(term):
            found.append(("fixed", "", Decimal(fixed[1])))
        elif priced := _TERM.fullmatch(term):
            found.append((priced["var"] or "u", priced["fact"] or "", Decimal(priced["price"])))
        else:
            return None
    return found


def _expression(encoded: str) -> str:
    try:
        return base64.b64decode(encoded[:_LONGEST], validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _body(expression: str, name: str) -> str:
    """Return what stands in ``tier(name, ...)``; empty where there is no such tier, or more than one."""
    opened = [found.end() for found in _OPENS.finditer(expression) if found[2] == name]
    return _to_bracket(expression, opened[0]) if len(opened) == 1 else ""


def _to_bracket(text: str, start: int) -> str:
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return text[start:place]
    return ""


def _counts(told: Told, used: set[str], *, is_beside: bool) -> dict[str, int]:
    """Return the tokens of each variable: ``p`` and ``c`` are what no other variable of the tier prices."""
    cached, written = told.cached or 0, told.written or 0
    long = told.written_1h or 0 if "cc1h" in used else 0
    whole = (told.input or 0) + (cached + written if is_beside else 0)
    counts = {
        "cr": cached,
        "cc": written - long,
        "cc1h": long,
        "img": told.image_input or 0,
        "ai": told.audio_input or 0,
        "img_o": told.image_output or 0,
        "ao": told.audio_output or 0,
    }
    apart = {var: count for var, count in counts.items() if var in used}
    made = sum(apart.get(var, 0) for var in ("img_o", "ao"))
    apart["p"] = max(whole - (sum(apart.values()) - made), 0)
    apart["c"] = max((told.output or 0) - made, 0)
    return apart


def _priced(
    terms: list[tuple[str, str, Decimal]],
    counts: Mapping[str, int],
    facts: Mapping[str, object],
    factor: Decimal,
) -> Iterator[Portion]:
    for var, fact, price in terms:
        if var == "fixed":
            yield Portion("call", 1, price * factor, 1)
        elif var == "u":
            value = facts.get(fact)
            number = Decimal(str(value)) if isinstance(value, int | float) else Decimal(0)
            yield Portion(_FACTS.get(fact, fact), number, price * factor, 1)
        else:
            # A variable that is not known here counts nothing, so that the sum is not the charge.
            yield Portion(_KINDS.get(var, var), counts.get(var, 0), price * factor, MILLION)
