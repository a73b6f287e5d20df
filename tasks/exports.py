"""Async tasks as a source of exports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db.models import Case, F, JSONField, When
from django.db.models.expressions import RawSQL
from django.http import QueryDict

from accounts.identities.names import names_by_id
from accounts.models import User
from accounts.staff.rights import Reading, reading_of
from routescope.data.keyset import Cursor
from routescope.data.scopes import Scope, Viewer
from routescope.exports.sources import Column, ColumnKind, Expected, Selected, json_text, summed
from tasks.models import AsyncTask
from tasks.models.querysets import AsyncTaskQuerySet
from tasks.tab.asked import task_filter, task_scope
from tasks.tab.filters import TaskFilter
from tasks.tab.listing import READ_AT_MOST

COLUMNS = (
    Column("submitted_at", ColumnKind.MOMENT),
    Column("started_at", ColumnKind.MOMENT),
    Column("finished_at", ColumnKind.MOMENT),
    Column("task_id", ColumnKind.TEXT),
    Column("person", ColumnKind.TEXT, of_several=True),
    Column("type", ColumnKind.TEXT),
    Column("status", ColumnKind.TEXT),
    Column("platform", ColumnKind.TEXT),
    Column("model", ColumnKind.TEXT),
    Column("token", ColumnKind.TEXT),
    Column("cost", ColumnKind.DECIMAL),
    Column("refund", ColumnKind.DECIMAL),
    Column("cause", ColumnKind.TEXT),
    Column("failure_code", ColumnKind.TEXT),
    Column("failure_message", ColumnKind.TEXT, quotes=True),
    Column("request_id", ColumnKind.TEXT),
    Column("provider_task_id", ColumnKind.TEXT),
    Column("provider_status", ColumnKind.TEXT),
    Column("result_expires_at", ColumnKind.MOMENT),
    Column("progress", ColumnKind.INTEGER, usual=False),
    Column("id", ColumnKind.TEXT, usual=False),
    Column("result", ColumnKind.TEXT, usual=False, quotes=True),
)
_MARK = RawSQL("hashtextextended(tasks_asynctask.id::text || tasks_asynctask.xmin::text, 0)", [])


class TaskSource:
    name = "tasks"
    columns: Sequence[Column] = COLUMNS

    def select(self, user_id: int, query: QueryDict) -> Selected:
        return _SelectedTasks(_filters(user_id, query))

    def scope(self, user_id: int, query: QueryDict) -> Scope:
        return task_scope(Viewer.of(User.objects.get(pk=user_id)), query)

    def fixed(self, user_id: int, query: QueryDict) -> QueryDict:
        filters = _filters(user_id, query)
        return filters.fixed_address(filters.now).query()


def _filters(user_id: int, query: QueryDict) -> TaskFilter:
    return task_filter(Viewer.of(User.objects.get(pk=user_id)), query)


class _SelectedTasks(Selected):
    """The tasks under one person's filters. They have no rollups: a background job may count them."""

    def __init__(self, filters: TaskFilter) -> None:
        tasks: AsyncTaskQuerySet[AsyncTask]
        if filters.searched_id:
            mine = AsyncTask.objects.visible_to(filters.scope)
            self._scope = tasks = mine.identified_by(filters.searched_id)
        else:
            self._scope = filters.tasks
            tasks = filters.tasks.filter(filters.conditions)
        names = names_by_id(filters.whole)
        hidden = [column.name for column in COLUMNS if not column.is_offered(filters.whole)]
        # Of others' none is: each look at one is noted in the console.
        readable = [
            owner for owner in filters.scope.reader.ids if reading_of(filters.scope, owner) is Reading.OPEN
        ]
        # What may not be read does not even leave the database.
        result = Case(When(user_id__in=readable, then=F("result")), output_field=JSONField())
        super().__init__(
            tasks,
            _MARK,
            fields={
                "token": "token_id",
                "model": "model_id",
                "person": "user_id",
                "result": result,
            },
            made={
                "person": names["person"].get,
                "token": names["token"].get,
                "model": names["model"].get,
                "id": str,
                "cause": lambda cause: cause or None,
                "result": lambda pieces: json_text(_exported(pieces)),
            },
            beside=[names, readable],
            hidden=hidden,
        )

    def expected(self) -> Expected:
        ids = self._scope.newest(Cursor(), READ_AT_MOST + 1).values_list("id", flat=True)
        reached = ids[READ_AT_MOST:].first()
        if reached is None:
            return summed(self._rows)
        return replace(summed(self._rows.filter(id__gt=reached)), is_whole=False)


def _exported(pieces: Any) -> Any:
    """Return a result without what it keeps for itself: content is not exported, as of calls."""
    if not isinstance(pieces, list):
        return pieces
    return [
        {"kind": piece.get("kind"), "content": "off" if "withheld" in piece else "kept apart"}
        if isinstance(piece, dict) and ("withheld" in piece or "stored" in piece)
        else piece
        for piece in pieces
    ]
