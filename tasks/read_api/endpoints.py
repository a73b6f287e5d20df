"""Async tasks over the read API: what the page shows, under the page's own filters."""

from __future__ import annotations

import contextlib
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
from django.db.models import Q

from accounts.access.endpoint import ReadRequest, endpoint
from accounts.staff.rights import Reading, reading_of
from routescope.data.keyset import Cursor
from routescope.data.ranges import TimeRange
from routescope.data.scopes import Viewer
from routescope.rest.answers import Money, Range, range_of, utc
from routescope.rest.declared import DEFAULT_LIMIT, PAGING, WHOSE, Endpoint, parameters_of
from routescope.rest.paging import next_url
from routescope.rest.problems import ProblemError
from routescope.text.formatting import plain
from tasks.intake.http import TASK_ID
from tasks.models import AsyncTask
from tasks.outcomes import privacy
from tasks.outcomes.causes import cause_of
from tasks.tab import listing
from tasks.tab.asked import task_filter, task_scope
from tasks.tab.filters import TaskFilter

_TAG = "Tasks"
_FILTERS = parameters_of(
    TaskFilter,
    {
        "range": "A preset range of submission times; `7d` if neither it nor start or end is given.",
        "start": "Tasks submitted from this time on. Earlier times count as 1970.",
        "end": "Tasks submitted before this time.",
        "type": "Only these types.",
        "person": "Only these people's, by id, of the rows of several.",
        "status": "Only these statuses.",
        "cause": "Only tasks that ended badly, or in part, for these reasons.",
        "platform": "Only these platforms.",
        "model": "Only these models.",
        "token": "Only these API tokens, by name.",
        "group": "Only of these groups.",
        "task_id": "The ID of a task or of its request, over all time: other filters do not apply.",
    },
    without=("order",),
)


class Task(msgspec.Struct, frozen=True):
    """One async task. `status` is canonical, `provider_status` the provider's own word for it."""

    id: UUID
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    task_id: Annotated[str, msgspec.Meta(description="The ID that the client saw.")]
    provider_task_id: str
    request_id: str
    platform: str
    type: str
    status: str
    provider_status: str
    progress: Annotated[int | None, msgspec.Meta(description="Percent.")]
    token: str | None
    model: str | None
    cost: Money | None
    refund: Money | None
    result_expires_at: datetime | None
    failure_code: str
    failure_message: str
    cause: Annotated[str | None, msgspec.Meta(description="Why it failed.")]


class Tasks(msgspec.Struct, frozen=True):
    """A page of tasks, newest first."""

    data: list[Task]
    range: Range
    older: UUID | None
    newer: UUID | None
    next: Annotated[str | None, msgspec.Meta(description="The next page's URL, its range of time fixed.")]


class TaskEntry(msgspec.Struct, frozen=True):
    """One thing that was learned about a task, or done for it."""

    at: datetime
    kind: str
    before: str
    after: str
    word: str
    progress: int | None
    reason: str


class TaskDetail(Task, frozen=True):
    """One task with its result and its timeline, oldest first. The result of a name that was merged into an
    admin's is null for who may not view the content of others."""

    group: str | None
    result: Any
    timeline: list[TaskEntry]


@endpoint(
    Endpoint(
        "listTasks",
        "/api/v1/tasks",
        "List tasks",
        "Your async tasks under the given filters, newest first. Follow `next` until it is null.",
        _TAG,
        Tasks,
        (*_FILTERS, *PAGING),
        "status=failed&range=30d",
    )
)
def tasks(request: ReadRequest) -> Tasks:
    filters = task_filter(Viewer.of(request.user), request.query)
    if filters.searched_id:
        found = listing.of_one_id(filters.scope, filters.searched_id)
        return Tasks([_task(row) for row in found], range_of(TimeRange()), None, None, None)
    size = int(request.query.get("limit", DEFAULT_LIMIT))
    page = listing.selected(filters.scope, filters.selection, Cursor.parse(request.query), size)
    chosen = filters.chosen_range(filters.now)
    onward = next_url(request.url, filters, chosen, size, page.onward)
    return Tasks([_task(row) for row in page.rows], range_of(chosen), page.older, page.newer, onward)


@endpoint(
    Endpoint(
        "getTask",
        "/api/v1/tasks/{task_id}",
        "Show one task",
        "A task with its result, cause of failure and timeline. 404 if there is none of yours.",
        _TAG,
        TaskDetail,
        (TASK_ID, WHOSE),
        can_miss=True,
    )
)
def task(request: ReadRequest, task_id: str) -> TaskDetail:
    identified = Q(task_id=task_id)
    with contextlib.suppress(ValueError):
        identified |= Q(pk=UUID(task_id))
    scope = task_scope(Viewer.of(request.user), request.query)
    mine = AsyncTask.objects.visible_to(scope).select_related(
        "model", "token__merged_into", "group__merged_into"
    )
    row: AsyncTask | None = None if "\x00" in task_id else mine.filter(identified).order_by("-id").first()
    if row is None:
        raise ProblemError(404, "You have no task with this ID.")
    # Another's is shown in the console alone, where each look is noted.
    reading = reading_of(scope, row.user_id)
    return TaskDetail(
        **_fields(row),
        group=row.group.called if row.group else None,
        result=privacy.results_of([row]).get(row.pk) if reading is Reading.OPEN else None,
        timeline=[
            TaskEntry(
                utc(event.at),
                event.kind,
                event.before,
                event.after,
                event.word,
                event.progress,
                event.reason,
            )
            for event in row.events.order_by("at", "id")
        ],
    )


_PLAIN = (
    "id", "task_id", "provider_task_id", "request_id", "platform", "type", "status", "provider_status",
    "progress", "failure_code", "failure_message",
)  # fmt: skip


def _task(row: AsyncTask) -> Task:
    return Task(**_fields(row))


def _fields(row: AsyncTask) -> dict[str, Any]:
    cause = cause_of(row)
    return {
        **{name: getattr(row, name) for name in _PLAIN},
        "submitted_at": utc(row.submitted_at),
        "started_at": _moment(row.started_at),
        "finished_at": _moment(row.finished_at),
        "result_expires_at": _moment(row.result_expires_at),
        "token": row.token.called if row.token else None,
        "model": row.model.name if row.model else None,
        "cost": _money(row.cost),
        "refund": _money(row.refund),
        "cause": cause.value if cause else None,
    }


def _moment(moment: datetime | None) -> datetime | None:
    return None if moment is None else utc(moment)


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)
