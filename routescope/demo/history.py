"""Loading the demo: 90 days of traffic up to now, through the same door as every gateway's records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from accounts.models import Gateway, User
from logs.ingest import batches
from logs.models import UsageRecord
from logs.models.events import Batch, UsageEvent
from routescope.data import room
from routescope.data.ids import EPOCH
from routescope.data.ranges import DAY, HOUR, MINUTE, floor
from routescope.demo import DEMO_USER_EMAIL
from routescope.demo.failures import REFUNDED_WITHIN
from routescope.demo.media import LONGEST, orders
from routescope.demo.people import demo_gateway, make_cast
from routescope.demo.shares import Tally, cores, store_in_two
from routescope.demo.tasks import store_tasks
from routescope.demo.traffic import Traffic, adjustments, ended, scale_for, welcome

BATCH = 4_000
_WORTH_A_PROCESS = 20_000
"""From so many records on, a second process is worth its start."""
_GAP = 5 * MINUTE
"""Shorter than this, a pause in the demo's traffic is no gap."""
_OVERLAP = HOUR
"""How far before the newest record to resume: a call is stored when it has ended, not when it began."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did: records stored, here already or refused, tasks stored, and the time it covered.

    ``start`` is None where there was nothing to do.
    """

    records: Tally
    tasks: int
    start: datetime | None
    until: datetime


def load(records: int, days: int, now: datetime) -> Loaded:
    """Load the demo up to ``now``: all of it, or what came since it was last loaded, or nothing.

    The whole history is some ``records`` records over ``days`` days. Where it is already here, only the gap
    between its newest record and ``now`` is filled, if there is one. A load that was interrupted is done
    again; what it stored are duplicates. Raises OperationalError if the database cannot be reached.
    """
    gateway = demo_gateway()
    if gateway is None:
        gateway = make_cast(now)
    end = gateway.created_at
    start = begin = floor(end - days * DAY, HOUR)
    # Stored last, it tells that everything before it was stored.
    last = welcome(end)
    complete = UsageRecord.objects.identified_by(last.request_id).filter(gateway=gateway).exists()
    if complete:
        newest = _newest(gateway)
        if newest > now - _GAP:
            return Loaded(Tally(), 0, None, now)
        start = newest - _OVERLAP
    traffic = Traffic(begin, end, scale_for(records, begin, end))
    tasks = store_tasks(gateway, list(orders(traffic, start - LONGEST, now)), now)
    if records * ((now - start) / DAY) / days > _WORTH_A_PROCESS and cores() > 1:
        tally = store_in_two(gateway, traffic, start, now)
    else:
        tally = store_days(gateway, traffic, start, now)
    if not complete:
        tally = tally.plus(_store(gateway, [last]))
    return Loaded(tally, tasks, start, now)


def store_days(
    gateway: Gateway, traffic: Traffic, start: datetime, until: datetime, *, share: int = 0, of: int = 1
) -> Tally:
    """Store what begins from ``start`` on and has ended by ``until``, a UTC day at a time, oldest first.

    ``share`` says which days: every ``of``-th one.
    """
    tally = Tally()
    for day in records_by_day(traffic, start, until, share=share, of=of):
        for first in range(0, len(day), BATCH):
            tally = tally.plus(_store(gateway, day[first : first + BATCH]))
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


def _store(gateway: Gateway, events: list[UsageEvent]) -> Tally:
    with room.for_records():
        outcome = batches.store(gateway, Batch(events=list(enumerate(events)), rejected=[]))
    return Tally(outcome.accepted, outcome.duplicates, len(outcome.rejected))


def _newest(gateway: Gateway) -> datetime:
    """Return the time of the demo user's newest record of this gateway: its traffic never rests for long."""
    user = User.objects.get(identities__gateway=gateway, identities__name=DEMO_USER_EMAIL)
    rows = UsageRecord.objects.visible_to(user).filter(gateway=gateway).order_by("-id")
    newest: datetime = rows.values_list("created_at", flat=True)[0]
    return newest


def _others(traffic: Traffic, start: datetime, until: datetime) -> list[UsageEvent]:
    """Return the records that are no calls of a workload: tasks, their refunds, and adjustments."""
    placed = orders(traffic, start - LONGEST, until)
    events = [*adjustments(traffic.end), *(event for order in placed for event in order.records())]
    return sorted((event for event in events if _within(event, start, until)), key=attrgetter("created_at"))


def _within(event: UsageEvent, start: datetime, until: datetime) -> bool:
    return start <= event.created_at and ended(event) <= until
