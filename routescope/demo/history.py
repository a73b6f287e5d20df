"""Loading the demo: 90 days of traffic up to now, through the same door as every gateway's records."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.models import Gateway, User
from logs import ingest
from logs.events import Batch, UsageEvent
from logs.models import UsageRecord
from routescope.demo import DEMO_USER_EMAIL
from routescope.demo.people import demo_gateway, make_cast
from routescope.demo.traffic import Traffic, adjustments, ended, scale_for
from routescope.ranges import DAY, HOUR, MINUTE, floor

BATCH = 4_000
_AHEAD = 2
"""Batches made ahead, in a thread, while PostgreSQL stores the one before."""
_GAP = 10 * MINUTE
"""Shorter than this, a pause in the demo's traffic is no gap."""
_OVERLAP = HOUR
"""How far before the newest record to resume: a call is stored when it has ended, not when it began."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did: records stored, records that were there, and the time it covered (None: nothing)."""

    records: int
    duplicates: int
    rejected: int
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
    start = end - days * DAY
    newest = _newest(gateway)
    if newest is not None:
        if newest > now - _GAP:
            return Loaded(0, 0, 0, None, now)
        start = max(start, newest - _OVERLAP)
    traffic = Traffic(end, scale_for(records, end, days))
    accepted = duplicates = rejected = 0
    for batch in _prefetched(_batches(traffic, end, start, now)):
        outcome = ingest.store(gateway, Batch(events=list(enumerate(batch)), rejected=[]))
        accepted += outcome.accepted
        duplicates += outcome.duplicates
        rejected += len(outcome.rejected)
    return Loaded(accepted, duplicates, rejected, start, now)


def _newest(gateway: Gateway) -> datetime | None:
    """Return the time of the demo user's newest record of this gateway: its traffic never rests for long."""
    user = User.objects.get(identities__gateway=gateway, identities__name=DEMO_USER_EMAIL)
    rows = UsageRecord.objects.visible_to(user).filter(gateway=gateway).order_by("-id")
    return rows.values_list("created_at", flat=True).first()


def _batches(traffic: Traffic, end: datetime, start: datetime, until: datetime) -> Iterator[list[UsageEvent]]:
    """Yield the records that begin from ``start`` on and have ended by ``until``, oldest hour first."""
    batch = [event for event in adjustments(end) if start <= event.created_at <= until]
    # Refunds lie a little after the call that they are made with.
    hour = floor(start - timedelta(minutes=15), HOUR)
    while hour < until:
        batch += [
            event for event in traffic.hour(hour) if start <= event.created_at and ended(event) <= until
        ]
        if len(batch) >= BATCH:
            yield batch
            batch = []
        hour += HOUR
    if batch:
        yield batch


def _prefetched(batches: Iterator[list[UsageEvent]]) -> Iterator[list[UsageEvent]]:
    """Yield from an iterator that runs in a thread, a little ahead."""
    following: Callable[[], list[UsageEvent] | None] = lambda: next(batches, None)  # noqa: E731
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: deque[Future[list[UsageEvent] | None]] = deque(pool.submit(following) for _ in range(_AHEAD))
        while (batch := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(following))
            yield batch
