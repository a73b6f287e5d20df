"""Why a charge is not the catalogue's price: each cause with the amount that it contributes.

From the catalogue's price to the charge in steps, each of which changes one thing: the input's length, its
cached share, the output, the unit prices, the ratio; then what is no price times quantity. The amounts of the
steps therefore add up to the difference, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from django.utils.translation import gettext as _

from logs.models import UsageRecord
from logs.pricing.charges import ONE, UNIT, WIDE
from logs.pricing.facts import INPUT_ITEMS, OUTPUT_ITEMS, Facts
from logs.pricing.quotes import Consumed, PriceBook, Quote
from routescope.text import formatting

ZERO = Decimal(0)
_SMALL = Decimal("1e-9")
_PLAIN = dict.fromkeys(INPUT_ITEMS, "input") | dict.fromkeys(OUTPUT_ITEMS, "output")


@dataclass(frozen=True, slots=True)
class Difference:
    """One cause of the difference. ``amount`` USD is what it adds to the catalogue's price."""

    cause: str
    sentence: str
    amount: Decimal


def differences(
    record: UsageRecord, facts: Facts | None, quote: Quote, book: PriceBook, used: Consumed
) -> list[Difference]:
    """Explain ``record.cost - quote.total``; the amounts add up to it. Empty where they are equal."""
    cost = record.cost
    if cost is None or cost == quote.total:
        return []
    if facts is None or not any(line.quantity for line in facts.lines):
        return [_supposed(cost, quote, book, used)]
    found = [step for step in _steps(facts, quote) if step.amount]
    found += [
        _extra(line.item, line.amount)
        for line in facts.lines
        if not line.quantity and line.amount and line.item != "rounding"
    ]
    rest = cost - quote.total - sum((step.amount for step in found), ZERO)
    if rest:
        found.append(_rest(rest))
    return found


def _steps(facts: Facts, quote: Quote) -> Iterable[Difference]:
    theirs = {line.item: line for line in facts.lines if line.quantity}
    ratio = ONE if facts.ratio is None else facts.ratio
    counts = {line.item: line.quantity or ZERO for line in quote.lines}
    prices = {line.item: (line.unit_price or ZERO) / line.per for line in quote.lines}
    sent = {item: line.quantity or ZERO for item, line in theirs.items()}
    asked = {
        item: (
            line.unit_price / line.per
            if line.unit_price is not None
            else WIDE.divide(line.amount, WIDE.multiply(sent[item], ratio)) if ratio else ZERO
        )
        for item, line in theirs.items()
    }  # fmt: skip
    for item in sent:
        prices.setdefault(item, prices.get(_PLAIN.get(item, ""), ZERO))
    before = quote.total

    def step(cause: str, sentence: str, counts: Mapping[str, Decimal], prices: Mapping[str, Decimal],
             ratio: Decimal) -> Difference:  # fmt: skip
        nonlocal before
        after = _total(counts, prices, ratio)
        made = Difference(cause, sentence, after - before)
        before = after
        return made

    ours, given = _sum(counts, INPUT_ITEMS), _sum(sent, INPUT_ITEMS)
    counts = {**counts, "input": counts.get("input", ZERO) + given - ours}
    yield step(
        "input",
        _("Input length: the gateway counted %(theirs)s tokens, the record holds %(ours)s")
        % {"theirs": formatting.exact(given), "ours": formatting.exact(ours)},
        counts, prices, quote.ratio,
    )  # fmt: skip
    cached = counts.get("cached_input", ZERO)
    counts = {**_without(counts, INPUT_ITEMS), **_only(sent, INPUT_ITEMS)}
    yield step(
        "cache",
        _("Cache share: the gateway charged %(theirs)s tokens as cached, the record holds %(ours)s")
        % {
            "theirs": formatting.exact(sent.get("cached_input", ZERO)),
            "ours": formatting.exact(cached),
        },
        counts, prices, quote.ratio,
    )  # fmt: skip
    ours, given = _sum(counts, OUTPUT_ITEMS), _sum(sent, OUTPUT_ITEMS)
    counts = {**_without(counts, OUTPUT_ITEMS), **_only(sent, OUTPUT_ITEMS)}
    yield step(
        "output",
        _("Output length: the gateway counted %(theirs)s tokens, the record holds %(ours)s")
        % {"theirs": formatting.exact(given), "ours": formatting.exact(ours)},
        counts, prices, quote.ratio,
    )  # fmt: skip
    counts = sent
    yield step("items", _("Further items that one of the two charges"), counts, prices, quote.ratio)
    cause, sentence = _why_prices(facts, quote)
    yield step(cause, sentence, counts, asked, quote.ratio)
    yield step(
        "ratio",
        _("Group ratio: the gateway used %(theirs)s, the group's is %(ours)s")
        % {"theirs": formatting.plain(ratio), "ours": formatting.plain(quote.ratio)},
        counts, asked, ratio,
    )  # fmt: skip


def _why_prices(facts: Facts, quote: Quote) -> tuple[str, str]:
    if facts.model and facts.model != quote.model:
        return "model", _("Another model: the gateway charged %(theirs)s, the catalogue prices %(ours)s") % {
            "theirs": facts.model,
            "ours": quote.model,
        }
    sentence = _("Price version: the gateway's unit prices (%(theirs)s) are not the catalogue's (%(ours)s)")
    return "version", sentence % {"theirs": facts.version or _("not told"), "ours": quote.version}


def _supposed(cost: Decimal, quote: Quote, book: PriceBook, used: Consumed) -> Difference:
    """Name the one change that makes the catalogue's price the charge, where the gateway sent no lines."""
    amount = cost - quote.total
    bare = book.quote(used, ONE)
    if bare is not None and bare.total and quote.ratio != ONE and _near(bare.total, cost):
        sentence = _("Group ratio: the charge is the price without the group's ratio of %(ours)s")
        return Difference("ratio", sentence % {"ours": formatting.plain(quote.ratio)}, amount)
    if used.counts.get("cache_read_tokens"):
        counts = {key: value for key, value in used.counts.items() if key != "cache_read_tokens"}
        uncached = book.quote(replace(used, counts=counts))
        if uncached is not None and _near(uncached.total, cost):
            sentence = _("Cache share: the charge is the price with no input token taken as cached")
            return Difference("cache", sentence, amount)
    for version in book.versions(used):
        other = book.quote(replace(used, at=version))
        if other is not None and _near(other.total, cost):
            sentence = _("Price version: the charge is the price of version %(version)s")
            return Difference("version", sentence % {"version": other.version}, amount)
    if bare is not None and bare.total:
        ratio = WIDE.divide(cost, bare.total)
        if ratio == ratio.quantize(Decimal("0.01")):
            sentence = _(
                "Group ratio: the charge is the price times %(theirs)s, the group's ratio is %(ours)s"
            )
            ratios = {"theirs": formatting.plain(ratio), "ours": formatting.plain(quote.ratio)}
            return Difference("ratio", sentence % ratios, amount)
    return Difference("untold", _("The gateway sent no lines that would explain it"), amount)


def _extra(item: str, amount: Decimal) -> Difference:
    words = {"discount": _("Discount"), "margin": _("Margin")}
    return Difference(item, words.get(item, _("Charged beside tokens: %(item)s") % {"item": item}), amount)


def _rest(amount: Decimal) -> Difference:
    if abs(amount) < _SMALL:
        return Difference("rounding", _("Rounding"), amount)
    return Difference("other", _("Not explained by the lines that the gateway sent"), amount)


def _total(counts: Mapping[str, Decimal], prices: Mapping[str, Decimal], ratio: Decimal) -> Decimal:
    exact = ZERO
    for item, count in counts.items():
        exact = WIDE.add(exact, WIDE.multiply(WIDE.multiply(count, prices.get(item, ZERO)), ratio))
    return exact.quantize(UNIT, context=WIDE)


def _near(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) < _SMALL


def _sum(counts: Mapping[str, Decimal], items: Iterable[str]) -> Decimal:
    return sum((counts.get(item, ZERO) for item in items), ZERO)


def _only(counts: Mapping[str, Decimal], items: Iterable[str]) -> dict[str, Decimal]:
    return {item: counts[item] for item in items if item in counts}


def _without(counts: Mapping[str, Decimal], items: Iterable[str]) -> dict[str, Decimal]:
    return {item: count for item, count in counts.items() if item not in items}
