"""Filters that no rollup knows (thresholds, stream …): looked for among a bounded number of records.

Whether a record meets them only the record itself can tell, so it is read. A page reads the newest
`MOST_RECORDS` that the other filters leave, says so, and goes on from there when somebody asks. List, header,
chart and breakdown are made from the same records: `newest` fixes which these are, and `table` reads them.

1. Without other filters the records are found by their place in the index: the newest of the range.
2. With others the rollups name the hours that hold any (days first, then their hours). The index of these
   hours alone, which includes the columns of the other filters, tells which records they are.

Every bound here holds whatever the range, the filters and the number of records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet, Sum

from logs.models import UsageDay, UsageHour
from logs.models.querysets import Key
from logs.selection import by_marks, conditions, periods
from logs.selection.chosen import IdSpan, Looked, Selection
from logs.selection.spans import ahead_of, beyond, clipped, cut, far_end, in_spans, moments, nth, order_of
from routescope.data.ids import first_id
from routescope.data.keyset import Cursor
from routescope.data.ranges import DAY, HOUR, TimeRange, floor
from routescope.data.scopes import Scope

MOST_RECORDS = 20_000
"""Records that one page looks at. Warm, so many take some 20 ms. Cold, each may be a read of its own: some
2 s from a disk that answers in 0.1 ms, which leaves a page well within its 5 s."""
MOST_ENTRIES = 100_000
"""Entries of the index that are walked to find them, where other filters leave few."""
MOST_SPANS = 200
"""Stretches of the index that are opened for it."""
MOST_DAYS = 100
_EMPTY_LOOKS = 10


def newest(scope: Scope, selection: Selection, most: int | None = None) -> Selection:
    """Return a selection with what its sums, chart and list are made from: the newest records of its range.

    A selection that rollups answer, or that was looked at already, comes back as it is. With ``most`` it is
    looked at in any case, at so many: for what only records can tell although no filter asks.
    """
    if selection.looked is not None or not (selection.needs_records or most):
        return selection
    return replace(selection, looked=look(scope, selection, most=most))


def look(scope: Scope, selection: Selection, cursor: Cursor | None = None, most: int | None = None) -> Looked:
    """Return where to look for a selection's records from a cursor on: at `MOST_RECORDS`, or ``most``."""
    cursor = cursor or Cursor()
    most = most or MOST_RECORDS
    within = ahead_of(selection.chosen, cursor)
    newest_first = cursor.newer is None
    steady()
    if within.first >= within.last:
        return Looked(())
    if selection.marks:
        return by_marks.look(scope, selection, within, newest_first, most)
    if not selection.chosen_values:
        found = nth(scope, selection, within, newest_first, most)
        if found is None:
            return Looked((within,), is_dense=True)
        edge, seen = found
        return Looked((cut(within, edge, newest_first),), seen, edge, is_dense=True)
    for _ in range(_EMPTY_LOOKS):
        looked = _among_others(scope, selection, within, newest_first, most)
        if looked.records or looked.reached is None:
            break
        # Sums outlive their records: these hours hold none any more.
        within = beyond(within, looked.reached, newest_first)
    return looked


def steps(scope: Scope, selection: Selection, cursor: Cursor) -> Iterator[Looked]:
    """Yield one look after the other from a cursor on, until the whole range was looked at: for work in the
    background that must see it all.
    """
    while True:
        looked = look(scope, selection, cursor)
        yield looked
        if looked.reached is None:
            return
        cursor = Cursor(newer=looked.reached) if cursor.newer else Cursor(older=looked.reached)


def within_reach(scope: Scope, start: datetime, end: datetime, most: int) -> datetime:
    """Return from when on, in a range, the user has at most ``most`` records, told by the rollups.

    ``start`` where all of it has no more, or else the beginning of a UTC hour: of the last one at the latest.
    """
    begins, left = _reached(scope, UsageDay, start, end, most)
    if begins is None:
        return start
    hour, _ = _reached(scope, UsageHour, max(start, begins), min(end, begins + DAY), left)
    kept = begins if hour is None else hour + HOUR
    return max(start, min(kept, floor(end - timedelta(microseconds=1), HOUR)))


def _reached(
    scope: Scope, rollup: type[UsageDay | UsageHour], start: datetime, end: datetime, most: int
) -> tuple[datetime | None, int]:
    """Return the first period, newest first, that holds too much, and how much was left before it."""
    unit = DAY if rollup is UsageDay else HOUR
    rows = _sums(scope, rollup).filter(start__gte=floor(start, unit), start__lt=end)
    volumes = rows.values("start").annotate(volume=Sum("records")).order_by("-start")
    for begins, volume in volumes.values_list("start", "volume"):
        if volume > most:
            return begins, most
        most -= volume
    return None, most


def keys(scope: Scope, selection: Selection, looked: Looked, *, newest_first: bool, limit: int) -> list[Key]:
    """Return users and ids of the nearest ``limit`` records, of those looked at, that meet all filters."""
    try:
        sql, values = table(scope, selection, looked, ("user_id", "id"), nearest=(newest_first, limit))
    except EmptyResultSet:
        return []
    with connection.cursor() as database:
        database.execute(
            f"SELECT user_id, id FROM ({sql}) AS found ORDER BY id {order_of(newest_first)} LIMIT %s",  # noqa: S608
            [*values, limit],
        )
        return list(database.fetchall())


def table(
    scope: Scope,
    selection: Selection,
    looked: Looked,
    columns: Sequence[str],
    *,
    nearest: tuple[bool, int] | None = None,
) -> conditions.Sql:
    """Return the query, and its values, of the records that meet all filters among those looked at.

    With ``nearest`` (newest first or not, how many) each span yields no more than so many. Raises
    EmptyResultSet where no record can meet them: a threshold beyond what its column holds.

    Lateral on purpose, and fenced by OFFSET: as one condition on the table the planner may take the spans for
    a filter and walk all that lies between them, or scan a partition to join it to them.
    """
    if not looked.spans:
        raise EmptyResultSet
    led_by = looked.led_by
    # What leads to them is not asked again.
    asked = replace(selection, marks=tuple(one for one in selection.marks if one != led_by))
    bounds, bound_values = conditions.bounds(asked.told_by_records)
    others, other_values = conditions.dimensions(selection, "usage_record.")
    read = ", ".join(columns)
    shown = ", ".join(f"matching.{column}" for column in columns)
    fence = "OFFSET 0"
    limits: list[Any] = []
    if led_by:
        meant, marks = by_marks.source(scope, looked, nearest and nearest[0])
        # One by one in their order, so that no more are read than are wanted.
        end = "" if nearest is None else f" ORDER BY meant.id {order_of(nearest[0])} LIMIT %s"
        return (
            f"SELECT {shown} FROM ({meant}) AS meant CROSS JOIN LATERAL (SELECT {read} FROM usage_record"  # noqa: S608
            " WHERE usage_record.user_id = meant.user_id AND usage_record.id = meant.id"
            f"{others} AND ({bounds}) OFFSET 0) AS matching{end}",
            [*marks, *other_values, *bound_values, *([nearest[1]] if nearest else [])],
        )
    if nearest is not None:
        fence = f"ORDER BY id {order_of(nearest[0])} LIMIT %s"
        limits = [nearest[1]]
    there = in_spans(scope, looked.spans)
    source, here, spans = f"{there.source} CROSS JOIN LATERAL", there.condition, there.values
    if looked.is_dense or scope.is_everyone:
        return (
            f"SELECT {shown} FROM {source} (SELECT {read} FROM usage_record"  # noqa: S608
            f" WHERE {here}{others} AND ({bounds}) {fence}) AS matching",
            [*spans, *other_values, *bound_values, *limits],
        )
    # Few of these hours' records are meant: their ids from the index alone, then their rows.
    inner = f"SELECT usage_record.id FROM usage_record WHERE {here}{others} OFFSET 0"  # noqa: S608
    return (
        f"SELECT {shown} FROM {source} ({inner}) AS meant"  # noqa: S608
        f" CROSS JOIN LATERAL (SELECT {read} FROM usage_record WHERE usage_record.user_id = owner.id"
        f" AND usage_record.id = meant.id AND ({bounds}) OFFSET 0) AS matching",
        [*spans, *other_values, *bound_values],
    )


# --- How far ---------------------------------------------------------------------------------------------


def _among_others(
    scope: Scope, selection: Selection, within: IdSpan, newest_first: bool, most: int
) -> Looked:
    """Look where other filters leave a part of the records."""
    spans, entries, reached = _holding(scope, selection, within, newest_first, most)
    if entries > MOST_ENTRIES and len(spans) == 1:
        # One hour that holds more than may be walked: the nearest part of it.
        found = nth(scope, Selection(), spans[0], newest_first, MOST_ENTRIES)
        if found is not None:
            spans, reached = [cut(spans[0], found[0], newest_first)], found[0]
    is_dense = entries <= 3 * most
    seen = 0
    for number, held in enumerate(_counts(scope, selection, spans)):
        left = most - seen
        if held > left:
            near = spans[:number]
            found = nth(scope, selection, spans[number], newest_first, left) if left else None
            if found is None:
                return Looked(tuple(near), seen, far_end(near[-1], within, newest_first), is_dense)
            near.append(cut(spans[number], found[0], newest_first))
            return Looked(tuple(near), seen + found[1], found[0], is_dense)
        seen += held
    return Looked(tuple(spans), seen, reached, is_dense)


def _holding(
    scope: Scope, selection: Selection, within: IdSpan, newest_first: bool, most: int
) -> tuple[list[IdSpan], int, UUID | None]:
    """Return the hours that hold what the other filters leave, nearest first, up to ``most`` of it.

    With them: how many entries of the index they have, and the id that the search reached where it stopped
    before the end of the range.
    """
    days = _periods(UsageDay, scope, selection, moments(within), newest_first, MOST_DAYS + 1)
    taken: list[datetime] = []
    held_before = 0
    for start, held, _ in days[:MOST_DAYS]:
        # The first day may lie mostly behind the cursor: it counts for nothing.
        if held_before > most:
            break
        held_before += held if taken else 0
        taken.append(start)
    reached = None
    if len(taken) < len(days):
        reached = far_end(IdSpan(first_id(taken[-1]), first_id(taken[-1] + DAY)), within, newest_first)
    spans: list[IdSpan] = []
    entries = 0
    hours = _periods(UsageHour, scope, selection, moments(within), newest_first, len(taken) * 24, taken)
    for start, _, volume in hours:
        span = clipped(IdSpan(first_id(start), first_id(start + HOUR)), within)
        if span.first >= span.last:
            continue
        if spans and (entries + volume > MOST_ENTRIES or len(spans) >= MOST_SPANS):
            return spans, entries, far_end(spans[-1], within, newest_first)
        entries += volume
        if spans and spans[-1].first == span.last:
            spans[-1] = IdSpan(span.first, spans[-1].last)
        elif spans and spans[-1].last == span.first:
            spans[-1] = IdSpan(spans[-1].first, span.last)
        else:
            spans.append(span)
    return spans, entries, reached


def _periods(
    rollup: type[UsageDay | UsageHour],
    scope: Scope,
    selection: Selection,
    within: TimeRange,
    newest_first: bool,
    most: int,
    days: Sequence[datetime] | None = None,
) -> list[tuple[datetime, int, int]]:
    """Return the periods in which the other filters leave something: start, how much, and the volume in all.

    They are at most so many, nearest first, and hours of certain ``days`` alone.
    """
    if days is not None and not days:
        return []
    unit = DAY if rollup is UsageDay else HOUR
    rows = _sums(scope, rollup).all()
    if within.start is not None:
        rows = rows.filter(start__gte=floor(within.start, unit))
    if within.end is not None:
        rows = rows.filter(start__lte=within.end)
    if days:
        hours = [day + number * HOUR for day in days for number in range(24)]
        rows = rows.filter(start__gte=min(days), start__lt=max(days) + DAY, start__in=hours)
    sums = rows.values("start").annotate(
        held=Sum("records", filter=selection.dimensions), volume=Sum("records")
    )
    order = "-start" if newest_first else "start"
    return list(sums.filter(held__gt=0).order_by(order).values_list("start", "held", "volume")[:most])


def _counts(scope: Scope, selection: Selection, spans: Sequence[IdSpan]) -> list[int]:
    """Return how many records the other filters leave in each span, from the index alone."""
    if not spans:
        return []
    others, values = conditions.dimensions(selection, "usage_record.")
    there = in_spans(scope, spans)
    with connection.cursor() as database:
        database.execute(
            f"SELECT span.number, sum(counted.held)::bigint FROM {there.source}"  # noqa: S608
            " CROSS JOIN LATERAL (SELECT count(*) AS held FROM usage_record"
            f" WHERE {there.condition}{others}) AS counted"
            " GROUP BY span.number ORDER BY span.number",
            [*there.values, *values],
        )
        return [row[1] for row in database.fetchall()]


def _sums(scope: Scope, rollup: type[UsageDay | UsageHour]) -> QuerySet[Any]:
    return periods.days(scope) if rollup is UsageDay else periods.hours(scope)


def steady() -> None:
    """Plan the transaction's queries for what they are: short, bounded, and sent by many at once."""
    with connection.cursor() as database:
        database.execute(
            "SELECT set_config('jit', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)"
        )
