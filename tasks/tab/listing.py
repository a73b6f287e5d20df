"""The list of tasks: one page of a selection, at a bounded cost however rare what is selected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db.models import JSONField, Q
from django.db.models.expressions import RawSQL

from routescope.data import keyset, sparse
from routescope.data.keyset import Cursor, Page
from routescope.data.scopes import Scope
from tasks.models import FAILED_STATUSES, OPEN_STATUSES, AsyncTask, TaskStatus
from tasks.models.querysets import AsyncTaskQuerySet
from tasks.sums import counts
from tasks.sums.chosen import Selection

READ_AT_MOST = 20_000
"""Tasks that the search for one page of a rare value may read; the page after it goes on from there."""
PARTS: tuple[tuple[TaskStatus, ...], ...] = (
    FAILED_STATUSES,
    OPEN_STATUSES,
    tuple(status for status in TaskStatus if status not in (*FAILED_STATUSES, *OPEN_STATUSES)),
)
"""The list by attention: what failed, then what is under way, then the rest; each newest first."""
_BULKY = ("result", "poll_url", "poll_parameters")
_LAST = UUID(int=0)
# Of what a task made, a list says how much of each kind: the result itself may be large.
KINDS_MADE = RawSQL(
    "jsonb_path_query_array(tasks_asynctask.result, '$[*].kind')", [], output_field=JSONField()
)


@dataclass(frozen=True, slots=True)
class PartPage(Page[AsyncTask]):
    """A page of the list by attention, and in which of the `PARTS` its neighbours begin."""

    older_part: int = 0
    newer_part: int = 0


def selected(scope: Scope, selection: Selection, cursor: Cursor, size: int) -> Page[AsyncTask]:
    """Return a page of the scope's tasks in a selection, newest first, full unless it is the last."""

    def fetch(cursor: Cursor, limit: int) -> list[AsyncTask]:
        return _found(scope, selection, cursor, limit)

    return keyset.page(fetch, cursor, size, key=lambda task: task.pk)


def by_attention(scope: Scope, selection: Selection, part: int, cursor: Cursor, size: int) -> PartPage:
    """Return a page of the same tasks, those that failed first, then those under way.

    The cursor stands in ``part``. A task whose state changes between two pages is where its state now has it.
    """
    if not cursor.newer:
        rows = list(_onward(scope, selection, range(part, len(PARTS)), cursor, size + 1))
        shown = rows[:size]
        has_more, has_before = len(rows) > size, bool(cursor.older and shown)
        return PartPage(
            shown,
            shown[-1].pk if has_more else None,
            shown[0].pk if has_before else None,
            part_of(shown[-1]) if has_more else 0,
            part_of(shown[0]) if has_before else 0,
        )
    rows = list(_onward(scope, selection, range(part, -1, -1), cursor, size + 1))
    if len(rows) < size:
        # Walked back to the top: a full first page, not a stump.
        return by_attention(scope, selection, 0, Cursor(), size)
    shown = rows[:size][::-1]
    has_more = len(rows) > size
    return PartPage(
        shown,
        shown[-1].pk,
        shown[0].pk if has_more else None,
        part_of(shown[-1]),
        part_of(shown[0]) if has_more else 0,
    )


def part_of(task: AsyncTask) -> int:
    """Return in which of the `PARTS` a task stands."""
    return next(number for number, statuses in enumerate(PARTS) if task.status in statuses)


def _onward(
    scope: Scope, selection: Selection, parts: Iterable[int], cursor: Cursor, limit: int
) -> Iterable[AsyncTask]:
    """Yield at most ``limit`` tasks from the cursor on, part by part."""
    for part in parts:
        wanted = tuple(
            status.value
            for status in PARTS[part]
            if not selection.statuses or status.value in selection.statuses
        )
        if wanted and limit > 0:
            found = _found(scope, replace(selection, statuses=wanted), cursor, limit)
            limit -= len(found)
            yield from found
        cursor = Cursor(newer=_LAST) if cursor.newer else Cursor()


def _found(scope: Scope, selection: Selection, cursor: Cursor, limit: int) -> list[AsyncTask]:
    """Return the rows of a page, nearest to the cursor first."""
    mine: AsyncTaskQuerySet[AsyncTask] = AsyncTask.objects.visible_to(scope)
    if not selection.chosen_values:
        return list(_listed(mine.within(selection.chosen)).newest(cursor, limit))
    ids = counts.ids(scope, selection, cursor, limit)
    return list(_listed(mine.filter(pk__in=ids)).order_by("id" if cursor.newer else "-id"))


def page(scope: AsyncTaskQuerySet[AsyncTask], conditions: Q, cursor: Cursor, size: int) -> Page[AsyncTask]:
    """Return a page of the tasks in ``scope`` (what an index knows) that meet conditions which no index
    knows.

    Reads at most ``READ_AT_MOST`` tasks: a page of something rarer holds what was found among them.
    """
    reached = None
    if conditions:
        reached = scope.newest(cursor, READ_AT_MOST).values_list("id", flat=True)[READ_AT_MOST - 1 :].first()
    window = scope
    if reached is not None:
        window = scope.filter(id__lte=reached) if cursor.newer else scope.filter(id__gte=reached)
    rows = list(named(window.filter(conditions)).newest(cursor, size + 1))
    found = sparse.page(rows, cursor, size, key=lambda task: task.pk, reached=reached)
    first = sparse.in_place_of(found, cursor, size, lambda: page(scope, conditions, Cursor(), size))
    return first or found


def of_one_id(scope: Scope, identifier: str) -> list[AsyncTask]:
    """Return the scope's tasks that carry an ID, as those that one request submitted do, newest first."""
    mine: AsyncTaskQuerySet[AsyncTask] = AsyncTask.objects.visible_to(scope)
    tasks = named(mine.of_one_id(identifier)).select_related("group__merged_into", "gateway")
    return list(tasks.annotate(kinds_made=KINDS_MADE))


def of_ids(scope: Scope, ids: Iterable[UUID]) -> list[AsyncTask]:
    """Return the scope's tasks with these ids, as a list shows them, newest first."""
    mine: AsyncTaskQuerySet[AsyncTask] = AsyncTask.objects.visible_to(scope)
    return list(_listed(mine.filter(pk__in=list(ids))).order_by("-id"))


def _listed(tasks: AsyncTaskQuerySet[AsyncTask]) -> AsyncTaskQuerySet[Any]:
    """Join the names that a list shows, and leave out what only the task's own page does."""
    return named(tasks).select_related("group__merged_into").defer(*_BULKY).annotate(kinds_made=KINDS_MADE)


def named(tasks: AsyncTaskQuerySet[AsyncTask]) -> AsyncTaskQuerySet[AsyncTask]:
    """Return the tasks with the names that a list shows."""
    return tasks.select_related("user__merged_into", "token__merged_into", "model")
