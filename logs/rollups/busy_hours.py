"""Busy hours that are over, counted once for the chart: requests, tokens and the busiest minutes of each.

A heavy user's month has a million records, whose minutes take long to count every time; an hour with few
records is counted from them as fast as it would be looked up. So only hours with many are kept, each with
what the most common filters leave of it (`logs.rollups.traffic_slices`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, Sum
from django.utils import timezone

from logs.models import Slices, TrafficHour, UsageHour, UsageRecord, UsageTotalHour
from logs.rollups import minute_sums, pending, traffic, traffic_slices
from logs.rollups.kept_hours import EVERYONE
from logs.selection.chosen import Selection
from routescope.data.partitions import Month
from routescope.data.ranges import HOUR, MINUTE, TimeRange, floor

BUSY = 100
"""Records of a user in an hour from which on it is kept."""
SETTLED = timedelta(minutes=5)
"""How long after its end an hour is counted: by then gateways have sent what they had."""
RECENT = timedelta(hours=26)

_AT_ONCE = 24
"""Hours counted in one transaction, during which nothing can be folded."""


def count(now: datetime | None = None, *, everything: bool = False) -> int:
    """Count the busy hours of the last day, or of all time, that are not counted yet or are stale.

    Everybody's are counted once all of their minutes are (`logs.rollups.minute_sums`).

    Returns how many. May be run at any time, and broken off.
    """
    # What waited while an hour is counted would make it stale.
    pending.fold()
    end = floor((now or timezone.now()) - SETTLED, HOUR)
    # Sums outlive their records: older hours have nothing to be counted from.
    oldest = Month.of(end).plus(-settings.RECORD_RETENTION_MONTHS).start
    hours = UsageHour.objects.filter(start__gte=oldest, start__lt=end)
    kept = TrafficHour.objects.filter(start__lt=end)
    stale = set(kept.filter(Q(is_stale=True) | Q(slices=Slices.UNCOUNTED)).values_list("user_id", "start"))
    if not everything:
        hours, kept = hours.filter(start__gte=end - RECENT), kept.filter(start__gte=end - RECENT)
    busy = hours.values("user_id", "start").annotate(volume=Sum("records")).filter(volume__gte=BUSY)
    wanted = set(busy.order_by().values_list("user_id", "start"))
    if minute_sums.is_filling():
        stale = {one for one in stale if one[0] != EVERYONE}
    else:
        totals = UsageTotalHour.objects.filter(start__gte=oldest, start__lt=end)
        if not everything:
            totals = totals.filter(start__gte=end - RECENT)
        volumes = totals.values("start").annotate(volume=Sum("records")).filter(volume__gte=BUSY)
        wanted |= {(EVERYONE, start) for start in volumes.order_by().values_list("start", flat=True)}
    wanted = wanted - set(kept.values_list("user_id", "start")) | stale
    by_user: dict[int, list[datetime]] = {}
    for user_id, start in sorted(wanted):
        by_user.setdefault(user_id, []).append(start)
    for user_id, starts in by_user.items():
        for stretch in _stretches(starts):
            _count(user_id, stretch)
    return len(wanted)


def _stretches(starts: Iterable[datetime]) -> Iterator[TimeRange]:
    """Yield hours that follow each other as one range, up to a bound."""
    first: datetime | None = None
    end: datetime | None = None
    for start in starts:
        if first is not None and end is not None and (start != end or end - first >= _AT_ONCE * HOUR):
            yield TimeRange(first, end)
            first = None
        first, end = first or start, start + HOUR
    if first is not None:
        yield TimeRange(first, end)


def _count(user_id: int, stretch: TimeRange) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Taken before the records are read: what arrives from now on is folded in after this is
            # committed, and makes it stale.
            pending.hold(cursor)
        if stretch.start is None or stretch.end is None:
            raise ValueError("Hours have both ends.")
        if user_id == EVERYONE:
            hours = traffic.counted_of_everyone(stretch, HOUR)
        else:
            records = UsageRecord.objects.filter(user_id=user_id)
            hours = traffic.counted(records, Selection(), [stretch], HOUR, stretch.start)
        TrafficHour.objects.filter(user_id=user_id, start__gte=stretch.start, start__lt=stretch.end).delete()
        TrafficHour.objects.bulk_create(
            TrafficHour(
                user_id=user_id,
                start=hour.start,
                requests=hour.requests,
                errors=hour.errors,
                rate_limited=hour.rate_limited,
                tokens=hour.tokens,
                peak_rpm=hour.peak_rpm.value,
                peak_rpm_minute=(hour.peak_rpm.at - hour.start) // MINUTE,
                peak_tpm=hour.peak_tpm.value,
                peak_tpm_minute=(hour.peak_tpm.at - hour.start) // MINUTE,
                is_stale=False,
            )
            for hour in hours
        )
        traffic_slices.count(user_id, stretch, is_everyone=user_id == EVERYONE)
