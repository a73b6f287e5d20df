"""Counts of a selection, from the coarsest rollups that are exact; never a count over the tasks themselves.

A range is whole UTC days, whole UTC hours and, at its edges, less than an hour on each side that is counted
from the tasks. The three parts never overlap, so their counts add up to the tasks listed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from routescope.data.ids import first_id, moment_of
from routescope.data.keyset import Cursor
from routescope.data.ranges import DAY, HOUR, TimeRange, cover, floor
from routescope.data.scopes import Scope
from tasks.models import TaskDay, TaskHour
from tasks.sums.chosen import Selection

_MAY_BE_NULL = ("token_id", "model_id", "group_id")


def by_status(scope: Scope, selection: Selection) -> dict[str, int]:
    """Return how many of the scope's tasks in a selection are in each status that any is in. One query."""
    return by(scope, selection, "status")


def by(scope: Scope, selection: Selection, column: str) -> dict[Any, int]:
    """Return how many of the scope's tasks in a selection have each value of a dimension that any has.

    Tasks without token, model or group are counted under 0, those without a cause under nothing. One query.
    """
    dimensions = "".join(f" AND {dimension} = ANY(%s)" for dimension, _ in selection.chosen_values)
    arms: list[str] = []
    values: list[Any] = []
    own = f"coalesce({column}, 0)" if column in _MAY_BE_NULL else column
    for ids, within in _meant(scope, selection.chosen):
        parts = cover(within)
        whose = "true" if ids is None else "user_id = ANY(%s)"
        for table, time, stretches, bound, value, count in (
            ("tasks_day", "start", parts.days, None, column, "tasks"),
            ("tasks_hour", "start", parts.hours, None, column, "tasks"),
            ("tasks_asynctask", "id", parts.raw, first_id, own, "1"),
        ):
            for stretch in stretches:
                ends = [
                    (sign, end)
                    for sign, end in ((">=", stretch.start), ("<", stretch.end))
                    if end is not None
                ]
                times = "".join(f" AND {time} {sign} %s" for sign, _ in ends)
                arms.append(
                    f"SELECT {value} AS value, {count} AS tasks FROM {table}"  # noqa: S608
                    f" WHERE {whose}{times}{dimensions}"
                )
                values += [] if ids is None else [list(ids)]
                values += [end if bound is None else bound(end) for _, end in ends]
                values += [list(chosen) for _, chosen in selection.chosen_values]
    if not arms:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT value, sum(tasks)::bigint FROM ({' UNION ALL '.join(arms)}) AS arms"  # noqa: S608
            " GROUP BY value",
            values,
        )
        return {value: count for value, count in cursor.fetchall() if count}


def ids(scope: Scope, selection: Selection, cursor: Cursor, limit: int) -> list[UUID]:
    """Return the ids of at most ``limit`` of the scope's tasks in a selection, nearest to the cursor first.

    The tasks of hours that hold any are read, and no others: a lateral join on purpose, since conditions
    joined by OR would have the planner walk the index through what lies between.
    """
    stretches = _hours_holding(scope, selection, cursor, limit)
    if not stretches:
        return []
    chosen = selection.chosen_values
    edge = ""
    if bound := cursor.newer or cursor.older:
        edge = f" AND id {'>' if cursor.newer else '<'} %(edge)s"
    order = "id" if cursor.newer else "id DESC"
    held = "".join(f" AND {column} = ANY(%({column})s)" for column, _ in chosen)
    whose, users = _whose(scope)
    with connection.cursor() as database:
        database.execute(
            "SELECT found.id FROM unnest(%(firsts)s::uuid[], %(lasts)s::uuid[]) AS hour (first, last)"  # noqa: S608
            f" CROSS JOIN LATERAL (SELECT id FROM tasks_asynctask WHERE {whose}"
            f" AND id >= hour.first AND id < hour.last{edge}{held} ORDER BY {order} LIMIT %(limit)s) AS found"
            f" ORDER BY {order} LIMIT %(limit)s",
            {
                "firsts": [first_id(start) for start, _ in stretches],
                "lasts": [first_id(end) for _, end in stretches],
                **users,
                "edge": bound,
                "limit": limit,
                **{column: list(values) for column, values in chosen},
            },
        )
        return [identifier for (identifier,) in database.fetchall()]


def _meant(scope: Scope, chosen: TimeRange) -> list[tuple[tuple[int, ...] | None, TimeRange]]:
    """Return which part of a range is meant of which users; None is of everybody."""
    if scope.is_everyone:
        return [(None, chosen)]
    return [(share.ids, share.within) for share in scope.shares(chosen)]


def _whose(scope: Scope) -> tuple[str, dict[str, Any]]:
    """Return the condition on a task's user and id, and its values."""
    if scope.is_everyone:
        return "true", {}
    parts: list[str] = []
    values: dict[str, Any] = {}
    for number, (ids, within) in enumerate(_meant(scope, TimeRange())):
        values[f"users{number}"] = list(ids or ())
        part = f"user_id = ANY(%(users{number})s)"
        for sign, end, name in ((">=", within.start, "since"), ("<", within.end, "until")):
            if end is not None:
                values[f"{name}{number}"] = first_id(end)
                part += f" AND id {sign} %({name}{number})s"
        parts.append(f"({part})")
    return f"({' OR '.join(parts) or 'false'})", values


def _hours_holding(
    scope: Scope, selection: Selection, cursor: Cursor, limit: int
) -> list[tuple[datetime, datetime]]:
    """Return the hours, nearest to the cursor first, that hold the next ``limit`` tasks of a selection."""
    rows = TaskHour.objects.filter(selection.dimensions & scope.periods(HOUR))
    start, end = selection.chosen.start, selection.chosen.end
    if start is not None:
        rows = rows.filter(start__gte=floor(start, HOUR))
    if end is not None:
        rows = rows.filter(start__lt=end)
    if cursor.newer:
        rows = rows.filter(start__gte=floor(moment_of(cursor.newer), HOUR)).order_by("start")
    else:
        if cursor.older:
            rows = rows.filter(start__lte=moment_of(cursor.older))
        rows = rows.order_by("-start")
    held = rows.values("start").annotate(held=Sum("tasks")).filter(held__gt=0)
    hours: list[tuple[datetime, datetime]] = []
    found = 0
    edges = scope.edges(HOUR)
    for hour, tasks in held.values_list("start", "held")[: limit + 1 + len(edges)]:
        hours.append((max(hour, start) if start else hour, min(hour + HOUR, end) if end else hour + HOUR))
        # Of the first hour some may lie behind the cursor or outside the range: it counts for none. So does
        # one in which a person came or left.
        found += tasks if len(hours) > 1 and hour not in edges else 0
        if found >= limit:
            break
    return hours


def seen(scope: Scope, chosen: TimeRange, *columns: str) -> list[set[Any]]:
    """Return the values that the scope's tasks have in some dimensions, without those of none.

    Those of all time; of everybody's tasks those of the range, and of its newest `_MOST_SEEN` at most; of
    people who came or left those of meanwhile.
    """
    if not scope.is_whole:
        return [{value for value in by(scope, Selection(), column) if value} for column in columns]
    rows = TaskDay.objects.order_by()
    if scope.is_everyone:
        end = chosen.end or timezone.now() + DAY
        start = max(chosen.start or end - _MOST_SEEN, end - _MOST_SEEN)
        rows = rows.filter(start__gte=floor(start, DAY), start__lt=end)
    else:
        rows = rows.filter(scope.periods(DAY))
    found = list(rows.values_list(*columns).distinct())
    return [{row[at] for row in found if row[at]} for at in range(len(columns))]


_MOST_SEEN = 90 * DAY
