"""Async tasks as a source of exports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, Sum
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce
from django.http import QueryDict

from accounts.models import User
from accounts.staff.rights import may_read_content
from routescope.data.keyset import Cursor
from routescope.exports.sources import Column, ColumnKind, Expected, Row, Value
from tasks.models import AsyncTask
from tasks.models.querysets import AsyncTaskQuerySet
from tasks.providers.catalogue import catalogue
from tasks.tab.filters import TaskFilter
from tasks.tab.listing import READ_AT_MOST

_CHUNK = 2_000
COLUMNS = (
    Column("submitted_at", ColumnKind.MOMENT),
    Column("started_at", ColumnKind.MOMENT),
    Column("finished_at", ColumnKind.MOMENT),
    Column("task_id", ColumnKind.TEXT),
    Column("type", ColumnKind.TEXT),
    Column("status", ColumnKind.TEXT),
    Column("platform", ColumnKind.TEXT),
    Column("model", ColumnKind.TEXT),
    Column("token", ColumnKind.TEXT),
    Column("cost", ColumnKind.DECIMAL),
    Column("refund", ColumnKind.DECIMAL),
    Column("failure_code", ColumnKind.TEXT),
    Column("failure_message", ColumnKind.TEXT),
    Column("request_id", ColumnKind.TEXT),
    Column("provider_task_id", ColumnKind.TEXT),
    Column("provider_status", ColumnKind.TEXT),
    Column("result_expires_at", ColumnKind.MOMENT),
    Column("progress", ColumnKind.INTEGER, usual=False),
    Column("id", ColumnKind.TEXT, usual=False),
    Column("result", ColumnKind.TEXT, usual=False),
)
_FIELDS: dict[str, str | Coalesce] = {
    "model": "model__name",
    "token": Coalesce("token__merged_into__name", "token__name"),
}


class TaskSource:
    name = "tasks"
    columns: Sequence[Column] = COLUMNS

    def select(self, user_id: int, query: QueryDict) -> TaskSelected:
        user = User.objects.get(pk=user_id)
        return TaskSelected(TaskFilter(query, user=user, catalogue=catalogue()))

    def fixed(self, user_id: int, query: QueryDict) -> QueryDict:
        user = User.objects.get(pk=user_id)
        filters = TaskFilter(query, user=user, catalogue=catalogue())
        return filters.fixed_address(filters.now).query()


class TaskSelected:
    """The tasks under one person's filters. They have no rollups: a background job may count them."""

    def __init__(self, filters: TaskFilter) -> None:
        self._reader = filters.user
        self._scope: AsyncTaskQuerySet[AsyncTask]
        self._tasks: AsyncTaskQuerySet[AsyncTask]
        if filters.searched_id:
            mine = AsyncTask.objects.visible_to(filters.user)
            self._scope = self._tasks = mine.identified_by(filters.searched_id)
        else:
            self._scope = filters.tasks
            self._tasks = filters.tasks.filter(filters.conditions)

    def expected(self) -> Expected:
        ids = self._scope.newest(Cursor(), READ_AT_MOST + 1).values_list("id", flat=True)
        reached = ids[READ_AT_MOST:].first()
        if reached is None:
            return _summed(self._tasks)
        return replace(_summed(self._tasks.filter(id__gt=reached)), is_whole=False)

    def counts(self) -> Iterator[Expected]:
        yield _summed(self._tasks)

    def until(self, before: UUID | None) -> UUID | None:
        return None

    def rows(self, columns: Sequence[str], before: UUID | None, limit: int) -> Iterator[Row]:
        fields = [_FIELDS.get(name, name) for name in columns]
        found = self._tasks.newest(Cursor(older=before), limit).values_list("id", "cost", "user_id", *fields)
        may_read: dict[int, bool] = {}
        for identifier, cost, owner, *values in found.iterator(_CHUNK):
            if "result" in columns and owner not in may_read:
                may_read[owner] = may_read_content(self._reader, owner)
            if not may_read.get(owner, True):
                values[columns.index("result")] = None
            yield identifier, cost, tuple(map(_value, columns, values))

    def fingerprint(self, before: UUID | None, last: UUID) -> str:
        mark = RawSQL(
            "hashtextextended(tasks_asynctask.id::text || tasks_asynctask.xmin::text, 0)::numeric", []
        )
        marked = self._older(before).filter(id__gte=last).order_by().annotate(row_mark=mark)
        sums = marked.aggregate(rows=Count("*"), marks=Sum("row_mark"))
        return f"{sums['rows']}:{sums['marks']}"

    def _older(self, before: UUID | None) -> AsyncTaskQuerySet[AsyncTask]:
        if before is None:
            return self._tasks
        return self._tasks.filter(id__lt=before)


def _summed(tasks: AsyncTaskQuerySet[AsyncTask]) -> Expected:
    sums = tasks.order_by().aggregate(rows=Count("*"), cost=Sum("cost"))
    return Expected(sums["rows"], sums["cost"] or Decimal(0))


def _value(name: str, value: Any) -> Value:
    if name == "id":
        return str(value)
    if name == "result":
        return (
            None if value is None else json.dumps(_exported(value), ensure_ascii=False, separators=(",", ":"))
        )
    return value


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
