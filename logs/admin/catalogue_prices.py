"""The catalogue's prices of a model beside this installation's own, and what a call comes to by either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import AIModel
from logs.models import ModelPrice
from logs.pricing import offers
from logs.pricing.charges import ONE, ChargeLine
from logs.pricing.consumed import Consumed
from logs.pricing.kinds import MILLION
from logs.pricing.offers import Offer
from logs.pricing.quotes import Quote, priced
from logs.pricing.rates import Rate
from logs.pricing.sellers import How, NotFound
from logs.pricing.unpriced import Unpriced
from routescope.text import formatting

_MOST_VERSIONS = 20
_EXAMPLE = {"input_tokens": 1_000, "cached_tokens": 400, "output_tokens": 500}
"""The call of the example: a thousand tokens in, of which some were cached, and half as many out."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one kind costs, by the catalogue and by our own price; a dash where it has none there."""

    label: str
    catalogue: str
    own: str
    is_other: bool


@dataclass(frozen=True, slots=True)
class Example:
    """What the example comes to by one of them: a quote, or why there is none."""

    title: str
    quote: Quote | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """A model's prices of today. ``note`` says whose the catalogue's are, or why it has none; ``versions``
    are the newest of our own, of this service tier and of others.
    """

    model: AIModel
    tier: str
    note: str
    version: str
    lines: list[Line]
    versions: Sequence[ModelPrice]
    own: ModelPrice | None
    examples: list[Example]
    at: datetime


def compared(model: AIModel, tier: str = "") -> Compared:
    """Return the catalogue's prices of a model, whoever sells it, beside our own of today.

    One query: the catalogue is in memory.
    """
    now = timezone.now()
    versions = list(
        ModelPrice.objects.filter(model=model)
        .select_related("model", "created_by")
        .order_by("-valid_from", "-pk")[:_MOST_VERSIONS]
    )
    own = next((one for one in versions if one.tier == tier and one.valid_from <= now), None)
    used = Consumed(now, model.pk, model.name, None, None, dict(_EXAMPLE), tier)
    offer = offers.find(used)
    rates = offer.rates if isinstance(offer, Offer) and offer.is_tier_known else {}
    ours = {kind: Rate(price, per) for kind, (price, per) in own.by_kind.items()} if own else {}
    kinds = [*rates, *(kind for kind in ours if kind not in rates)]
    examples = [_example(_("By the catalogue"), priced(used, None, ONE))]
    if own is not None:
        examples.append(
            _example(
                _("By your price of %(day)s") % {"day": formatting.day(own.valid_from)},
                priced(used, own, ONE),
            )
        )
    return Compared(
        model=model,
        tier=tier,
        note=_whose(offer, model.name, tier),
        version=offer.version(rates) if isinstance(offer, Offer) else "",
        lines=[
            Line(
                ChargeLine(kind, Decimal(0)).label,
                shown(rates.get(kind)),
                shown(ours.get(kind)),
                kind in ours and ours[kind] != rates.get(kind),
            )
            for kind in kinds
        ],
        versions=versions,
        own=own,
        examples=examples,
        at=now,
    )


def in_short(name: str, tier: str) -> str:
    """Return the catalogue's prices of input and output in a few words, for a list; no query."""
    offer = offers.find(Consumed(timezone.now(), None, name, None, None, {}, tier))
    if isinstance(offer, NotFound) or not offer.is_tier_known:
        return _("none")
    first = [kind for kind in ("input", "output") if kind in offer.rates] or list(offer.rates)[:2]
    parts = (
        f"{ChargeLine(kind, Decimal(0)).label.lower()} {formatting.plain(offer.rates[kind].price)}"
        for kind in first
    )
    return " · ".join(parts) or _("none")


def shown(rate: Rate | None) -> str:
    """Return a price in words: per million where it is one of tokens, and from where on another holds."""
    if rate is None:
        return formatting.UNKNOWN
    per = " / 1M" if rate.per == MILLION else f" / {formatting.exact(rate.per)}" if rate.per != 1 else ""
    text = f"{formatting.money_exact(rate.price)}{per}"
    for tokens, price in rate.above:
        words = {"price": f"{formatting.money_exact(price)}{per}", "tokens": formatting.exact(tokens)}
        text += " · " + _("%(price)s above %(tokens)s input tokens") % words
    return text


def _example(title: str, found: Quote | Unpriced) -> Example:
    if isinstance(found, Unpriced):
        return Example(title, None, found.sentence)
    why = " ".join(one.sentence + "." for one in found.missing)
    return Example(title, found, why)


def _whose(offer: Offer | NotFound, name: str, tier: str) -> str:
    if isinstance(offer, NotFound):
        return Unpriced.without_seller(offer, name).sentence
    words = {"seller": offer.sold.seller, "model": offer.sold.model, "tier": tier}
    if not offer.is_tier_known:
        return _("%(seller)s sells %(model)s, but no price is known in the service tier “%(tier)s”.") % words
    if offer.sold.how is How.NAMED:
        return _("%(model)s as %(seller)s sells it.") % words
    if offer.sold.how is How.MAKER:
        return (
            _("%(model)s as its maker %(seller)s sells it. Another provider's calls cost that one's.") % words
        )
    return _("%(model)s as %(seller)s sells it, the only provider of the catalogue that does.") % words
