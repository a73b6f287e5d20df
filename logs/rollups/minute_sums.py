"""Everybody's sums by minute, by what became of the records alone: few rows, however many users.

They come with the other sums (`logs.rollups.pending`), exact after every commit. Days of before they were
kept are counted from their records by a job, a day a transaction. Until then whoever asks for such a day is
told that its minutes are not known, and reads its records.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

from django.db import connection, transaction

from logs.models import CALLS, Cause, Status, UncountedDay, UsagePending, UsageTotalMinute
from logs.rollups import pending
from logs.selection.chosen import Selection
from logs.selection.conditions import Sql
from routescope.data.ids import first_id
from routescope.data.ranges import DAY, MINUTE, TimeRange, ceil, floor

_COUNT = (Path(__file__).parent / "sql" / "count_minutes.sql").read_text()
_KNOWN = frozenset(("type", "status", "cause"))
"""The dimensions by which minutes are kept."""


def knows(selection: Selection, by: Sequence[str] = ()) -> bool:
    """Say whether minutes tell what a selection chooses and what it is broken down by."""
    chosen = {column for column, _values in selection.chosen_values}
    return not selection.needs_records and chosen <= _KNOWN and _KNOWN.issuperset(by)


def split(stretches: Sequence[TimeRange]) -> tuple[list[TimeRange], list[TimeRange]]:
    """Split ranges with both ends into whole minutes that are counted, and what is left of them."""
    minutes: list[TimeRange] = []
    rest: list[TimeRange] = []
    for stretch in stretches:
        if stretch.start is None or stretch.end is None:
            raise ValueError("Minutes are of a range with both ends.")
        start, end = ceil(stretch.start, MINUTE), floor(stretch.end, MINUTE)
        if start >= end:
            rest.append(stretch)
            continue
        minutes.append(TimeRange(start, end))
        rest += [one for one in (TimeRange(stretch.start, start), TimeRange(end, stretch.end)) if one.length]
    if not minutes or not uncounted(minutes):
        return minutes, rest
    return [], list(stretches)


def uncounted(stretches: Sequence[TimeRange]) -> bool:
    """Say whether any day of these ranges has minutes that are not known."""
    starts = [stretch.start for stretch in stretches if stretch.start]
    ends = [stretch.end for stretch in stretches if stretch.end]
    first, end = floor(min(starts), DAY), max(ends)
    days = UncountedDay.objects.filter(start__gte=first, start__lt=end).values_list("start")
    waiting = UsagePending.objects.filter(has_minutes=False, start__gte=first, start__lt=end)
    return days.union(waiting.values_list("start")).exists()


def table(selection: Selection, stretches: Sequence[TimeRange]) -> Sql:
    """Return the query of the calls in each minute, and its values: as `logs.rollups.minutes` counts them."""
    times = " OR ".join(["(start >= %s AND start < %s)"] * len(stretches))
    calls = UsageTotalMinute.objects.filter(CALLS, selection.dimensions).query
    where, values = calls.get_compiler(connection=connection).compile(calls.where)
    return (
        "SELECT start AS minute, sum(records)::bigint AS requests,"  # noqa: S608
        " coalesce(sum(records) FILTER (WHERE status = %s), 0)::bigint AS errors,"
        " coalesce(sum(records) FILTER (WHERE cause = %s), 0)::bigint AS rate_limited,"
        " sum(input_tokens + output_tokens)::bigint AS tokens"
        f" FROM usage_total_minute WHERE ({times}) AND {where} GROUP BY start HAVING sum(records) > 0",
        [
            Status.ERROR.value,
            Cause.RATE_LIMIT.value,
            *(end for stretch in stretches for end in (stretch.start, stretch.end)),
            *values,
        ],
    )


def fill(most: timedelta) -> list[datetime]:
    """Count the minutes of days that have none, newest first, until that time is over; return which days.

    May be run at any time, and broken off: a day is one transaction.
    """
    until = monotonic() + most.total_seconds()
    done: list[datetime] = []
    for day in list(UncountedDay.objects.order_by("-pk")):
        if monotonic() > until:
            break
        _count(day)
        done.append(day.start)
    return done


def is_filling() -> bool:
    """Say whether days are left whose minutes are not counted."""
    return UncountedDay.objects.exists()


def _count(day: UncountedDay) -> None:
    end = day.start + DAY
    with transaction.atomic(), connection.cursor() as cursor:
        # Whoever folds adds to these rows.
        pending.hold(cursor)
        cursor.execute(
            "DELETE FROM usage_total_minute_folded WHERE start >= %s AND start < %s", [day.start, end]
        )
        cursor.execute(
            _COUNT, {"day": day.start, "end": end, "first": first_id(day.start), "last": first_id(end)}
        )
        UncountedDay.objects.filter(pk=day.pk).delete()
