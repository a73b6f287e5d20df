"""Loading the demo: 90 days of traffic up to now, through the same door as every gateway's records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from accounts.models import Gateway, User
from logs.models import UsageRecord
from routescope.data.ranges import DAY, HOUR, MINUTE, floor
from routescope.demo import DEMO_USER_EMAIL
from routescope.demo.days import Tally, store, store_days
from routescope.demo.media import LONGEST, orders
from routescope.demo.people import demo_gateway, make_cast
from routescope.demo.shares import cores, store_in_two
from routescope.demo.tasks import store_tasks
from routescope.demo.traffic import Traffic, scale_for, welcome

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
        tally = tally.plus(store(gateway, [last]))
    return Loaded(tally, tasks, start, now)


def _newest(gateway: Gateway) -> datetime:
    """Return the time of the demo user's newest record of this gateway: its traffic never rests for long."""
    user = User.objects.get(identities__gateway=gateway, identities__name=DEMO_USER_EMAIL)
    rows = UsageRecord.objects.visible_to(user).filter(gateway=gateway).order_by("-id")
    newest: datetime = rows.values_list("created_at", flat=True)[0]
    return newest
