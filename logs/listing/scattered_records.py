"""The nearest records of many users, or of everybody under filters: where each has any is told by the sums.

An index by user and id is in order within one user only. So of each user's part the first records are taken,
and of these the first: a look into the index for each, and none of what lies between.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Sum

from logs.models import UsageHour
from logs.models.querysets import Key
from logs.selection import conditions, periods
from logs.selection.chosen import IdSpan, Selection
from logs.selection.spans import ahead_of, clipped, moments, order_of, span_of
from routescope.data.ids import first_id
from routescope.data.keyset import Cursor
from routescope.data.ranges import HOUR, floor
from routescope.data.scopes import Scope

_MOST_CELLS = 20_000
"""Parts of users that are looked into for one page."""
_Part = tuple[int, IdSpan]


def nearest(scope: Scope, selection: Selection, cursor: Cursor, limit: int) -> list[Key]:
    """Return users and ids of at most ``limit`` records from the cursor on, nearest first.

    Of everybody's under filters alone: without any they are in the order of the index on the time.
    """
    within = ahead_of(selection.chosen, cursor)
    newest_first = cursor.newer is None
    if within.first >= within.last:
        return []
    if selection.dimensions:
        parts = _holding(scope, selection, within, newest_first, limit)
    else:
        parts = [(one.user_id, span_of(one.within)) for one in scope.windows or ()]
    meant = [(user_id, part) for user_id, span in parts if (part := clipped(span, within)).first < part.last]
    return _first_of(meant, selection, newest_first, limit)


def _holding(
    scope: Scope, selection: Selection, within: IdSpan, newest_first: bool, limit: int
) -> Iterable[_Part]:
    """Return the hours of users that hold the first ``limit`` records of the filters."""
    starts = _hours(scope, selection, within, newest_first, limit)
    rows = UsageHour.objects.filter(selection.dimensions, start__in=starts)
    if not scope.is_everyone:
        rows = rows.filter(user_id__in=scope.ids)
    cells = rows.values("user_id", "start").annotate(held=Sum("records")).filter(held__gt=0).order_by()
    hours = [
        (user_id, IdSpan(first_id(start), first_id(start + HOUR)))
        for user_id, start in cells.values_list("user_id", "start")[:_MOST_CELLS]
    ]
    if scope.is_whole:
        return hours
    spans: dict[int, list[IdSpan]] = {}
    for one in scope.windows or ():
        spans.setdefault(one.user_id, []).append(span_of(one.within))
    return [(user_id, clipped(hour, span)) for user_id, hour in hours for span in spans[user_id]]


def _hours(
    scope: Scope, selection: Selection, within: IdSpan, newest_first: bool, limit: int
) -> list[datetime]:
    time = moments(within)
    rows = periods.hours(scope).filter(selection.dimensions)
    if time.start is not None:
        rows = rows.filter(start__gte=floor(time.start, HOUR))
    if time.end is not None:
        rows = rows.filter(start__lt=time.end)
    held = rows.values("start").annotate(held=Sum("records")).filter(held__gt=0)
    # Of the first hour some may lie behind the cursor, and of one in which a person came or left a part alone
    # is meant: these count for nothing.
    edges = scope.edges(HOUR)
    starts: list[datetime] = []
    found = 0
    order = "-start" if newest_first else "start"
    for start, records in held.order_by(order).values_list("start", "held")[: limit + 2 + len(edges)]:
        starts.append(start)
        if len(starts) > 1 and start not in edges:
            found += records
        if found >= limit:
            break
    return starts


def _first_of(parts: list[_Part], selection: Selection, newest_first: bool, limit: int) -> list[Key]:
    if not parts:
        return []
    others, values = conditions.dimensions(selection)
    order = order_of(newest_first)
    with connection.cursor() as database:
        database.execute(
            "SELECT found.user_id, found.id FROM unnest(%s::integer[], %s::uuid[], %s::uuid[])"  # noqa: S608
            " AS part (user_id, first, last) CROSS JOIN LATERAL ("
            "  SELECT user_id, id FROM usage_record WHERE user_id = part.user_id"
            f"  AND id >= part.first AND id < part.last{others} ORDER BY id {order} LIMIT %s"
            f" ) AS found ORDER BY found.id {order} LIMIT %s",
            [
                [user_id for user_id, _span in parts],
                [span.first for _user_id, span in parts],
                [span.last for _user_id, span in parts],
                *values,
                limit,
                limit,
            ],
        )
        found: list[tuple[int, UUID]] = list(database.fetchall())
    return found
