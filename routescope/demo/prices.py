"""What the demo gateway charges: exact to the last digit, with a receipt that adds up to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

import msgspec

from routescope.demo import DEMO_GATEWAY
from routescope.demo.records import JSONObject

MILLION = 1_000_000
_PLACES = 12
_UNIT = 10**_PLACES
"""Sums are made in whole 10^-12 USD: the last decimal that a record's cost has."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the demo gateway sells: USD per 1M tokens, and how fast it answers."""

    name: str
    provider: str
    input: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    output: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    reasoning: float = 0.0
    ttft_ms: int
    tokens_per_second: int = 100
    context: int

    @property
    def unit_prices(self) -> dict[str, Decimal]:
        """The prices that the model has, USD per 1M tokens."""
        kinds = ("input", "cached_input", "cache_write", "output", "audio_input", "audio_output")
        return {kind: price for kind in kinds if (price := getattr(self, kind)) is not None}


class _PriceList(msgspec.Struct):
    version: str
    models: list[Model]


_PRICE_LIST = msgspec.toml.decode((Path(__file__).parent / "models.toml").read_bytes(), type=_PriceList)
PRICE_VERSION = _PRICE_LIST.version
MODELS = {model.name: model for model in _PRICE_LIST.models}


@dataclass(frozen=True, slots=True)
class _Rate:
    price: str
    per_token: int


class Tariff:
    """One model's prices for one group."""

    def __init__(self, unit_prices: dict[str, Decimal], ratio: Decimal) -> None:
        self._rates = {
            kind: _Rate(str(price), _exact(price * ratio * (_UNIT // MILLION)))
            for kind, price in unit_prices.items()
        }
        self._facts: JSONObject = {
            "source": DEMO_GATEWAY,
            "currency": "USD",
            "price_version": PRICE_VERSION,
            "group_ratio": str(ratio),
        }

    def charge(self, tokens: Iterable[tuple[str, int]]) -> tuple[str, JSONObject]:
        """Return the cost of some tokens of each kind in USD, and the ``billing`` object that explains it.

        A line's amount is quantity x unit price x group ratio / ``per``; the cost is the sum of the lines.
        """
        total = 0
        lines = []
        for kind, quantity in tokens:
            if quantity:
                rate = self._rates[kind]
                amount = quantity * rate.per_token
                total += amount
                lines.append(
                    {
                        "item": kind,
                        "quantity": quantity,
                        "unit_price": rate.price,
                        "per": MILLION,
                        "amount": _written(amount),
                    }
                )
        return _written(total), {**self._facts, "lines": lines}


@cache
def tariff(model: str, ratio: Decimal) -> Tariff:
    """Return what a model of the price list costs in a group with this ratio."""
    return Tariff(MODELS[model].unit_prices, ratio)


def charge_units(item: str, quantity: int, unit_price: Decimal, ratio: Decimal) -> tuple[str, JSONObject]:
    """Return the cost in USD and the ``billing`` object of work priced by the piece: a second, an image."""
    amount = _exact(quantity * unit_price * ratio * _UNIT)
    billing = {
        "source": DEMO_GATEWAY,
        "currency": "USD",
        "price_version": PRICE_VERSION,
        "group_ratio": str(ratio),
        "lines": [
            {
                "item": item,
                "quantity": quantity,
                "unit_price": str(unit_price),
                "per": 1,
                "amount": _written(amount),
            }
        ],
    }
    return _written(amount), billing


def _exact(amount: Decimal) -> int:
    whole = int(amount)
    if whole != amount:
        raise ValueError(f"{amount} of the last decimal is not whole: a price or ratio has too many decimals")
    return whole


def _written(amount: int) -> str:
    text = f"{amount // _UNIT}.{amount % _UNIT:0{_PLACES}d}".rstrip("0")
    return text.removesuffix(".")
