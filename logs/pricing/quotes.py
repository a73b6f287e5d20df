"""What a call costs by the catalogue: `genai-prices`, overlaid by the admin's own versions, times the ratio.

Prices are those of the call's own time. Nothing here is rounded but the amounts of lines and the total, to
the 12 decimals of a record's cost; what the rounding of lines leaves over is a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, cast

import genai_prices
from django.utils import timezone
from django.utils.translation import gettext as _
from genai_prices import types as base
from genai_prices.data_snapshot import get_snapshot
from genai_prices.decompose import compute_leaf_values
from genai_prices.units import _get_registry
from genai_prices.validation import validate_priced_units

from accounts.models import AIModel
from logs.models import GroupRatio, ModelPrice, RecordType, Status, UsageRecord
from logs.models.events import JSONObject, UsageEvent
from logs.pricing.charges import ONE, UNIT, WIDE, ChargeLine, exactly

BASE_VERSION = f"genai-prices {genai_prices.__version__}"

_USAGE = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "audio_input_tokens": "input_audio_tokens",
    "audio_output_tokens": "output_audio_tokens",
}
_QUANTITIES = {
    "image_input_tokens": "input_image_tokens",
    "image_output_tokens": "output_image_tokens",
    "audio_seconds": "audio_seconds",
    "characters": "input_characters",
    "web_search_count": "web_searches",
}
_ITEMS = {
    "input_tokens": "input",
    "cache_read_tokens": "cached_input",
    "cache_write_tokens": "cache_write",
    "output_tokens": "output",
    "output_reasoning_tokens": "reasoning",
    "input_audio_tokens": "audio_input",
    "output_audio_tokens": "audio_output",
    "input_image_tokens": "image_input",
    "output_image_tokens": "image_output",
    "input_characters": "characters",
    "web_searches": "web_search",
    "requests": "per_call",
}
_PRICE_KEYS = {
    "input": "input_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "output": "output_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
    "image_input": "input_image_mtok",
    "image_output": "output_image_mtok",
}


@dataclass(frozen=True, slots=True)
class Consumed:
    """What a call used, and what its price depends on. ``counts`` are by the names of `genai-prices`."""

    at: datetime
    model_id: int | None
    model: str
    provider: str | None
    group_id: int | None
    counts: Mapping[str, int]
    images: int = 0
    succeeded: bool = True

    @classmethod
    def of(cls, record: UsageRecord | UsageEvent, *, model_id: int | None, model: str, group_id: int | None,
           at: datetime) -> Consumed:  # fmt: skip
        counts = {key: value for name, key in _USAGE.items() if (value := getattr(record, name))}
        for name, key in _QUANTITIES.items():
            if record.quantities and (value := record.quantities.get(name)):
                counts[key] = value
        return cls(
            at, model_id, model, record.provider, group_id, counts, record.image_count or 0,
            record.status == Status.SUCCESS,
        )  # fmt: skip

    @classmethod
    def of_record(cls, record: UsageRecord) -> Consumed:
        """Return what a stored record used; its model must be loaded."""
        model = cast("AIModel | None", record.model)
        return cls.of(
            record,
            model_id=record.model_id,
            model=model.name if model else "",
            group_id=record.group_id,
            at=record.created_at,
        )

    @property
    def is_nothing(self) -> bool:
        return not self.counts and not self.images


@dataclass(frozen=True, slots=True)
class Quote:
    """The catalogue's price of a usage. ``total`` and the lines' amounts are USD with 12 decimals.

    ``rounding`` is what the lines' rounding leaves over: lines + rounding = total, exactly. ``valid_from``
    None: since before the catalogue began.
    """

    total: Decimal
    lines: tuple[ChargeLine, ...]
    rounding: Decimal
    ratio: Decimal
    source: str
    version: str
    valid_from: datetime | None
    model: str

    @property
    def billing(self) -> JSONObject:
        """The facts as a record keeps them."""
        return {
            "source": self.source,
            "currency": "USD",
            "model": self.model,
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

    def quote(self, used: Consumed, ratio: Decimal | None = None) -> Quote | None:
        """Return what the usage costs; None where no price is known, or where it is not known what was used.

        ``ratio`` stands in for the group's own.
        """
        if used.is_nothing and not used.succeeded:
            return Quote(UNIT * 0, (), UNIT * 0, ONE, "catalogue", BASE_VERSION, None, used.model)
        versions = self._prices.get(used.model_id or 0, ())
        override = next((version for version in versions if version.valid_from <= used.at), None)
        return _quote(used, override, self.ratio(used.group_id, used.at) if ratio is None else ratio)


def price_events(events: Sequence[UsageEvent], models: Mapping[str, int], groups: Mapping[str, int]) -> None:
    """Give arriving calls without a cost the catalogue's; those without a known price stay without."""
    bare = [event for event in events if event.cost is None and event.model and _is_call(event.type)]
    if not bare:
        return
    book = PriceBook(
        {models[event.model] for event in bare}, {groups[event.group] for event in bare if event.group}
    )
    for event in bare:
        used = Consumed.of(
            event,
            model_id=models[event.model],
            model=event.model,
            group_id=groups[event.group] if event.group else None,
            at=event.created_at,
        )
        if quote := book.quote(used):
            event.cost = quote.total
            event.billing = {**quote.billing, "sent": event.billing} if event.billing else quote.billing


def is_priced_here(billing: JSONObject | None) -> bool:
    """Whether a record's price is the catalogue's or the admin's, and not what the gateway charged."""
    return bool(billing) and (billing or {}).get("source") in ("catalogue", "own")


def trial(price: ModelPrice) -> str | None:
    """Return why a version cannot price anything; None if it can."""
    used = Consumed(price.valid_from, price.model_id, price.model.name, None, None, {})
    try:
        unit_prices = _merged(used, price)[0]
        registry = _get_registry()
        validate_priced_units(tuple(registry.unit_for_price_key(key) for key in unit_prices), registry)
    except ValueError as error:
        return _("These prices do not fit together: %(problem)s") % {"problem": error}
    return None


def _is_call(kind: int) -> bool:
    return kind in (RecordType.REQUEST, RecordType.TASK)


def _quote(used: Consumed, override: ModelPrice | None, ratio: Decimal) -> Quote | None:
    unit_prices, valid_from, name = _merged(used, override)
    if not unit_prices and (override is None or not override.is_flat):
        return None
    try:
        counted = _leaves(unit_prices, used.counts)
    except ValueError:
        # More cached than input tokens, say: a usage that contradicts itself has no price.
        return None
    priced = [
        (item, Decimal(count), price, per)
        for item, count, price, per in counted
        if count or item == "per_call"
    ]
    if override is not None:
        if override.per_image is not None and used.images:
            priced.append(("per_image", Decimal(used.images), override.per_image, 1))
        if override.per_call is not None:
            priced = [line for line in priced if line[0] != "per_call"]
            priced.append(("per_call", ONE, override.per_call, 1))
    if not used.succeeded:
        priced = [line for line in priced if line[0] != "per_call"]
    if not priced and used.succeeded:
        return None
    lines = []
    exact = Decimal(0)
    for item, quantity, price, per in priced:
        exact = WIDE.add(exact, exactly(quantity, price, per, ratio))
        lines.append(ChargeLine.of(item, quantity, price, per, ratio))
    total = exact.quantize(UNIT, context=WIDE)
    return Quote(
        total=total,
        lines=tuple(lines),
        rounding=total - sum((line.amount for line in lines), Decimal(0)),
        ratio=ratio,
        source="own" if override else "catalogue",
        version=override.version if override else BASE_VERSION,
        valid_from=override.valid_from if override else valid_from,
        model=name,
    )


def _merged(used: Consumed, override: ModelPrice | None) -> tuple[dict[str, Any], datetime | None, str]:
    """Return the unit prices by the base's names, since when they hold, and the model's name there."""
    if override is not None and override.is_flat:
        return {}, override.valid_from, used.model
    found = _find(used.model, used.provider)
    if found is None:
        unit_prices: dict[str, Any] = {}
        valid_from, name = None, used.model
    else:
        prices, valid_from = _in_force(found, used.at)
        unit_prices = {key: value for key, value in prices.__dict__.items() if value is not None}
        name = found.id
    if override is not None:
        unit_prices.update({_PRICE_KEYS[kind]: price for kind, price in override.by_token.items()})
        if override.per_call is not None:
            unit_prices.pop("requests_kcount", None)
    return unit_prices, valid_from, name


@lru_cache(maxsize=4096)
def _find(model: str, provider: str | None) -> base.ModelInfo | None:
    """Find a model as its gateway calls it: at its provider, at any, and without a provider's prefix."""
    snapshot = get_snapshot()
    bare = model.rpartition("/")[2]
    for name, at in ((model, provider), (model, None), (bare, provider), (bare, None)):
        if name and (at is not None or name):
            try:
                return snapshot.find_provider_model(name, None, at or None, None)[1]
            except LookupError:
                continue
    return None


def _in_force(model: base.ModelInfo, at: datetime) -> tuple[base.ModelPrice, datetime | None]:
    if isinstance(model.prices, list):
        for conditional in reversed(model.prices):
            constraint = conditional.constraint
            if constraint is not None and constraint.active(at):
                start = getattr(constraint, "start_date", None)
                since = datetime(start.year, start.month, start.day, tzinfo=UTC) if start else None
                return conditional.prices, since
            if constraint is None:
                return conditional.prices, None
    return model.get_prices(at), None


def _leaves(unit_prices: Mapping[str, Any], counts: Mapping[str, int]) -> list[tuple[str, Any, Decimal, int]]:
    """Return (item, quantity, unit price, per) of each priced kind; each token is in one kind only.

    The base's own rules: a kind without a price of its own counts as what it is part of, and a tier's price
    holds for all tokens. Raises ValueError for counts that contradict each other.
    """
    registry = _get_registry()
    units = {key: registry.unit_for_price_key(key) for key in unit_prices}
    by_usage = {unit.usage_key: unit for unit in units.values() if unit.usage_key != "requests"}
    usage = genai_prices.Usage(**counts)
    try:
        leaves = dict(compute_leaf_values(set(by_usage), usage, by_usage))
    except ValueError:
        # A count of what two kinds share (cached audio) was not given: none is the only figure there is.
        missing = {key: 0 for key in by_usage if key not in counts}
        leaves = dict(compute_leaf_values(set(by_usage), genai_prices.Usage(**missing, **counts), by_usage))
    leaves["requests"] = 1
    lines = []
    for key, unit in units.items():
        price = unit_prices[key]
        if isinstance(price, base.TieredPrices):
            reached = [tier.price for tier in price.tiers if counts.get("input_tokens", 0) > tier.start]
            price = reached[-1] if reached else price.base
        lines.append((_ITEMS.get(unit.usage_key, unit.usage_key), leaves[unit.usage_key], price, unit.per))
    return lines
