"""Sums over all users, for admins: from the user-less rollups alone, never from raw records.

They know the model, the group, the type, the status and the cause, in whole UTC hours and days. Not the
token: a token belongs to one user, whose own sums (``logs.rollups.own_sums``) answer for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q, Sum

from logs.models import ADJUSTMENTS, CALLS, FAILED, REFUNDS, UsageTotalDay, UsageTotalHour
from logs.rollups.own_sums import Totals
from logs.selection.chosen import Selection
from routescope.data.ranges import DAY, HOUR, TimeRange, cover, floor

READ_AT_MOST = 200_000
"""Raw records that the search for one page of a rare value may read; the page after it goes on from there."""

_SUMS = {
    "sum_records": Sum("records", default=0),
    "sum_requests": Sum("records", filter=CALLS, default=0),
    "sum_errors": Sum("records", filter=CALLS & FAILED, default=0),
    "sum_unpriced": Sum("unpriced", default=0),
    "sum_input_tokens": Sum("input_tokens", default=0),
    "sum_output_tokens": Sum("output_tokens", default=0),
    "sum_cached_tokens": Sum("cached_tokens", default=0),
    "sum_cost": Sum("cost", default=Decimal(0)),
    "sum_refunds": Sum("cost", filter=REFUNDS, default=Decimal(0)),
    "sum_refund_records": Sum("records", filter=REFUNDS, default=0),
    "sum_adjustments": Sum("cost", filter=ADJUSTMENTS, default=Decimal(0)),
    "sum_adjustment_records": Sum("records", filter=ADJUSTMENTS, default=0),
}


def totals(selection: Selection) -> Totals:
    """Return the sums of everybody's records in a selection of whole hours: at most two queries.

    Raises ValueError for a range that cuts into an hour, for tokens and for bounds: no rollup knows these.
    """
    parts = cover(selection.chosen)
    if parts.raw or selection.tokens or selection.needs_records:
        raise ValueError("Sums over all users are by whole UTC hours, and not by token or bounds.")
    found = Totals(0, 0, 0, 0, 0, 0, 0, Decimal(0), Decimal(0))
    for rollup, stretches in ((UsageTotalDay, parts.days), (UsageTotalHour, parts.hours)):
        if stretches:
            rows = rollup.objects.filter(_starts_in(stretches), selection.dimensions)
            found = _add(found, rows.aggregate(**_SUMS))
    return found


def _add(first: Totals, sums: dict[str, Any]) -> Totals:
    return Totals(**{name: value + sums[f"sum_{name}"] for name, value in asdict(first).items()})


@dataclass(frozen=True, slots=True)
class Stretches:
    """Where to read raw records: disjoint ranges, nearest first.

    ``reached`` is where the search stopped before it had found enough; None where it did not.
    """

    ranges: list[TimeRange]
    reached: datetime | None


def hours_holding(selection: Selection, *, newest_first: bool, limit: int) -> Stretches:
    """Return the hours that hold the first ``limit`` records of a selection, from one end of its range.

    The rollups are the index of where a rare model or group occurs: days first, then the hours of those days.
    Together the hours hold at most `READ_AT_MOST` records of whichever kind, or are one hour.
    """
    chosen = selection.chosen
    hours = _holding(UsageTotalDay, DAY, chosen, selection.dimensions, newest_first, limit)
    if hours:
        within = TimeRange(min(hours), max(hours) + DAY).clipped(chosen)
        candidates = [day + number * HOUR for day in hours for number in range(24)]
        dimensions = selection.dimensions & Q(start__in=candidates)
        hours = _holding(UsageTotalHour, HOUR, within, dimensions, newest_first, limit)
    volume = dict(
        UsageTotalHour.objects.filter(start__in=hours)
        .values_list("start")
        .annotate(volume=Sum("records"))
        .order_by()
    )
    ranges: list[TimeRange] = []
    read = 0
    for start in hours:
        if ranges and read + volume[start] > READ_AT_MOST:
            last = ranges[-1]
            return Stretches(ranges, last.start if newest_first else last.end)
        read += volume[start]
        ranges.append(TimeRange(start, start + HOUR).clipped(chosen))
    return Stretches(ranges, None)


def _holding(
    rollup: type[UsageTotalDay | UsageTotalHour],
    unit: timedelta,
    chosen: TimeRange,
    dimensions: Q,
    newest_first: bool,
    limit: int,
) -> list[datetime]:
    """Return the periods in a range that hold the first ``limit`` matches."""
    rows = rollup.objects.filter(dimensions)
    if chosen.start is not None:
        rows = rows.filter(start__gte=floor(chosen.start, unit))
    if chosen.end is not None:
        rows = rows.filter(start__lt=chosen.end)
    order = "-start" if newest_first else "start"
    # The first and the last may lie partly outside the range; every other holds at least one match.
    periods = (
        rows.values_list("start")
        .annotate(matches=Sum("records"))
        .filter(matches__gt=0)
        .order_by(order)[: limit + 2]
    )
    found: list[datetime] = []
    matches = 0
    for start, held in periods:
        found.append(start)
        if len(found) > 1:
            matches += held
        if matches >= limit:
            break
    return found


def _starts_in(stretches: Iterable[TimeRange]) -> Q:
    condition = Q()
    for stretch in stretches:
        condition |= Q(start__gte=stretch.start, start__lt=stretch.end)
    return condition
