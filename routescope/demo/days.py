"""Storing the demo's records day by day, through the same door as every gateway's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from accounts.models import Gateway
from logs.ingest import batches
from logs.models.events import Batch, UsageEvent
from routescope.data import room
from routescope.data.ids import EPOCH
from routescope.data.ranges import DAY, HOUR, floor
from routescope.demo.failures import REFUNDED_WITHIN
from routescope.demo.media import LONGEST, orders
from routescope.demo.traffic import Traffic, adjustments, ended

BATCH = 4_000


class Tally(NamedTuple):
    """How many records were stored, were here already, and were refused."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0

    def plus(self, other: Tally) -> Tally:
        return Tally(*map(sum, zip(self, other, strict=True)))


def store_days(
    gateway: Gateway, traffic: Traffic, start: datetime, until: datetime, *, share: int = 0, of: int = 1
) -> Tally:
    """Store what begins from ``start`` on and has ended by ``until``, a UTC day at a time, oldest first.

    ``share`` says which days: every ``of``-th one.
    """
    tally = Tally()
    for day in records_by_day(traffic, start, until, share=share, of=of):
        for first in range(0, len(day), BATCH):
            tally = tally.plus(store(gateway, day[first : first + BATCH]))
    return tally


def records_by_day(
    traffic: Traffic, start: datetime, until: datetime, *, share: int = 0, of: int = 1
) -> Iterator[list[UsageEvent]]:
    """Yield the records of each UTC day, in order of time but for refunds, which lie a little later."""
    others = _others(traffic, start, until)
    # A refund is made with its call, which may lie in the day before.
    day = floor(start - REFUNDED_WITHIN, DAY)
    while day < until:
        if (day - EPOCH) // DAY % of == share:
            hours = (day + number * HOUR for number in range(24))
            calls = (event for hour in hours if hour < until for event in traffic.hour(hour))
            records = [event for event in calls if _within(event, start, until)]
            records += [event for event in others if day <= event.created_at < day + DAY]
            yield records
        day += DAY


def store(gateway: Gateway, events: list[UsageEvent]) -> Tally:
    with room.for_records():
        outcome = batches.store(gateway, Batch(events=list(enumerate(events)), rejected=[]))
    return Tally(outcome.accepted, outcome.duplicates, len(outcome.rejected))


def _others(traffic: Traffic, start: datetime, until: datetime) -> list[UsageEvent]:
    """Return the records that are no calls of a workload: tasks, their refunds, and adjustments."""
    placed = orders(traffic, start - LONGEST, until)
    events = [*adjustments(traffic.end), *(event for order in placed for event in order.records())]
    return sorted((event for event in events if _within(event, start, until)), key=attrgetter("created_at"))


def _within(event: UsageEvent, start: datetime, until: datetime) -> bool:
    return start <= event.created_at and ended(event) <= until
