"""The two axes of the chart: round values upwards, round local times along."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from statistics import median

from routescope.data.ranges import DAY, HOUR
from routescope.text.formatting import month_day

Number = int | float | Decimal
UNEVEN = 20
"""Over so many times the median, a peak leaves the rest too low to be seen: heights then go by roots."""
_MOST_TICKS = 8
_TICKS = tuple(
    timedelta(minutes=minutes)
    for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7 * 1440, 14 * 1440, 28 * 1440)
)


@dataclass(frozen=True, slots=True)
class Track:
    """Where bars stand in the drawing, in pixels from its top, and the value at their upper edge.

    ``is_root``: heights are as the square root of the value.
    """

    top: int
    height: int
    most: Number
    is_root: bool = False

    @property
    def bottom(self) -> int:
        return self.top + self.height

    @property
    def middle(self) -> Number:
        """The value of the middle label: half of that at the upper edge, of roots the round quarter."""
        most = Decimal(str(self.most))
        quarter = most / 4
        is_round = len(quarter.normalize().as_tuple().digits) < 3 and (quarter == int(quarter) or most < 4)
        middle = quarter if self.is_root and is_round else most / 2
        return int(middle) if middle == int(middle) else middle

    @property
    def units(self) -> int:
        """The height of the bars' own stretched drawing: half a pixel each."""
        return 2 * self.height

    def pixel(self, value: Number) -> float:
        """Return the height of a value in the drawing, in pixels from its top."""
        return round(self.bottom - self._share(value) * self.height, 1)

    def unit(self, value: Number) -> int:
        """Return the height of a value in the bars' own stretched drawing."""
        return self.units - round(self._share(value) * self.units)

    def _share(self, value: Number) -> float:
        share = min(max(float(value) / float(self.most), 0), 1)
        return math.sqrt(share) if self.is_root else share


@dataclass(frozen=True, slots=True)
class Tick:
    """A label under the chart: a round time in the person's zone. ``major`` ones stay on a narrow screen."""

    at: str
    anchor: str
    label: str
    major: bool


def is_uneven(values: Sequence[Number]) -> bool:
    """Say whether the largest of some values is over 20 times their median; what is nothing is left out."""
    held = [float(value) for value in values if value > 0]
    return bool(held) and max(held) > UNEVEN * median(held)


def nice(value: Number, *, whole: bool = True) -> Number:
    """Return the next round number from ``value`` on: the top of a scale that people can read.

    Of what is counted in ``whole`` numbers at least 2; of money down to any decimal, 1 for nothing.
    """
    wanted = Decimal(str(value))
    if whole:
        wanted = max(wanted, Decimal(2))
    elif wanted <= 0:
        return 1
    power = wanted.adjusted()
    for digits in ("1", "1.2", "1.5", "2", "2.5", "3", "4", "5", "6", "8", "10"):
        step = Decimal(digits).scaleb(power)
        if step >= wanted and (not whole or step == int(step)):
            return int(step) if step == int(step) else step
    raise AssertionError


def ticks(start: datetime, end: datetime, zone: tzinfo, length: timedelta) -> list[Tick]:
    """Return the labels of a range, drawn over ``length`` from its start on."""
    moments = list(_round_times(start, end, zone))
    return [
        Tick(
            percent((moment - start) / length),
            # A label that would leave the drawing stands before its tick.
            "end" if (end - moment) / (end - start) < 0.13 else "start",
            _tick_label(moment, zone, moments),
            index % 2 == 0,
        )
        for index, moment in enumerate(moments)
    ]


def percent(share: float) -> str:
    """Write a place along the drawing, 0 to 1, as an attribute has it."""
    return f"{min(max(share, 0), 1) * 100:.3f}%"


def _round_times(start: datetime, end: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield the round local times in a range that label its axis, at most eight or nine."""
    length = end - start
    interval = next((step for step in _TICKS if length / step <= _MOST_TICKS), _TICKS[-1])
    local = start.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if interval < DAY:
        # On the wall clock: a clock change shifts no label off its hour.
        wall = midnight.replace(tzinfo=None)
        while (moment := wall.replace(tzinfo=zone)) < end:
            # What the clock jumps over does not exist, and would come out as another time.
            exists = moment.astimezone(start.tzinfo).astimezone(zone).replace(tzinfo=None) == wall
            if moment >= start and exists:
                yield moment
            wall += interval
        return
    day = midnight
    while day < end:
        if day >= start:
            yield day
        day = (day.replace(tzinfo=None) + interval).replace(tzinfo=zone)


def _tick_label(moment: datetime, zone: tzinfo, moments: Sequence[datetime]) -> str:
    local = moment.astimezone(zone)
    by_day = len(moments) > 1 and moments[1] - moments[0] >= 23 * HOUR
    if by_day or (local.hour, local.minute) == (0, 0):
        return month_day(local)
    return f"{local:%H:%M}"
