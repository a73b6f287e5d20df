"""Six hours, and weeks, of kept latencies, added up: a busy month is read from a third of the periods.

A longer period is the sum of the shorter ones that make it, where all of these are kept and hold; where one
is not, there is no longer one, and the shorter ones are read (`logs.rollups.kept_latencies`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

from django.db import connection, transaction

from logs.models import Latencies, LatencyPart, PeriodUnit
from logs.rollups import pending, sketches
from logs.rollups.latency_periods import BLOCKS, EVERYONE, EVERYONE_BY, LENGTHS, start_of
from logs.rollups.sketches import Measure
from routescope.data.ranges import DAY

_MOST_AT_ONCE = 100
"""Users whose blocks are added up in one transaction, which holds the lock of folding."""
_CODES = " UNION ALL ".join(
    f"SELECT {number}, unnest({measure.column})" for number, measure in enumerate(Measure)
)
_ADD = (
    (Path(__file__).parent / "sql" / "latency_blocks.sql")
    .read_text()
    .format(
        bucket=sketches.BUCKET_OF,
        count=sketches.COUNT_OF,
        codes=_CODES,
        sketches=sketches.OF_ALL,
        parts=sketches.PARTS,
    )
)
_COMPLETE = """
SELECT user_id FROM usage_latency
WHERE unit = %(of)s AND NOT is_stale AND start >= %(start)s AND start < %(past)s
GROUP BY user_id HAVING count(*) = %(parts)s
EXCEPT
SELECT user_id FROM usage_latency WHERE unit = %(unit)s AND NOT is_stale AND start = %(start)s
ORDER BY user_id
"""


def add_up(days: Iterable[datetime], until: float) -> int:
    """Add up what has become complete, or stale, of the blocks that touch some UTC days, until that time of
    the monotonic clock, in seconds. Returns how many.
    """
    days = list(days)
    added = 0
    for unit in BLOCKS:
        length = min(LENGTHS[unit], DAY)
        starts = {start_of(unit, day + number * length) for day in days for number in range(DAY // length)}
        for start in sorted(starts, reverse=True):
            if monotonic() > until:
                return added
            added += _add_up(unit, start)
    return added


def _add_up(unit: PeriodUnit, start: datetime) -> int:
    of = BLOCKS[unit]
    past = start + LENGTHS[unit]
    meant: dict[str, Any] = {"unit": unit.value, "of": of.value, "start": start, "past": past}
    with connection.cursor() as cursor:
        cursor.execute(_COMPLETE, {**meant, "parts": LENGTHS[unit] // LENGTHS[of]})
        complete = [user_id for (user_id,) in cursor.fetchall()]
    for first in range(0, len(complete), _MOST_AT_ONCE):
        users = complete[first : first + _MOST_AT_ONCE]
        with transaction.atomic(), connection.cursor() as cursor:
            # What is folded in from now on makes stale what is written here.
            pending.hold(cursor)
            cursor.execute(_COMPLETE, {**meant, "parts": LENGTHS[unit] // LENGTHS[of]})
            still = {user_id for (user_id,) in cursor.fetchall()}
            users = [user_id for user_id in users if user_id in still]
            owners = [*users, *(EVERYONE_BY.values() if EVERYONE in users else ())]
            for kept, whose in ((Latencies, users), (LatencyPart, owners)):
                kept.objects.filter(user_id__in=whose, unit=unit, start=start).delete()
            cursor.execute(_ADD, {**meant, "users": users, "owners": owners})
    return len(complete)
