"""Why a charge is not the catalogue's price: each cause with the amount that it contributes.

From the catalogue's price to the charge in steps, each of which changes one thing: the input's length, the
shares of it that are cached, written to a cache, audio or images, the output, the unit prices, the ratio;
then what is no price times quantity. The amounts of the steps therefore add up to the difference, exactly.
Where the gateway sent no lines, it is the one change that makes the catalogue's price the charge, if there is
one (`logs.pricing.suppositions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from django.utils.translation import gettext as _

from logs.models import UsageRecord
from logs.pricing import suppositions
from logs.pricing.charges import ONE, UNIT, WIDE, ChargeLine
from logs.pricing.consumed import Consumed
from logs.pricing.facts import Facts
from logs.pricing.kinds import INPUT_ITEMS, OUTPUT_ITEMS
from logs.pricing.quotes import PriceBook, Quote
from logs.pricing.suppositions import Difference

ZERO = Decimal(0)
_SMALL = Decimal("1e-9")
_PLAIN = dict.fromkeys(INPUT_ITEMS, "input") | dict.fromkeys(OUTPUT_ITEMS, "output")
_SHARES = (
    ("cache", "input", ("cached_input",)),
    ("cache_tier", "cache_write", ("cache_write_1h",)),
    ("cache_write", "input", ("cache_write",)),
    ("audio", "input", ("audio_input", "cached_audio")),
    ("image", "input", ("image_input",)),
    ("audio", "output", ("audio_output",)),
    ("image", "output", ("image_output",)),
    ("reasoning", "output", ("reasoning",)),
)
"""Shares of input and output, in the order of the steps: the cause, what they are taken from, their items."""


def differences(
    record: UsageRecord, facts: Facts | None, quote: Quote, book: PriceBook, used: Consumed
) -> list[Difference]:
    """Explain ``record.cost - quote.total``; the amounts add up to it. Empty where they are equal."""
    cost = record.cost
    if cost is None or cost == quote.total:
        return []
    if not cost and not used.succeeded:
        sentence = _("Not charged because the call was refused")
        return [Difference("not_charged", sentence, -quote.total)]
    if facts is None or not any(line.quantity for line in facts.lines):
        return [suppositions.supposed(cost, quote, book, used)]
    found = [step for step in _Steps(facts, quote, book, used).steps() if step.amount]
    found += [
        _extra(line.item, line.amount)
        for line in facts.lines
        if not line.quantity and line.amount and line.item != "rounding"
    ]
    rest = cost - quote.total - sum((step.amount for step in found), ZERO)
    if rest:
        found.append(_rest(rest))
    return found


@dataclass
class _Steps:
    """From the catalogue's quantities, prices and ratio to the gateway's, one change at a time."""

    facts: Facts
    quote: Quote
    book: PriceBook
    used: Consumed
    before: Decimal = ZERO
    ratio: Decimal = ONE
    counts: dict[str, Decimal] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)

    def steps(self) -> Iterable[Difference]:
        facts, quote = self.facts, self.quote
        theirs = {line.item: line for line in facts.lines if line.quantity}
        ratio = ONE if facts.ratio is None else facts.ratio
        self.before = quote.total
        self.counts = {line.item: line.quantity or ZERO for line in quote.lines}
        self.prices = {line.item: (line.unit_price or ZERO) / line.per for line in quote.lines}
        # What has no price is part of what was used, and adds nothing to the catalogue's price.
        for one in quote.missing:
            self.counts[one.item] = self.counts.get(one.item, ZERO) + (one.quantity or ZERO)
            self.prices[one.item] = ZERO
        self.ratio = quote.ratio
        sent = {item: line.quantity or ZERO for item, line in theirs.items()}
        asked = {item: _unit_price(line, ratio) for item, line in theirs.items()}
        for item in sent:
            self.prices.setdefault(item, self.prices.get(_PLAIN.get(item, ""), ZERO))
        yield from self._tokens("input", INPUT_ITEMS, sent)
        yield from self._tokens("output", OUTPUT_ITEMS, sent)
        yield from self._pieces(sent)
        yield from self._unit_prices(asked)
        self.ratio = ratio
        yield self._step(
            "ratio",
            _("Group ratio: the gateway used %(theirs)s, the group's is %(ours)s"),
            ratio,
            quote.ratio,
        )

    def _tokens(self, whole: str, items: Iterable[str], sent: Mapping[str, Decimal]) -> Iterable[Difference]:
        ours, theirs = _sum(self.counts, items), _sum(sent, items)
        self.counts = {**self.counts, whole: self.counts.get(whole, ZERO) + theirs - ours}
        sentence = {
            "input": _("Input length: the gateway counted %(theirs)s tokens, the record holds %(ours)s"),
            "output": _("Output length: the gateway counted %(theirs)s tokens, the record holds %(ours)s"),
        }
        yield self._step(whole, sentence[whole], theirs, ours)
        for cause, taken_from, parts in _SHARES:
            if _PLAIN[parts[0]] != whole:
                continue
            had, has = _sum(self.counts, parts), _sum(sent, parts)
            self.counts = {
                **self.counts,
                **{item: sent.get(item, ZERO) for item in parts},
                taken_from: self.counts.get(taken_from, ZERO) + had - has,
            }
            yield self._step(cause, _share(cause), has, had)
        # Nothing is left to change but what shares were taken from: that is theirs by now.
        self.counts = {**_without(self.counts, items), **{i: sent[i] for i in items if i in sent}}

    def _pieces(self, sent: Mapping[str, Decimal]) -> Iterable[Difference]:
        tokens = (*INPUT_ITEMS, *OUTPUT_ITEMS)
        for item in sorted({*self.counts, *sent} - set(tokens)):
            had, has = self.counts.get(item, ZERO), sent.get(item, ZERO)
            self.counts = {**self.counts, item: has}
            words = _("%(item)s: the gateway counted %(theirs)s, the record holds %(ours)s")
            yield self._step("items", words, has, had, item=ChargeLine(item, ZERO).label)

    def _unit_prices(self, asked: Mapping[str, Decimal]) -> Iterable[Difference]:
        """Yield what other unit prices make: another unit, a tier, a model, or another version of them."""
        for item, price in asked.items():
            ours = self.prices.get(item, ZERO)
            if factor := _other_unit(price, ours):
                self.prices = {**self.prices, item: price}
                words = _("Unit: %(item)s is charged at %(theirs)s times the catalogue's price of one")
                yield self._step("unit", words, factor, ONE, item=ChargeLine(item, ZERO).label)
        missing = {item for item in asked if item in {one.item for one in self.quote.missing}}
        for item in sorted(missing):
            self.prices = {**self.prices, item: asked[item]}
            words = _("%(item)s: the catalogue has no price for it")
            yield self._step("unpriced", words, ONE, ONE, item=ChargeLine(item, ZERO).label)
        cause, sentence = self._why_prices(asked)
        self.prices = dict(asked)
        yield self._step(cause, sentence, ONE, ONE)

    def _why_prices(self, asked: Mapping[str, Decimal]) -> tuple[str, str]:
        facts, quote = self.facts, self.quote
        if (
            facts.model
            and facts.model != quote.model
            and not _same_name(facts.model, quote.model, self.used.model)
        ):
            return "model", _(
                "Another model: the gateway charged %(model)s, the catalogue prices %(known)s"
            ) % {
                "model": facts.model,
                "known": quote.model,
            }
        for tier in suppositions.tiers_beside(self.used.tier):
            other = self.book.quote(replace(self.used, tier=tier))
            if isinstance(other, Quote) and other.is_whole:
                prices = {line.item: (line.unit_price or ZERO) / line.per for line in other.lines}
                if all(abs(prices.get(item, ZERO) - price) < _SMALL for item, price in asked.items()):
                    return "tier", suppositions.tier_sentence(tier, self.used.tier)
        words = _(
            "Price version: the gateway's unit prices (%(version)s) are not the catalogue's (%(known)s)"
        )
        return "version", words % {"version": facts.version or _("not given"), "known": quote.version}

    def _step(self, cause: str, sentence: str, theirs: Decimal, ours: Decimal, item: str = "") -> Difference:
        exact = ZERO
        for each, count in self.counts.items():
            price = self.prices.get(each, ZERO)
            exact = WIDE.add(exact, WIDE.multiply(WIDE.multiply(count, price), self.ratio))
        after = exact.quantize(UNIT, context=WIDE)
        made = Difference(cause, suppositions.said(sentence, theirs, ours, item), after - self.before)
        self.before = after
        return made


def _share(cause: str) -> str:
    return {
        "cache": _("Cache share: the gateway charged %(theirs)s tokens as cached, the record holds %(ours)s"),
        "cache_tier": _(
            "Cache tier: the gateway charged %(theirs)s tokens as written for 1 hour, the record holds"
            " %(ours)s"
        ),
        "cache_write": _(
            "Cache writes: the gateway charged %(theirs)s tokens as written to the cache, the record holds"
            " %(ours)s"
        ),
        "audio": _("Audio: the gateway charged %(theirs)s tokens as audio, the record holds %(ours)s"),
        "image": _("Images: the gateway charged %(theirs)s tokens as images, the record holds %(ours)s"),
        "reasoning": _(
            "Reasoning: the gateway charged %(theirs)s tokens as reasoning, the record holds %(ours)s"
        ),
    }[cause]


def _unit_price(line: ChargeLine, ratio: Decimal) -> Decimal:
    """Return what a line asks for one: as it was sent, else as its amount makes it."""
    if line.unit_price is not None:
        return line.unit_price / line.per
    return WIDE.divide(line.amount, WIDE.multiply(line.quantity or ONE, ratio)) if ratio else ZERO


def _other_unit(theirs: Decimal, ours: Decimal) -> Decimal | None:
    """Return the factor between two prices that are of two units: of seconds and minutes, say."""
    return suppositions.other_unit(WIDE.divide(theirs, ours)) if theirs and ours else None


def _same_name(theirs: str, *ours: str) -> bool:
    """Whether a gateway's name of a model is the catalogue's, or the record's own."""
    return theirs.lower() in {name.lower() for name in ours}


def _extra(item: str, amount: Decimal) -> Difference:
    words = {"discount": _("Discount"), "margin": _("Margin")}
    return Difference(
        item, words.get(item, _("Charged in addition to tokens: %(item)s") % {"item": item}), amount
    )


def _rest(amount: Decimal) -> Difference:
    if abs(amount) < _SMALL:
        return Difference("rounding", _("Rounding"), amount)
    return Difference("other", _("Not explained by the lines that the gateway sent"), amount)


def _sum(counts: Mapping[str, Decimal], items: Iterable[str]) -> Decimal:
    return sum((counts.get(item, ZERO) for item in items), ZERO)


def _without(counts: Mapping[str, Decimal], items: Iterable[str]) -> dict[str, Decimal]:
    gone = set(items)
    return {item: count for item, count in counts.items() if item not in gone}
