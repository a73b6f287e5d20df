"""Loading the demo: 90 days of traffic up to now, through the same door as every gateway's records."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from accounts.models import Gateway, User
from logs import ingest
from logs.events import Batch, UsageEvent
from logs.models import UsageRecord
from routescope.demo import DEMO_USER_EMAIL
from routescope.demo.ahead import batches_ahead
from routescope.demo.failures import REFUNDED_WITHIN
from routescope.demo.media import LONGEST, orders
from routescope.demo.people import demo_gateway, make_cast
from routescope.demo.tasks import store_tasks
from routescope.demo.traffic import Traffic, adjustments, ended, scale_for
from routescope.ranges import DAY, HOUR, MINUTE, floor

BATCH = 4_000
_WORTH_A_PROCESS = 20_000
"""From so many records on, a second process that makes them is worth its start."""
_GAP = 5 * MINUTE
"""Shorter than this, a pause in the demo's traffic is no gap."""
_OVERLAP = HOUR
"""How far before the newest record to resume: a call is stored when it has ended, not when it began."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did: records stored, here already or refused, tasks stored, and the time it covered.

    ``start`` is None where there was nothing to do.
    """

    records: int
    duplicates: int
    rejected: int
    tasks: int
    start: datetime | None
    until: datetime


def load(records: int, days: int, now: datetime) -> Loaded:
    """Load the demo up to ``now``: all of it, or what came since it was last loaded, or nothing.

    The whole history is some ``records`` records over ``days`` days. Where it is already here, only the gap
    between its newest record and ``now`` is filled, if there is one; so is the rest of a load that was
    interrupted. Raises OperationalError if the database cannot be reached.
    """
    gateway = demo_gateway()
    if gateway is None:
        gateway = make_cast(now)
    end = gateway.created_at
    start = begin = floor(end - days * DAY, HOUR)
    newest = _newest(gateway)
    if newest is not None:
        if newest > now - _GAP:
            return Loaded(0, 0, 0, 0, None, now)
        start = max(start, newest - _OVERLAP)
    traffic = Traffic(begin, end, scale_for(records, begin, end))
    tasks = store_tasks(gateway, list(orders(traffic, start - LONGEST, now)), now)
    if records * ((now - start) / DAY) / days > _WORTH_A_PROCESS:
        coming = batches_ahead(traffic, start, now)
    else:
        coming = batches(traffic, start, now)
    accepted = duplicates = rejected = 0
    for batch in coming:
        outcome = ingest.store(gateway, Batch(events=list(enumerate(batch)), rejected=[]))
        accepted += outcome.accepted
        duplicates += outcome.duplicates
        rejected += len(outcome.rejected)
    return Loaded(accepted, duplicates, rejected, tasks, start, now)


def _newest(gateway: Gateway) -> datetime | None:
    """Return the time of the demo user's newest record of this gateway: its traffic never rests for long."""
    user = User.objects.get(identities__gateway=gateway, identities__name=DEMO_USER_EMAIL)
    rows = UsageRecord.objects.visible_to(user).filter(gateway=gateway).order_by("-id")
    newest: datetime | None = rows.values_list("created_at", flat=True).first()
    return newest


def batches(traffic: Traffic, start: datetime, until: datetime) -> Iterator[list[UsageEvent]]:
    """Yield the records that begin from ``start`` on and have ended by ``until``, oldest hour first."""
    others = deque(_others(traffic, start, until))
    batch: list[UsageEvent] = []
    # A refund is made with its call, which may lie in the hour before.
    hour = floor(start - REFUNDED_WITHIN, HOUR)
    while hour < until:
        batch += [event for event in traffic.hour(hour) if _within(event, start, until)]
        hour += HOUR
        while others and others[0].created_at < hour:
            batch.append(others.popleft())
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _others(traffic: Traffic, start: datetime, until: datetime) -> list[UsageEvent]:
    """Return the records that are no calls of a workload: tasks, their refunds, and adjustments."""
    placed = orders(traffic, start - LONGEST, until)
    events = [*adjustments(traffic.end), *(event for order in placed for event in order.records())]
    return sorted((event for event in events if _within(event, start, until)), key=attrgetter("created_at"))


def _within(event: UsageEvent, start: datetime, until: datetime) -> bool:
    return start <= event.created_at and ended(event) <= until
