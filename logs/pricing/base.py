"""The base catalogue, `genai-prices`: what it knows of a model, in our kinds and rates.

It says since when a tier's price is known ("verified on"), not since when it holds: `tier_rates`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import genai_prices
from genai_prices import types as base
from genai_prices.data_snapshot import find_provider_by_id, get_snapshot
from genai_prices.units import _get_registry

from logs.pricing.rates import Rate, Rates

VERSION = f"genai-prices {genai_prices.__version__}"

_KINDS = {
    "input_mtok": "input",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "cache_write_5m_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_input",
    "cache_audio_read_mtok": "cached_audio",
    "output_audio_mtok": "audio_output",
    "input_image_mtok": "image_input",
    "output_image_mtok": "image_output",
    "audio_hours": "audio_seconds",
    "input_audio_hours": "audio_seconds",
    "output_audio_hours": "audio_seconds",
    "input_mchars": "characters",
    "input_document_kpages": "pages",
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
    "requests_kcount": "per_call",
}
"""Its names of prices, by our kinds. What is not here has no count in a record."""


class Known(NamedTuple):
    """A model that a provider of the base sells. ``is_own``: not priced as another provider's."""

    info: base.ModelInfo
    is_own: bool


def provider_ids() -> list[str]:
    return [provider.id for provider in get_snapshot().providers]


def provider_name(provider: str) -> str | None:
    return next((one.name for one in get_snapshot().providers if one.id == provider), None)


def provider_like(name: str) -> str | None:
    """Return the provider that the base takes a name for."""
    found = find_provider_by_id(get_snapshot().providers, name)
    return found.id if found else None


@lru_cache(maxsize=16_384)
def model_at(provider: str, name: str) -> Known | None:
    """Return a model by the name that a provider's API has for it, or the base's like it."""
    snapshot = get_snapshot()
    seller = next((one for one in snapshot.providers if one.id == provider), None)
    found = seller.find_model(name.lower(), all_providers=snapshot.providers) if seller else None
    if seller is None or found is None:
        return None
    return Known(found, any(found is own for own in seller.models))


class Words(NamedTuple):
    """Literal words of names: of whole ones, their beginnings, endings, and what they hold."""

    whole: frozenset[str]
    beginnings: tuple[str, ...]
    endings: tuple[str, ...]
    inside: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...] = ()

    def may_be(self, name: str) -> bool:
        """Whether a name could be one of these. To look each up takes a hundred times as long."""
        return (
            name in self.whole
            or name.startswith(self.beginnings)
            or name.endswith(self.endings)
            or any(word in name for word in self.inside)
            or any(pattern.search(name) for pattern in self.patterns)
        )


@lru_cache(maxsize=1)
def words() -> Words:
    """Return the words of all models' names, of all providers."""
    found: dict[str, set[str]] = {
        key: set() for key in ("equals", "starts_with", "ends_with", "contains", "regex")
    }
    waiting: list[Any] = [model.match for one in get_snapshot().providers for model in one.models]
    while waiting:
        clause = waiting.pop()
        if isinstance(clause, base.ClauseAnd):
            # All must hold: one of them tells enough, and a word does so better than a pattern.
            waiting.append(min(clause.and_, key=lambda one: isinstance(one, base.ClauseRegex)))
            continue
        for key, value in vars(clause).items():
            if isinstance(value, list):
                waiting += value
            elif key in found:
                found[key].add(value if key == "regex" else value.lower())
    return Words(
        frozenset(found["equals"]),
        tuple(found["starts_with"]),
        tuple(found["ends_with"]),
        tuple(found["contains"]),
        tuple(map(re.compile, found["regex"])),
    )


def changes(known: Known) -> tuple[list[datetime], bool]:
    """Return when a model's prices change, and whether they do every day."""
    prices = known.info.prices
    conditions = [one.constraint for one in prices] if isinstance(prices, list) else []
    conditions += [variant.constraint for variant in known.info.price_variants or ()]
    days = [one.start_date for one in conditions if isinstance(one, base.StartDateConstraint)]
    is_daily = any(isinstance(one, base.TimeOfDateConstraint) for one in conditions)
    return [datetime.combine(day, time(0), UTC) for day in days], is_daily


def has_prices(known: Known) -> bool:
    """Whether the base has any price of the model, at any time. It lists some without."""
    prices = known.info.prices
    every = [prices] if isinstance(prices, base.ModelPrice) else [one.prices for one in prices]
    return any(_rates(one) for one in every)


def rates(known: Known, at: datetime) -> tuple[Rates, datetime | None]:
    """Return the plain prices at a time, and since when they hold (None: since before the base began)."""
    prices = known.info.prices
    if not isinstance(prices, list):
        return _rates(prices), None
    for conditional in reversed(prices):
        constraint = conditional.constraint
        if constraint is None or constraint.active(at):
            start = getattr(constraint, "start_date", None)
            return _rates(conditional.prices), datetime.combine(start, time(0), UTC) if start else None
    return _rates(prices[0].prices), None


def tier_rates(known: Known, tier: str, at: datetime, since: datetime | None) -> Rates | None:
    """Return what differs from the plain prices in a service tier; None where the base knows no prices of it.

    ``since``: from when the prices that the base knows from later on are known to have held. They are taken
    back to then as long as the plain prices were the same.
    """
    if not known.is_own:
        return None
    context = {"service_tier": tier, "processing": tier, "speed": tier}
    ours = [
        variant
        for variant in known.info.price_variants or ()
        if all(context.get(key) == value for key, value in variant.when.items())
    ]
    found = [one.prices for one in ours if one.constraint is None or one.constraint.active(at)]
    if not found and since is not None and at >= since:
        earliest = min(
            (one for one in ours if getattr(one.constraint, "start_date", None)),
            key=lambda one: one.constraint.start_date,  # type: ignore[union-attr]
            default=None,
        )
        if earliest is not None:
            start = earliest.constraint.start_date  # type: ignore[union-attr]
            if rates(known, datetime.combine(start, at.timetz()))[0] == rates(known, at)[0]:
                found = [earliest.prices]
    if not found:
        return None
    together: dict[str, Rate] = {}
    for prices in reversed(found):
        together |= _rates(prices)
    return together


@lru_cache(maxsize=1)
def _units() -> dict[str, int]:
    registry = _get_registry()
    return {key: registry.unit_for_price_key(key).per for key in _KINDS}


def _rates(prices: base.ModelPrice) -> dict[str, Rate]:
    found = {}
    for key, price in prices.__dict__.items():
        if price is None or (kind := _KINDS.get(key)) is None:
            continue
        if isinstance(price, base.TieredPrices):
            above = tuple((tier.start, Decimal(tier.price)) for tier in price.tiers)
            found[kind] = Rate(Decimal(price.base), _units()[key], above)
        else:
            found[kind] = Rate(Decimal(price), _units()[key])
    return found
