"""When calls come: the hours of a day, the days of a week, growth, and bursts."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from routescope.data.ranges import DAY, HOUR

_HISTORY = 90 * DAY
_MICROSECOND = timedelta(microseconds=1)
BURST_LENGTH = timedelta(seconds=90)
_GAP_SECONDS = 24
"""Between two calls of a session, on average: a model's answer, and a tool at work."""
_LONGEST_SESSION = 3_000
_BURST_SPREAD = (0.7, 1.4)
BURST_MEAN = sum(_BURST_SPREAD) / 2
"""Mean size of a burst, as a share of its usual size."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Weights of the 24 local hours and of the seven days from Monday; 1 is the average."""

    hours: tuple[float, ...]
    days: tuple[float, ...]

    def weight(self, local: datetime) -> float:
        return self.hours[local.hour] * self.days[local.weekday()]


def _rhythm(hours: tuple[int, ...], days: tuple[int, ...]) -> Rhythm:
    return Rhythm(
        tuple(24 * weight / sum(hours) for weight in hours), tuple(7 * weight / sum(days) for weight in days)
    )


OFFICE = _rhythm(
    (3, 2, 2, 2, 2, 3, 6, 14, 34, 58, 66, 62, 44, 56, 68, 64, 54, 38, 22, 14, 10, 8, 6, 4),
    (100, 108, 110, 106, 92, 24, 20),
)
CONSUMER = _rhythm(
    (22, 14, 9, 7, 6, 8, 14, 24, 34, 40, 44, 48, 52, 50, 46, 46, 50, 56, 64, 74, 80, 76, 58, 36),
    (92, 90, 92, 96, 106, 118, 112),
)
NIGHTLY = _rhythm(
    (4, 30, 100, 90, 40, 10, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2),
    (100, 100, 100, 100, 100, 70, 60),
)
STEADY = _rhythm((1,) * 24, (1,) * 7)


@dataclass(frozen=True, slots=True)
class Career:
    """How a workload's rate changes over the history, in days before its end.

    ``begins`` and ``ends`` bound it; ``from_share`` is what the rate of 90 days ago was of today's.
    """

    begins: float = math.inf
    ends: float = -math.inf
    from_share: float = 0.6

    def share(self, age: timedelta) -> float:
        """Return the share of today's rate at ``age`` before the end of the history (negative: after it)."""
        days = age / DAY
        if not self.ends <= days <= self.begins:
            return 0.0
        if self.begins < math.inf:
            # A launch: a fifth of the traffic on the first day, all of it after five.
            return min(1.0, 0.2 + 0.16 * (self.begins - days))
        return self.from_share + (1 - self.from_share) * min(1.0, max(0.0, 1 - age / _HISTORY))


def poisson(rng: random.Random, mean: float) -> int:
    """Draw how many events happen where ``mean`` are expected."""
    if mean <= 0:
        return 0
    if mean > 40:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def arrivals(
    rng: random.Random, hour: datetime, mean: float, bursts: float, burst_size: int
) -> list[datetime]:
    """Draw the times of an hour's calls, to the microsecond and in no order.

    ``mean`` calls are expected spread over the hour, and ``bursts`` bursts of some ``burst_size`` calls.
    """
    length = HOUR // _MICROSECOND
    moments = [hour + timedelta(microseconds=int(rng.random() * length)) for _ in range(poisson(rng, mean))]
    for _ in range(poisson(rng, bursts)):
        start = hour + (HOUR - BURST_LENGTH) * rng.random()
        moments += burst(rng, start, int(burst_size * rng.uniform(*_BURST_SPREAD)))
    return moments


def sessions(rng: random.Random, hour: datetime, mean: float, sizes: tuple[int, int]) -> list[list[datetime]]:
    """Draw the times of an hour's calls in sessions of between so many: ``mean`` calls are expected.

    A session is over within its hour, so that an hour can be made by itself.
    """
    drawn = []
    for _ in range(poisson(rng, mean * 2 / sum(sizes))):
        gaps = [rng.expovariate(1 / _GAP_SECONDS) + 1 for _ in range(rng.randint(*sizes))]
        length = sum(gaps)
        pace = min(1.0, _LONGEST_SESSION / length)
        start = hour + (HOUR - timedelta(seconds=length * pace)) * rng.random()
        drawn.append([start + timedelta(seconds=after * pace) for after in accumulate(gaps)])
    return drawn


def burst(rng: random.Random, start: datetime, size: int) -> list[datetime]:
    """Draw the times of ``size`` calls that come at once: denser at first, like a queue that is let go."""
    length = BURST_LENGTH // _MICROSECOND
    return [start + timedelta(microseconds=int(length * rng.random() ** 1.6)) for _ in range(size)]
