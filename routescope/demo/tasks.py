"""Where the demo's async tasks enter the database: as they stand, with the timeline that led there.

Thousands of reports that are weeks old would take minutes through ``tasks.following.lifecycle``, and would
all be noted as of today. Nothing here is polled: the tasks exist at no provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from accounts.identities.resolving import ResolvedNames, resolve
from accounts.models import Gateway
from logs.models import RecordType
from routescope.data.ids import derived_id
from routescope.demo.media import Order
from tasks.models import OPEN_STATUSES, AsyncTask, EventKind, EventReason, TaskEvent, TaskStatus

_CHANGING = (
    "started_at",
    "finished_at",
    "updated_at",
    "status",
    "provider_status",
    "progress",
    "refund",
    "refund_record_id",
    "result",
    "failure_code",
    "failure_message",
    "result_expires_at",
)


@transaction.atomic
def store_tasks(gateway: Gateway, placed: Sequence[Order], now: datetime) -> int:
    """Store tasks as they stand at ``now``; return how many are new.

    Those that are here and still open are brought up to date; final ones are left alone.
    """
    names = resolve(
        gateway,
        users_and_tokens={(order.token.user, order.token.name) for order in placed},
        groups={order.token.group.name for order in placed},
        models={order.service.model for order in placed},
    )
    rows = {row.id: (order, row) for order in placed for row in [_row(gateway, names, order, now)]}
    known = AsyncTask.objects.select_for_update(no_key=True).in_bulk(list(rows))
    new = [pair for key, pair in rows.items() if key not in known]
    moved = [rows[key] for key, task in known.items() if task.status in OPEN_STATUSES]
    AsyncTask.objects.bulk_create([row for _, row in new], ignore_conflicts=True)
    AsyncTask.objects.bulk_update([row for _, row in moved], _CHANGING)
    events = [event for order, row in new + moved for event in _timeline(order, row, now)]
    TaskEvent.objects.bulk_create(events, ignore_conflicts=True)
    return len(new)


def _row(gateway: Gateway, names: ResolvedNames, order: Order, now: datetime) -> AsyncTask:
    status, service, token = order.status(now), order.service, order.token
    user_id = names.users[token.user]
    ended = now >= order.finished_at
    final = status not in OPEN_STATUSES
    complaint = order.complaint if ended else None
    refund = order.refund if final else None
    result = order.result(now)
    return AsyncTask(
        id=derived_id(order.submitted_at, gateway.pk, order.task_id),
        submitted_at=order.submitted_at,
        started_at=order.started_at if now >= order.started_at else None,
        finished_at=order.finished_at if final else None,
        updated_at=min(now, order.finished_at),
        gateway=gateway,
        user_id=user_id,
        token_id=names.tokens[user_id, token.name],
        group_id=names.groups[token.group.name],
        model_id=names.models[service.model],
        task_id=order.task_id,
        provider_task_id=order.upstream_id,
        request_id=order.request_id,
        platform=service.platform,
        type=service.type,
        status=status,
        provider_status=service.words[status],
        progress=order.progress(now),
        cost=order.cost,
        gateway_refunds=True,
        refund=refund,
        charge_record_id=derived_id(order.submitted_at, gateway.pk, order.request_id, RecordType.TASK),
        refund_record_id=derived_id(order.finished_at, gateway.pk, order.request_id, RecordType.REFUND)
        if refund is not None
        else None,
        result=result,
        failure_code=complaint.code if complaint else "",
        failure_message=complaint.message if complaint else "",
        result_expires_at=order.finished_at + timedelta(hours=service.result_hours)
        if result and service.result_hours
        else None,
    )


def _timeline(order: Order, task: AsyncTask, now: datetime) -> Iterator[TaskEvent]:
    """Yield what was learned about a task until ``now``, each once by its key."""
    words = order.service.words
    yield TaskEvent(task=task, key="submitted", at=order.submitted_at, kind=EventKind.SUBMITTED)
    if now >= order.started_at:
        yield TaskEvent(
            task=task,
            key="demo:started",
            at=order.started_at,
            kind=EventKind.REPORT,
            before=TaskStatus.QUEUED,
            after=TaskStatus.RUNNING,
            word=words[TaskStatus.RUNNING],
            progress=None if task.progress is None else 0,
        )
    if now >= order.finished_at:
        yield TaskEvent(
            task=task,
            key="demo:finished",
            at=order.finished_at,
            kind=EventKind.REPORT,
            before=TaskStatus.RUNNING,
            after=order.outcome,
            word=words[order.outcome],
            progress=task.progress,
        )
        if task.refund is not None:
            yield TaskEvent(
                task=task,
                key="refund",
                at=order.finished_at,
                kind=EventKind.REFUND,
                reason=EventReason.GATEWAY_GAVE_BACK,
                note=f"{task.refund:f}",
            )


def open_tasks(gateway: Gateway) -> set[str]:
    """Return the IDs of the gateway's tasks that the console still waits for."""
    rows = AsyncTask.objects.filter(gateway=gateway, status__in=OPEN_STATUSES)
    return set(rows.values_list("task_id", flat=True))
