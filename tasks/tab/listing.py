"""The list of tasks: one page of a selection, newest first, at a bounded cost however rare what is
selected.
"""

from __future__ import annotations

from django.db.models import Q

from accounts.models import User
from routescope.data import sparse
from routescope.data.keyset import Cursor, Page
from tasks.models import AsyncTask
from tasks.models.querysets import AsyncTaskQuerySet

READ_AT_MOST = 20_000
"""Tasks that the search for one page of a rare value may read; the page after it goes on from there."""


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


def of_one_id(user: User, identifier: str) -> list[AsyncTask]:
    """Return the user's tasks that carry an ID, as those that one request submitted do, newest first."""
    mine: AsyncTaskQuerySet[AsyncTask] = AsyncTask.objects.visible_to(user)
    return list(named(mine.of_one_id(identifier)).select_related("group", "gateway"))


def named(tasks: AsyncTaskQuerySet[AsyncTask]) -> AsyncTaskQuerySet[AsyncTask]:
    """Return the tasks with the names that a list shows."""
    return tasks.select_related("user__merged_into", "token__merged_into", "model")
