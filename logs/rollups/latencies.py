"""How long the calls of hours and days took, counted once when these are over: for percentiles.

A user's month has up to a million calls, whose times are in no index. So periods with many calls are kept as
sketches (`logs.rollups.sketches`), counted from the records like the chart's busy hours; what is not kept, a
period with few calls or one that is not over, is read from its records (`logs.rollups.percentiles`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from logs.models import (
    REQUEST_TYPES,
    Latencies,
    LatencyPart,
    PeriodUnit,
    UsageDay,
    UsageHour,
    UsageTotalDay,
    UsageTotalHour,
)
from logs.rollups import latency_blocks, pending, sketches
from logs.rollups.latency_periods import EVERYONE, EVERYONE_BY, LENGTHS
from logs.rollups.sketches import Measure
from routescope.data.ids import first_id
from routescope.data.partitions import Month
from routescope.data.ranges import DAY, HOUR, TimeRange, floor

BUSY = 100
"""Records of a user in a period from which on it is kept."""
SETTLED = timedelta(minutes=5)
"""How long after its end a period is counted: by then gateways have sent what they had."""
RECENT = timedelta(days=3)
"""Late records come within this time. What comes later waits for the night."""

_Period = tuple[int, datetime]
"""A user, and the start of a period."""

_MEASURES = ", ".join(f"({number}, {measure.sql})" for number, measure in enumerate(Measure))
_SKETCH = (
    (Path(__file__).parent / "sql" / "sketch.sql")
    .read_text()
    .format(
        bucket=sketches.bucket_sql("value"),
        measures=_MEASURES,
        sketches=sketches.OF_ALL,
        parts=sketches.PARTS,
        speed=list(Measure).index(Measure.SPEED),
    )
)


def count(most: timedelta, now: datetime | None = None, *, everything: bool = False) -> int:
    """Count the periods that are not counted yet or are stale, the newest first, until that time is over, and
    add up the longer ones that they make.

    Of the last days, or of all time that has records. Returns how many. May be run at any time, and broken
    off: an hour, or a day, is one transaction.
    """
    until = monotonic() + most.total_seconds()
    # What waited while a period is counted would make it stale.
    pending.fold()
    end = floor((now or timezone.now()) - SETTLED, HOUR)
    # Where nothing was ever counted, all is to be.
    everything = everything or not Latencies.objects.exists()
    counted = 0
    days = _days(end, everything=everything)
    for day in days:
        for unit, stretch, users in _wanted(day, end):
            if monotonic() > until:
                return counted
            _count(unit, stretch, users)
            counted += len(users)
    return counted + latency_blocks.add_up(days, until)


def _days(end: datetime, *, everything: bool) -> list[datetime]:
    """Return the UTC days that have records, the newest first."""
    oldest = Month.of(end).plus(-settings.RECORD_RETENTION_MONTHS).start
    first = oldest if everything else max(oldest, floor(end - RECENT, DAY))
    days = UsageTotalDay.objects.filter(start__gte=first, start__lt=end)
    found = set(days.values_list("start", flat=True).distinct())
    # Late records of a day long past are told by what became stale.
    stale = Latencies.objects.filter(is_stale=True, start__gte=oldest, start__lt=end)
    found |= {floor(start, DAY) for start in stale.values_list("start", flat=True).distinct()}
    return sorted(found, reverse=True)


def _wanted(day: datetime, end: datetime) -> Iterator[tuple[PeriodUnit, TimeRange, list[int]]]:
    """Yield the periods of a day that are over, by now, and the users of whom they are to be counted."""
    for unit, own, everyones in (
        (PeriodUnit.HOUR, UsageHour, UsageTotalHour),
        (PeriodUnit.DAY, UsageDay, UsageTotalDay),
    ):
        length = LENGTHS[unit]
        within = {"start__gte": day, "start__lt": day + DAY, "start__lte": end - length}
        volumes = own.objects.filter(**within).values("user_id", "start").annotate(volume=Sum("records"))
        busy = set(volumes.filter(volume__gte=BUSY).order_by().values_list("user_id", "start"))
        totals = everyones.objects.filter(**within).values("start").annotate(volume=Sum("records"))
        of_all = totals.filter(volume__gte=BUSY).order_by().values_list("start", flat=True)
        busy |= {(EVERYONE, start) for start in of_all}
        kept = Latencies.objects.filter(unit=unit, **within)
        known = set(kept.values_list("user_id", "start"))
        stale = set(kept.filter(is_stale=True).values_list("user_id", "start"))
        by_start: dict[datetime, list[int]] = {}
        for user_id, start in busy - known | stale:
            by_start.setdefault(start, []).append(user_id)
        for start, users in sorted(by_start.items(), reverse=True):
            yield unit, TimeRange(start, start + length), sorted(users)


def _count(unit: PeriodUnit, stretch: TimeRange, users: list[int]) -> None:
    if stretch.start is None or stretch.end is None:
        raise ValueError("Periods have both ends.")
    with transaction.atomic(), connection.cursor() as cursor:
        # Before the records are read: what arrives from now on is folded in after this is committed, and
        # makes it stale.
        pending.hold(cursor)
        divided = EVERYONE_BY.values() if EVERYONE in users else ()
        for kept, owners in ((Latencies, users), (LatencyPart, [*users, *divided])):
            kept.objects.filter(user_id__in=owners, unit=unit, start=stretch.start).delete()
        cursor.execute(
            _SKETCH,
            {
                "users": users,
                "starts": [stretch.start] * len(users),
                "unit": unit.name.lower(),
                "number": unit.value,
                "begin": stretch.start,
                "end": stretch.end,
                "first": first_id(stretch.start),
                "last": first_id(stretch.end),
                "calls": [kind.value for kind in REQUEST_TYPES],
            },
        )
