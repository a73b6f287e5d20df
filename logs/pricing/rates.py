"""Unit prices of one model: one rate for each kind that has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Rate:
    """``price`` USD for ``per`` of a kind. ``above`` are (input tokens, price), ascending: from more than so
    many input tokens on, the price for all of the call's units.
    """

    price: Decimal
    per: int = 1
    above: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: int | Decimal) -> Decimal:
        """Return the price of a call with so many input tokens."""
        price = self.price
        for start, dearer in self.above:
            if input_tokens > start:
                price = dearer
        return price

    def times(self, factor: Decimal) -> Rate:
        """Return the rate with all prices multiplied, exactly."""
        above = tuple((start, price * factor) for start, price in self.above)
        return Rate(self.price * factor, self.per, above)


Rates = Mapping[str, Rate]
