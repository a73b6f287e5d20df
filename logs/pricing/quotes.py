"""What a call costs by the catalogue, overlaid by the admin's own versions, times the group's ratio.

Prices are those of the call's own time, seller and service tier. A kind without a price is never given
another one's: it is named (`Missing`), and the call stays unpriced as long as there is one. Nothing here is
rounded but the amounts of lines and the total, to the 12 decimals of a record's cost; what the rounding of
lines leaves over is a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils import timezone
from django.utils.translation import gettext as _

from logs.models import GroupRatio, ModelPrice, RecordType
from logs.models.events import JSONObject, UsageEvent
from logs.pricing import base, offers
from logs.pricing.charges import ONE, UNIT, WIDE, ChargeLine, exactly
from logs.pricing.consumed import Consumed
from logs.pricing.kinds import (
    DELIVERED,
    FREE_UNLESS_PRICED,
    INPUT_ITEMS,
    OUTPUT_ITEMS,
    PIECES,
    TOKENS,
    ContradictionError,
    tokens_by_kind,
)
from logs.pricing.offers import AS_OUTPUT, Offer
from logs.pricing.rates import Rate
from logs.pricing.sellers import How, NotFound
from logs.pricing.unpriced import Missing, Unpriced, Why

ZERO = Decimal(0)
_SOLD_BY = frozenset(PIECES) & DELIVERED
_TOLD_BY_TOKENS = {
    "per_image": ("image_output",),
    "audio_seconds": ("audio_input", "audio_output", "cached_audio"),
    "characters": ("audio_output",),
}
"""Pieces that are but told beside the tokens that are charged for them."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The catalogue's price of a usage. ``total`` and the lines' amounts are USD with 12 decimals.

    ``rounding`` is what the lines' rounding leaves over: lines + rounding = total, exactly. ``valid_from``
    None: since before the catalogue began. ``missing`` are kinds without a price: ``total`` is then that of
    the others. ``seller`` is who sells it, for people; ``how`` that is known, None for the admin's prices.
    """

    total: Decimal
    lines: tuple[ChargeLine, ...]
    rounding: Decimal
    ratio: Decimal
    source: str
    version: str
    valid_from: datetime | None
    model: str
    tier: str = ""
    seller: str = ""
    how: How | None = None
    missing: tuple[Missing, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all that was used has a price."""
        return not self.missing

    @property
    def billing(self) -> JSONObject:
        """The facts as a record keeps them; with ``unpriced`` where its cost is not known for that."""
        return {
            "source": self.source,
            "currency": "USD",
            "model": self.model,
            **({"seller": self.seller} if self.seller else {}),
            **({"service_tier": self.tier} if self.tier else {}),
            "price_version": self.version,
            "valid_from": self.valid_from.isoformat() if self.valid_from else None,
            "group_ratio": f"{self.ratio.normalize():f}",
            "lines": [
                {
                    "item": line.item,
                    "quantity": f"{line.quantity:f}",
                    "unit_price": f"{line.unit_price:f}",
                    "per": line.per,
                    "amount": f"{line.amount:f}",
                }
                for line in self.lines
            ]
            + ([{"item": "rounding", "amount": f"{self.rounding:f}"}] if self.rounding else []),
            **({"unpriced": [one.fact for one in self.missing]} if self.missing else {}),
        }


class PriceBook:
    """The prices and ratios of some models and groups, of all times: two queries, then none."""

    def __init__(self, model_ids: Iterable[int | None], group_ids: Iterable[int | None]) -> None:
        self._prices: dict[int, list[ModelPrice]] = {}
        prices = ModelPrice.objects.filter(model_id__in={i for i in model_ids if i}).select_related("model")
        for price in prices.order_by("-valid_from"):
            self._prices.setdefault(price.model_id, []).append(price)
        self._ratios: dict[int, list[GroupRatio]] = {}
        ratios = GroupRatio.objects.filter(group_id__in={i for i in group_ids if i})
        for ratio in ratios.order_by("-valid_from"):
            self._ratios.setdefault(ratio.group_id, []).append(ratio)

    def ratio(self, group_id: int | None, at: datetime) -> Decimal:
        """Return the group's ratio at a time; 1 without a group."""
        versions = self._ratios.get(group_id or 0, ())
        return next((version.ratio for version in versions if version.valid_from <= at), ONE)

    def versions(self, used: Consumed) -> list[datetime]:
        """Return times at which other prices of the usage's model held, newest first: own ones, and now."""
        return [timezone.now(), *(version.valid_from for version in self._prices.get(used.model_id or 0, ()))]

    def quote(self, used: Consumed, ratio: Decimal | None = None) -> Quote | Unpriced:
        """Return what the usage costs, or why that is not known. ``ratio`` stands in for the group's own."""
        if used.is_nothing and not used.succeeded:
            return Quote(UNIT * 0, (), UNIT * 0, ONE, "catalogue", base.VERSION, None, used.model)
        if used.is_contradictory:
            return Unpriced(Why.CONTRADICTION, used.model)
        versions = self._prices.get(used.model_id or 0, ())
        own = next(
            (version for version in versions if version.tier == used.tier and version.valid_from <= used.at),
            None,
        )
        return priced(used, own, self.ratio(used.group_id, used.at) if ratio is None else ratio)


def price_events(events: Sequence[UsageEvent], models: Mapping[str, int], groups: Mapping[str, int]) -> None:
    """Give arriving calls without a cost the catalogue's; those without a known price stay without.

    Where only part of what a call used has a price, the call keeps which part and what it comes to.
    """
    bare = [event for event in events if event.cost is None and _is_call(event.type)]
    if not bare:
        return
    book = PriceBook(
        {models[event.model] for event in bare if event.model},
        {groups[event.group] for event in bare if event.group},
    )
    for event in bare:
        used = Consumed.of(
            event,
            model_id=models[event.model] if event.model else None,
            model=event.model,
            group_id=groups[event.group] if event.group else None,
            at=event.created_at,
        )
        if not event.model and (used.succeeded or not used.is_nothing):
            # Without a model only what used nothing has a cost: a refused call costs none.
            continue
        quote = book.quote(used)
        if isinstance(quote, Quote):
            event.cost = quote.total if quote.is_whole else None
            event.billing = {**quote.billing, "sent": event.billing} if event.billing else quote.billing


def is_priced_here(billing: JSONObject | None) -> bool:
    """Whether a record's price is the catalogue's or the admin's, and not what the gateway charged."""
    return bool(billing) and (billing or {}).get("source") in ("catalogue", "own")


def as_sent(billing: JSONObject | None) -> JSONObject | None:
    """Return what the gateway sent of a record's billing, without what was priced here."""
    return (billing or {}).get("sent") if is_priced_here(billing) else billing


def trial(price: ModelPrice) -> str | None:
    """Return why a version's prices do not fit together; None if they do.

    Tokens of a part are part of the whole: without a price of input, no call with cached input is priced.
    """
    used = Consumed(price.valid_from, price.model_id, price.model.name, None, None, {}, price.tier)
    offer = offers.find(used)
    kinds = set(price.by_kind) | (set() if isinstance(offer, NotFound) else set(offer.rates))
    for whole, parts in (("input", INPUT_ITEMS), ("output", OUTPUT_ITEMS)):
        if whole not in kinds and (lonely := sorted(kinds & set(parts))):
            label = ChargeLine(lonely[0], ZERO).label
            missing = ChargeLine(whole, ZERO).label
            return _("These prices do not fit together: %(part)s has one, %(whole)s has none.") % {
                "part": label,
                "whole": missing,
            }
    return None


def _is_call(kind: int) -> bool:
    return kind in (RecordType.REQUEST, RecordType.TASK)


def priced(used: Consumed, own: ModelPrice | None, ratio: Decimal) -> Quote | Unpriced:
    """Return the price of a usage by the catalogue and a version of the admin's own."""
    offer = offers.find(used)
    rates: dict[str, Rate] = {}
    if isinstance(offer, Offer) and not (own and own.is_flat):
        rates |= offer.rates
    if own is not None:
        rates |= {kind: Rate(price, per) for kind, (price, per) in own.by_kind.items()}
    if isinstance(offer, NotFound) and own is None:
        return Unpriced.without_seller(offer, used.model)
    try:
        counted, missing = _counted(used, rates, offer if isinstance(offer, Offer) else None, own)
    except ContradictionError:
        return Unpriced(Why.CONTRADICTION, used.model)
    if not counted and not missing and used.succeeded:
        return Unpriced(Why.NO_USAGE, used.model)
    lines = []
    exact = ZERO
    whole = used.counts.get("input_tokens", 0)
    for kind, quantity in counted:
        rate, many = rates[kind], Decimal(quantity)
        price = rate.at(whole)
        exact = WIDE.add(exact, exactly(many, price, rate.per, ratio))
        lines.append(ChargeLine.of(kind, many, price, rate.per, ratio))
    total = exact.quantize(UNIT, context=WIDE)
    sold = offer.sold if isinstance(offer, Offer) and own is None else None
    return Quote(
        total=total,
        lines=tuple(lines),
        rounding=total - sum((line.amount for line in lines), ZERO),
        ratio=ratio,
        source="own" if own else "catalogue",
        version=_version(own, offer, (kind for kind, _quantity in counted)),
        valid_from=own.valid_from if own else offer.since if isinstance(offer, Offer) else None,
        model=offer.sold.model if isinstance(offer, Offer) else used.model,
        tier=used.tier,
        seller=sold.seller if sold else "",
        how=sold.how if sold else None,
        missing=tuple(missing),
    )


def _version(own: ModelPrice | None, offer: Offer | NotFound, kinds: Iterable[str]) -> str:
    """Return whose prices were used, as receipts name it."""
    if own is not None:
        return own.version
    return offer.version(kinds) if isinstance(offer, Offer) else base.VERSION


_Counted = list[tuple[str, int | Decimal]]


def _counted(
    used: Consumed, rates: Mapping[str, Rate], offer: Offer | None, own: ModelPrice | None
) -> tuple[_Counted, list[Missing]]:
    """Return what is charged, and what would be if it had a price. Raises ContradictionError."""
    rules = offer.billed_as if offer else AS_OUTPUT
    tokens = tokens_by_kind(used.counts, {kind: whole for kind, whole in rules.items() if kind not in rates})
    free = offer.not_charged if offer else frozenset()
    no_tier = used.tier if offer and own is None and not offer.is_tier_known else ""
    asks = offer.asks if offer else {}
    charged: _Counted = []
    missing: list[Missing] = []
    # Sold by the piece alone, its tokens cost nothing.
    sells_pieces = (
        not no_tier and not rates.keys() & TOKENS and (bool(rates.keys() & _SOLD_BY) or "per_call" in rates)
    )
    for kind, count in tokens.items():
        if not count or sells_pieces:
            continue
        if kind in rates:
            charged.append((kind, count))
        elif kind not in free:
            missing.append(Missing(kind, Decimal(count), tier=no_tier, asks=asks.get(kind, "")))
    for kind, name in PIECES.items():
        count = used.counts.get(name, 0)
        if not count or (kind in DELIVERED and not used.succeeded):
            continue
        if kind in rates:
            least = offer.minimum.get(kind) if offer else None
            charged.append((kind, count if least is None else max(Decimal(count), least)))
        elif not (
            kind in free
            or kind in FREE_UNLESS_PRICED
            or any(tokens.get(part) for part in _TOLD_BY_TOKENS.get(kind, ()))
        ):
            missing.append(Missing(kind, Decimal(count), tier=no_tier, asks=asks.get(kind, "")))
    if used.succeeded:
        if "per_call" in rates:
            charged.append(("per_call", 1))
        missing += _untold(used, rates, tokens, charged, asks, sells_pieces)
    return charged, missing


def _untold(
    used: Consumed,
    rates: Mapping[str, Rate],
    tokens: Mapping[str, int | Decimal],
    charged: _Counted,
    asks: Mapping[str, str],
    sells_pieces: bool,
) -> Iterable[Missing]:
    """Yield what must have been used, and is not told: images in tokens, what a model is sold by."""
    drew = used.counts.get("image_count", 0)
    dearer = "image_output" in rates and rates["image_output"] != rates.get("output")
    if drew and dearer and "per_image" not in rates and not tokens.get("image_output"):
        # Some tokens of the output were images, which cost more: it is not told how many.
        yield Missing("image_output", None)
    if sells_pieces and not charged:
        yield Missing(min(rates.keys() & _SOLD_BY), None)
    if "per_call" in asks:
        yield Missing("per_call", ONE, asks=asks["per_call"])
