"""Counts of a selection, from the coarsest rollups that are exact; never a count over the tasks themselves.

A range is whole UTC days, whole UTC hours and, at its edges, less than an hour on each side that is counted
from the tasks. The three parts never overlap, so their counts add up to the tasks listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models import Sum

from accounts.models import User
from routescope.data.ids import first_id, moment_of
from routescope.data.keyset import Cursor
from routescope.data.ranges import HOUR, TimeRange, cover, floor
from tasks.models import TaskDay, TaskHour
from tasks.sums.chosen import Selection


def by_status(user: User, selection: Selection) -> dict[str, int]:
    """Return how many of the user's tasks in a selection are in each status that any is in. One query."""
    parts = cover(selection.chosen)
    dimensions = "".join(f" AND {column} = ANY(%s)" for column, _ in selection.chosen_values)
    arms: list[str] = []
    values: list[Any] = []
    for table, time, stretches, bound, count in (
        ("tasks_day", "start", parts.days, None, "tasks"),
        ("tasks_hour", "start", parts.hours, None, "tasks"),
        ("tasks_asynctask", "id", parts.raw, first_id, "1"),
    ):
        for stretch in stretches:
            ends = [
                (sign, end) for sign, end in ((">=", stretch.start), ("<", stretch.end)) if end is not None
            ]
            times = "".join(f" AND {time} {sign} %s" for sign, _ in ends)
            arms.append(
                f"SELECT status, {count} AS tasks FROM {table} WHERE user_id = ANY(%s){times}{dimensions}"  # noqa: S608
            )
            values += [list(user.ids), *(end if bound is None else bound(end) for _, end in ends)]
            values += [list(chosen) for _, chosen in selection.chosen_values]
    if not arms:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT status, sum(tasks)::bigint FROM ({' UNION ALL '.join(arms)}) AS arms"  # noqa: S608
            " GROUP BY status",
            values,
        )
        return {status: count for status, count in cursor.fetchall() if count}


def hours_holding(user: User, selection: Selection, cursor: Cursor, limit: int) -> list[TimeRange]:
    """Return the hours, nearest to the cursor first, that hold the next ``limit`` tasks of a selection.

    A page of something rare reads the tasks of these hours and no others. Adjacent hours come as one range.
    """
    rows = TaskHour.objects.filter(selection.dimensions, user_id__in=user.ids)
    if selection.chosen.start is not None:
        rows = rows.filter(start__gte=floor(selection.chosen.start, HOUR))
    if selection.chosen.end is not None:
        rows = rows.filter(start__lt=selection.chosen.end)
    if cursor.newer:
        rows = rows.filter(start__gte=floor(moment_of(cursor.newer), HOUR)).order_by("start")
    else:
        if cursor.older:
            rows = rows.filter(start__lte=moment_of(cursor.older))
        rows = rows.order_by("-start")
    # The first hour may lie partly behind the cursor, and the last partly outside the range.
    held = rows.values("start").annotate(held=Sum("tasks")).filter(held__gt=0)
    stretches: list[TimeRange] = []
    for start in held.values_list("start", flat=True)[: limit + 2]:
        end = start + HOUR
        if stretches and stretches[-1].start == end:
            stretches[-1] = TimeRange(start, stretches[-1].end)
        elif stretches and stretches[-1].end == start:
            stretches[-1] = TimeRange(stretches[-1].start, end)
        else:
            stretches.append(TimeRange(start, end))
    return [stretch.clipped(selection.chosen) for stretch in stretches]


def seen(user: User, *columns: str) -> Iterable[tuple[Any, ...]]:
    """Return the combinations of values that the user's tasks of all time have in some dimensions."""
    rows = TaskDay.objects.filter(user_id__in=user.ids).order_by()
    return list(rows.values_list(*columns).distinct())
