"""What the chart is made of: its bars' places in time, their parts, the period before, the ways from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Self

from logs.rollups.metrics import METRICS, Metric, Spread
from logs.rollups.own_sums import Totals
from logs.rollups.traffic import Traffic, origin
from routescope.data.ranges import TimeRange
from routescope.filters.address import Address
from routescope.filters.filter_set import Link

Amount = int | Decimal
"""Of a bar: requests or tokens, or USD."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the bars stand in time: ``count`` of them, each as long as ``step``, from ``start`` on. The first
    and the last may reach beyond the range, which ``begins`` and ends (``end``) within them.
    """

    start: datetime
    step: timedelta
    count: int
    begins: datetime
    end: datetime

    @classmethod
    def of(cls, whole: TimeRange, step: timedelta) -> Self:
        """Return the bars of a range. Raises ValueError where it is open."""
        if whole.start is None or whole.end is None:
            raise ValueError("A chart needs a range with both ends.")
        start = origin(whole, step)
        return cls(start, step, max(1, math.ceil((whole.end - start) / step)), whole.start, whole.end)

    @property
    def length(self) -> timedelta:
        return self.count * self.step

    def index(self, moment: datetime) -> int:
        """Return the place of the bar that a moment is in, the nearest one's where it is in none."""
        return min(max((moment - self.start) // self.step, 0), self.count - 1)


@dataclass(frozen=True, slots=True)
class Layer:
    """A part of every bar, by its place. ``look`` names its colour; ``address`` leads to its records."""

    look: str
    label: str
    values: Mapping[int, Amount]
    address: Address | None = None

    @property
    def total(self) -> Amount:
        return sum(self.values.values(), start=Decimal(0))

    def within(self, indices: Iterable[int]) -> Amount:
        """Return what it holds of some bars."""
        return sum((self.values.get(index, 0) for index in indices), start=Decimal(0))


@dataclass(frozen=True, slots=True)
class Before:
    """The period of the same length just before the range, and its sums."""

    chosen: TimeRange
    totals: Totals


@dataclass(frozen=True, slots=True)
class Plotted:
    """What is drawn: ``layers`` of bars from below, or the ``lines`` of percentiles. ``step`` is a bar's
    length; ``ghost`` has the bars' whole in the period ``before``, by the same places.
    """

    metric: str
    step: timedelta
    layers: Sequence[Layer] = ()
    lines: Sequence[Spread] = ()
    ghost: Mapping[int, Amount] = field(default_factory=dict)
    before: Before | None = None
    is_stacked: bool = False

    @property
    def drawn(self) -> Metric:
        return METRICS[self.metric]

    def is_of(self, traffic: Traffic) -> bool:
        """Whether its bars are the buckets that are counted by the minute."""
        if traffic.is_part or self.step != traffic.step or self.is_stacked:
            return False
        return self.metric == "requests" or self.drawn.peak is not None


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways from a chart: ``here`` is the view, ``data`` the figures of just these bars, ``metrics`` and
    ``stacks`` are what may be chosen, ``zoomed_out`` is a range twice as long.
    """

    here: Address
    data: Address
    metrics: Sequence[Link]
    stacks: Sequence[Link]
    zoomed_out: Address | None
