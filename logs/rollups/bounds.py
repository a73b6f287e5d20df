"""What no record of a sum exceeds: cost, duration, tokens. It leads to the dearest and slowest calls.

Bounds come with the sums (`logs.rollups.pending`) and only ever grow: a record that costs less today, or is
gone, leaves a bound that is too high, and true. Sums of before there were bounds have the most that a record
may have, until a job has read their records, a day at a time.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from time import monotonic

from django.db import connection, transaction

from logs.models import UnboundedDay
from logs.rollups import pending
from routescope.data.ids import first_id
from routescope.data.ranges import DAY

_BOUND = (Path(__file__).parent / "sql" / "bound.sql").read_text()


def fill(most: timedelta) -> int:
    """Read the bounds of days that have none, newest first, until that time is over; return how many days.

    May be run at any time, and broken off: a day is one transaction.
    """
    days = list(UnboundedDay.objects.order_by("-pk"))
    if days:
        # What waits since before the bounds has none: it is then among the sums.
        pending.fold()
    until = monotonic() + most.total_seconds()
    done = 0
    for day in days:
        if monotonic() > until:
            break
        with transaction.atomic():
            with connection.cursor() as cursor:
                # Before the records are read: what is folded in from now on brings its bounds along.
                pending.hold(cursor)
                end = day.start + DAY
                cursor.execute(
                    _BOUND,
                    {"day": day.start, "end": end, "first": first_id(day.start), "last": first_id(end)},
                )
            day.delete()
        done += 1
    return done
