"""What one unit of each kind costs: a model at its seller, at a time, in a service tier.

The base catalogue's prices first, our own over them (`logs.pricing.overlay`), kind by kind. In a tier whose
prices nobody knows there are none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from logs.pricing import base, overlay, sellers
from logs.pricing.consumed import Consumed
from logs.pricing.overlay import PriceInForce
from logs.pricing.rates import Rate, Rates
from logs.pricing.sellers import NotFound, Sold

Asked = tuple[tuple[str, str], ...]
"""What of a call's parameters and counts its price may depend on: (name, value), sorted."""

_LONGEST = 50
_BEFORE = datetime(1970, 1, 1, tzinfo=UTC)
FOR_OURS = "providers' pages"
"""How receipts name our own prices (`logs.pricing.overlay`)."""

AS_OUTPUT = {"reasoning": "output"}
"""Reasoning is output that nobody sees: all providers bill it as such, unless it has a price of its own."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Prices of a model. ``billed_as``, ``not_charged`` and ``minimum`` are the provider's rules by kind;
    ``asks`` names what the price of a kind depends on that the call does not tell; ``overlaid`` are the kinds
    whose prices are ours.

    ``is_tier_known`` is false in a service tier of which no price is known.
    """

    sold: Sold
    rates: Rates
    tier: str
    is_tier_known: bool
    since: datetime | None
    overlaid: frozenset[str]
    billed_as: Mapping[str, str]
    not_charged: frozenset[str]
    minimum: Mapping[str, Decimal]
    asks: Mapping[str, str]

    def version(self, kinds: Iterable[str]) -> str:
        """Which catalogue the prices of some kinds are from, as receipts name it."""
        ours = not self.overlaid.isdisjoint(kinds)
        return f"{base.VERSION}, {FOR_OURS}" if ours else base.VERSION


def find(used: Consumed) -> Offer | NotFound:
    """Find the prices of what a call used, at its time and in its tier."""
    sold = sellers.find(used.model, used.provider)
    if isinstance(sold, NotFound):
        return sold
    depends = _depends(used.model, used.provider)
    told = _told(used, depends.asked) if depends.asked else ()
    return _offer(used.model, used.provider, used.tier, depends.beginning_of(used.at), told)


@dataclass(frozen=True, slots=True)
class _Depends:
    """What a model's prices depend on: ``moments`` at which they change, hours of the day, and parameters
    (dots lead inwards) or counts of a call by name.
    """

    moments: tuple[datetime, ...]
    is_daily: bool
    asked: tuple[str, ...]

    def beginning_of(self, at: datetime) -> datetime:
        """Return a time that has the same prices, for as many calls as can be."""
        if self.is_daily:
            return at.replace(second=0, microsecond=0)
        place = bisect_right(self.moments, at)
        return self.moments[place - 1] if place else _BEFORE


@lru_cache(maxsize=4096)
def _depends(model: str, provider: str | None) -> _Depends:
    sold = sellers.find(model, provider)
    if isinstance(sold, NotFound):
        return _Depends((), False, ())
    moments, is_daily = base.changes(sold.known) if sold.known else ([], False)
    listed = overlay.listed(sold.provider, sold.names)
    file = overlay.providers().get(sold.provider)
    rules = overlay.of_model(file.entries, sold.names) if file else []
    moments += [moment for one in rules for moment in (one.begins, one.ends) if moment]
    return _Depends(
        tuple(sorted(moments)),
        is_daily or any(one.windows or one.entry.workdays for one in listed),
        tuple(sorted({name for one in listed for name in one.entry.when})),
    )


@lru_cache(maxsize=8192)
def _offer(model: str, provider: str | None, tier: str, at: datetime, asked: Asked) -> Offer | NotFound:
    sold = sellers.find(model, provider)
    if isinstance(sold, NotFound):
        return sold
    entries = [one for one in overlay.listed(sold.provider, sold.names) if one.holds(at)]
    rates, since = base.rates(sold.known, at) if sold.known else ({}, None)
    known = dict(rates)
    found = dict(rates)
    plain = [one for one in entries if not one.entry.tier]
    asks = _put(found, plain, asked)
    is_known = True
    if tier:
        found, is_known = _in_tier(sold, found, tier, at, entries, asked)
        if sold.known:
            known |= base.tier_rates(sold.known, tier, at, None) or {}
    file = overlay.providers().get(sold.provider)
    names = sold.names
    return Offer(
        sold=sold,
        rates=found,
        tier=tier,
        is_tier_known=is_known,
        since=max(filter(None, (since, *(one.begins for one in plain))), default=None),
        overlaid=frozenset(kind for kind, rate in found.items() if rate != known.get(kind)),
        billed_as=AS_OUTPUT
        | {kind: whole for one in _rules(file.billed_as if file else (), names, at)
           for kind, whole in one.kinds.items()},
        not_charged=frozenset(
            kind for one in _rules(file.not_charged if file else (), names, at) for kind in one.kinds
        ),
        minimum={
            one.kind: Decimal(one.quantity) for one in _rules(file.minimum if file else (), names, at)
        },
        asks=asks,
    )  # fmt: skip


def _rules(
    entries: Iterable[overlay._OfModels], names: tuple[str, ...], at: datetime
) -> list[overlay._OfModels]:
    return overlay.in_force(overlay.of_model(entries, names), at)


def _put(rates: dict[str, Rate], entries: Iterable[PriceInForce], asked: Asked) -> dict[str, str]:
    """Put the prices of entries that fit a call over others; return what they ask that it does not tell."""
    told = dict(asked)
    asks: dict[str, str] = {}
    for one in entries:
        untold = [name for name in one.entry.when if name not in told]
        if untold:
            for kind in one.rates:
                if kind not in rates:
                    asks[kind] = untold[0]
        elif all(told[name] in values for name, values in one.entry.when.items()):
            rates.update(one.rates)
    return {kind: name for kind, name in asks.items() if kind not in rates}


def _in_tier(
    sold: Sold, plain: dict[str, Rate], tier: str, at: datetime, entries: Iterable[PriceInForce], asked: Asked
) -> tuple[dict[str, Rate], bool]:
    """Return the prices of a tier, and whether any is known of it. What a tier leaves out costs as ever."""
    file = overlay.providers().get(sold.provider)
    own: dict[str, Rate] = {}
    _put(own, (one for one in entries if one.entry.tier == tier), asked)
    since = overlay.of_model((one for one in file.tier_since if one.tier == tier) if file else (), sold.names)
    found = base.tier_rates(sold.known, tier, at, since[0].begins if since else None) if sold.known else None
    if found is None and file:
        for rule in _rules((one for one in file.tier if one.tier == tier), sold.names, at):
            factor = Decimal(rule.times)
            times = {kind: plain[kind].times(factor) for kind in rule.kinds if kind in plain}
            found = {**(found or {}), **times}
    if found is None and not own:
        return {}, False
    return {**plain, **(found or {}), **own}, True


def _told(used: Consumed, asked: Iterable[str]) -> Asked:
    told = []
    for name in asked:
        value: object = used.counts.get(name)
        if value is None:
            value = used.parameters
            for step in name.split("."):
                value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, str | int | float | Decimal):
            told.append((name, str(value).strip().lower()[:_LONGEST]))
    return tuple(told)
