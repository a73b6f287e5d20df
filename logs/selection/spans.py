"""Ranges of ids, and the records of a scope in them: found by each user's key, or by everybody's time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Sum

from logs.selection import conditions, periods
from logs.selection.chosen import IdSpan, Selection
from routescope.data.ids import MILLISECOND, first_id, moment_of
from routescope.data.keyset import Cursor
from routescope.data.ranges import DAY, TimeRange, floor
from routescope.data.scopes import Scope

ALL = IdSpan(UUID(int=0), UUID(int=2**128 - 1))
_FEW = 4
"""Users of whom each may be read as far as one would be."""
_MOST_DAYS = 400
_MOST_OF_A_MILLISECOND = 500
_LATEST = first_id(datetime(9000, 1, 1, tzinfo=UTC))


def nth(
    scope: Scope, selection: Selection, span: IdSpan, newest_first: bool, n: int
) -> tuple[UUID, int] | None:
    """Return the id of the n-th record of a span that the other filters leave, and how many are up to it.

    Of everybody's the id is the bound of a millisecond, and they may be some more. None where none follows.
    """
    others, values = conditions.dimensions(selection, "usage_record.")
    if scope.is_everyone:
        return _nth_of_everyone(others, values, span, newest_first, n)
    windows = [clipped(span, span_of(window.within)) for window in scope.windows or ()]
    near = span
    if len(windows) > _FEW:
        # Of each as many would be read: first those hours that hold enough.
        near = _nearest_holding(scope, selection, span, newest_first, n)
    for part in dict.fromkeys((near, span)):
        clips = [
            (owner, clipped(window, part))
            for owner, window in zip([one.user_id for one in scope.windows or ()], windows, strict=True)
        ]
        found = _nth_of(clips, others, values, newest_first, n)
        if found is not None:
            return found, n
    return None


def _nth_of(
    windows: Sequence[tuple[int, IdSpan]], others: str, values: list[Any], newest_first: bool, n: int
) -> UUID | None:
    windows = [(owner, span) for owner, span in windows if span.first < span.last]
    if not windows:
        return None
    order = order_of(newest_first)
    part = (
        "SELECT id FROM usage_record"  # noqa: S608
        f" WHERE user_id = %s AND id >= %s AND id < %s{others} ORDER BY id {order}"
    )
    if len(windows) == 1:
        [(owner, span)] = windows
        sql, params = part, [owner, span.first, span.last, *values]
    else:
        # In order within one user only: of each the first, and of these the n-th.
        sql = " UNION ALL ".join([f"({part} LIMIT %s)"] * len(windows)) + f" ORDER BY id {order}"
        params = [
            value for owner, span in windows for value in (owner, span.first, span.last, *values, n + 1)
        ]
    with connection.cursor() as database:
        database.execute(f"{sql} OFFSET %s LIMIT 2", [*params, n - 1])
        found = database.fetchall()
    return found[0][0] if len(found) == 2 else None


def _nearest_holding(scope: Scope, selection: Selection, span: IdSpan, newest_first: bool, n: int) -> IdSpan:
    """Return the near part of a span whose days hold more than ``n`` records, by the sums."""
    time = moments(span)
    rows = periods.days(scope).filter(selection.dimensions)
    if time.start is not None:
        rows = rows.filter(start__gte=floor(time.start, DAY))
    if time.end is not None:
        rows = rows.filter(start__lt=time.end)
    volumes = (
        rows.values("start").annotate(volume=Sum("records")).order_by("-start" if newest_first else "start")
    )
    seen = 0
    for number, (start, volume) in enumerate(volumes.values_list("start", "volume")[:_MOST_DAYS]):
        # The first day may lie mostly behind the cursor: it counts for nothing.
        seen += volume if number else 0
        if seen > n:
            return (
                IdSpan(max(span.first, first_id(start)), span.last)
                if newest_first
                else IdSpan(span.first, min(span.last, first_id(start + DAY)))
            )
    return span


def _nth_of_everyone(
    others: str, values: list[Any], span: IdSpan, newest_first: bool, n: int
) -> tuple[UUID, int] | None:
    """Find the n-th along the time, and count those of its millisecond: the index on the time knows no id."""
    order = order_of(newest_first)
    first, last = times_of(span)
    with connection.cursor() as database:
        database.execute(
            "SELECT created_at FROM usage_record WHERE created_at >= %s AND created_at < %s"  # noqa: S608
            f" AND id >= %s AND id < %s{others} ORDER BY created_at {order} OFFSET %s LIMIT %s",
            [first, last, span.first, span.last, *values, n - 1, _MOST_OF_A_MILLISECOND],
        )
        found = [moment_of(first_id(moment)) for (moment,) in database.fetchall()]
    same = sum(moment == found[0] for moment in found)
    if same == len(found):
        return None
    edge = first_id(found[0]) if newest_first else UUID(int=first_id(found[0] + MILLISECOND).int - 1)
    return edge, n - 1 + same


@dataclass(frozen=True, slots=True)
class InSpans:
    """A scope's records in some numbered spans: what to join to them laterally, and on which condition."""

    source: str
    condition: str
    values: list[Any]


def in_spans(scope: Scope, spans: Sequence[IdSpan]) -> InSpans:
    bounds: list[Any] = [[span.first for span in spans], [span.last for span in spans]]
    within = "usage_record.id >= span.first AND usage_record.id < span.last"
    if scope.is_everyone:
        times = [times_of(span) for span in spans]
        return InSpans(
            "unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY"
            " AS span (first, last, since, until, number)",
            f"usage_record.created_at >= span.since AND usage_record.created_at < span.until AND {within}",
            [*bounds, [since for since, _ in times], [until for _, until in times]],
        )
    numbered = "unnest(%s::uuid[], %s::uuid[]) WITH ORDINALITY AS span (first, last, number)"
    if scope.is_whole:
        return InSpans(
            f"unnest(%s::integer[]) AS owner (id) CROSS JOIN {numbered}",
            f"usage_record.user_id = owner.id AND {within}",
            [list(scope.ids), *bounds],
        )
    windows = [(one.user_id, span_of(one.within)) for one in scope.windows or ()]
    return InSpans(
        f"unnest(%s::integer[], %s::uuid[], %s::uuid[]) AS owner (id, first, last) CROSS JOIN {numbered}",
        "usage_record.user_id = owner.id AND usage_record.id >= greatest(owner.first, span.first)"
        " AND usage_record.id < least(owner.last, span.last)",
        [
            [owner for owner, _ in windows],
            [span.first for _, span in windows],
            [span.last for _, span in windows],
            *bounds,
        ],
    )


def span_of(within: TimeRange) -> IdSpan:
    return IdSpan(
        ALL.first if within.start is None else first_id(within.start),
        ALL.last if within.end is None else first_id(within.end),
    )


def times_of(span: IdSpan) -> tuple[datetime, datetime]:
    """Return the times that records of a span have, in a half-open range."""
    return moment_of(span.first), moment_of(min(span.last, _LATEST)) + MILLISECOND


def ahead_of(chosen: TimeRange, cursor: Cursor) -> IdSpan:
    """Return the ids of a range that lie on the cursor's far side."""
    first = ALL.first if chosen.start is None else first_id(chosen.start)
    last = ALL.last if chosen.end is None else first_id(chosen.end)
    if cursor.newer:
        first = max(first, after(cursor.newer))
    elif cursor.older:
        last = min(last, cursor.older)
    return IdSpan(first, last)


def moments(within: IdSpan) -> TimeRange:
    """Return the range of time that holds some ids."""
    end = None if within.last == ALL.last else moment_of(within.last) + timedelta(milliseconds=1)
    return TimeRange(None if within.first == ALL.first else moment_of(within.first), end)


def clipped(span: IdSpan, within: IdSpan) -> IdSpan:
    return IdSpan(max(span.first, within.first), min(span.last, within.last))


def cut(span: IdSpan, nth: UUID, newest_first: bool) -> IdSpan:
    """Return the near part of a span, up to a record and with it."""
    return IdSpan(nth, span.last) if newest_first else IdSpan(span.first, after(nth))


def beyond(within: IdSpan, reached: UUID, newest_first: bool) -> IdSpan:
    """Return what lies beyond the cursor that a look reached."""
    return IdSpan(within.first, reached) if newest_first else IdSpan(after(reached), within.last)


def far_end(span: IdSpan, within: IdSpan, newest_first: bool) -> UUID:
    """Return the cursor that goes on beyond a span."""
    span = clipped(span, within)
    return span.first if newest_first else UUID(int=span.last.int - 1)


def after(identifier: UUID) -> UUID:
    return UUID(int=min(identifier.int + 1, ALL.last.int))


def order_of(newest_first: bool) -> str:
    return "DESC" if newest_first else "ASC"
