"""The only door to a task's status.

Whatever is learned about a task, by a poll, a webhook or a gateway's report, comes here as an
`Observation`. The row is locked, compared and set in one transaction together with its timeline entry and
its refund, so that:

- the same observation a second time changes nothing (its key is unique in the timeline);
- a final status never changes, and a task never steps back from running to queued;
- what was charged for a task that ended without a result is given back exactly once.
"""

from __future__ import annotations

import enum
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from tasks.following import refunds
from tasks.models import (
    OPEN_STATUSES,
    UNSUCCESSFUL_STATUSES,
    AsyncTask,
    EventReason,
    TaskEvent,
    TaskStatus,
)
from tasks.outcomes import causes, privacy
from tasks.outcomes.observations import Observation, without_media

MAX_CODE = 100
MAX_MESSAGE = 8_000


class Outcome(enum.Enum):
    """What became of an observation."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    IGNORED = "ignored"
    """It came too late: the task is final, or further on already."""
    DUPLICATE = "duplicate"


def transition(task_id: UUID, observation: Observation) -> tuple[Outcome, AsyncTask]:
    """Take an observation in. Returns what became of it and the task as it stands then, committed.

    What was so earlier (``Observation.at``) stands there in the timeline, with what follows from it; never
    later than now, never before the submission: clocks differ.

    Inside a caller's transaction it commits with that. Raises AsyncTask.DoesNotExist, and OperationalError
    if the database cannot be reached: then nothing has happened, and the same observation may be tried again.
    """
    with transaction.atomic():
        task = AsyncTask.objects.select_for_update(no_key=True).get(pk=task_id)
        observation, made = privacy.cleaned(task, observation)
        now = timezone.now()
        at = _within(observation.at, task.submitted_at, now) or now
        before = TaskStatus(task.status)
        outcome = _judge(task, observation)
        settled = outcome is Outcome.CHANGED and observation.status not in (None, *OPEN_STATUSES)
        after = observation.status if outcome is Outcome.CHANGED and observation.status != before else None
        event = TaskEvent(
            task=task,
            key=observation.key[:120],
            at=at,
            kind=observation.kind,
            before=before if after else "",
            after=after or "",
            word=storable(observation.word)[:100],
            progress=observation.progress,
            http_status=observation.http_status,
            duration_ms=observation.duration_ms,
            reason=EventReason.IGNORED if outcome is Outcome.IGNORED else observation.reason,
            note=storable(observation.note)[:500],
        )
        if not _keep(event):  # Held by the row's lock: nobody else adds to this timeline now.
            return Outcome.DUPLICATE, task
        if outcome is Outcome.CHANGED:
            _apply(task, observation, at, now)
            if settled and not _is_final(before):
                _settle(task, observation, at, now)
            if made is not None and task.result == observation.result:
                privacy.store(task, made)
            task.updated_at = at
            task.save()
    return outcome, task


def storable(text: str) -> str:
    """Return text as the database takes it: it knows no NUL, and no half of a surrogate pair."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")


def _keep(event: TaskEvent) -> bool:
    """Insert the event unless its key is in the task's timeline; tell whether it was new."""
    if TaskEvent.objects.filter(task_id=event.task_id, key=event.key).exists():
        return False
    event.save(force_insert=True)
    return True


def _judge(task: AsyncTask, seen: Observation) -> Outcome:
    """Compare: whether the observation adds to what is known, or comes too late."""
    before = TaskStatus(task.status)
    if _is_final(before):
        same = seen.status == before and _fills(task, seen)
        return (
            Outcome.CHANGED
            if same
            else Outcome.UNCHANGED
            if seen.status in (None, before)
            else Outcome.IGNORED
        )
    if seen.status is None:
        return Outcome.CHANGED if _adds(task, seen) else Outcome.UNCHANGED
    if seen.status not in OPEN_STATUSES:
        return Outcome.CHANGED
    if before is TaskStatus.RUNNING and seen.status is TaskStatus.QUEUED:
        return Outcome.IGNORED
    return Outcome.CHANGED if seen.status != before or _adds(task, seen) else Outcome.UNCHANGED


def _fills(task: AsyncTask, seen: Observation) -> bool:
    """Whether a report about a finished task brings what its end came without."""
    return bool(
        (seen.result and not task.result)
        or (seen.failure_message and not task.failure_message)
        or (seen.failure_code and not task.failure_code)
        or (seen.result_expires_at and not task.result_expires_at)
        or (seen.cost is not None and task.cost is None)
    )


def _adds(task: AsyncTask, seen: Observation) -> bool:
    return bool(
        (seen.word and seen.word[:100] != task.provider_status)
        or (seen.progress is not None and seen.progress > (task.progress or -1))
        or (seen.started_at and not task.started_at)
        or (seen.result and seen.result != task.result)
        or (seen.cost is not None and seen.cost != task.cost)
        or (seen.provider_task_id and not task.provider_task_id)
    )


def _apply(task: AsyncTask, seen: Observation, at: datetime, now: datetime) -> None:
    """Set what the observation, of ``at``, says on the locked row, which has been judged to need it."""
    final_before = _is_final(TaskStatus(task.status))
    if not final_before:
        task.status = seen.status or task.status
        task.provider_status = storable(seen.word)[:100] or task.provider_status
        if seen.progress is not None:
            task.progress = max(seen.progress, task.progress or 0)
        if task.started_at is None:
            running = task.status == TaskStatus.RUNNING
            task.started_at = _within(seen.started_at or (at if running else None), task.submitted_at, now)
        task.result = seen.result or task.result
        task.cost = seen.cost if seen.cost is not None else task.cost
        task.provider_task_id = task.provider_task_id or seen.provider_task_id
    else:
        task.result = task.result or seen.result
        task.cost = task.cost if task.cost is not None else seen.cost
    if not final_before and task.status in UNSUCCESSFUL_STATUSES and not seen.result:
        task.result = without_media(task.result)
    task.result_expires_at = task.result_expires_at or seen.result_expires_at
    task.failure_code = task.failure_code or storable(seen.failure_code)[:MAX_CODE]
    if not task.failure_message and seen.failure_message:
        task.failure_message = storable(seen.failure_message)[:MAX_MESSAGE]
        task.cause_uncut = seen.cause_uncut
    task.cause = causes.judged(task)


def _settle(task: AsyncTask, seen: Observation, at: datetime, now: datetime) -> None:
    """End the task: its times, no more polls, and its money."""
    task.finished_at = _within(seen.finished_at or at, task.started_at or task.submitted_at, now)
    if task.status in (TaskStatus.SUCCEEDED, TaskStatus.PARTIALLY_SUCCEEDED):
        task.progress = 100
        # A success may carry a word about what went wrong on the way; it is no failure reason.
        if task.result_expires_at is None and task.result and seen.result_lifetime:
            task.result_expires_at = (task.finished_at or now) + seen.result_lifetime
    task.next_poll_at = None
    task.lease = None
    task.leased_until = None
    if task.status in seen.refunded_states and not task.gateway_refunds:
        task.refund_due = True
        refunds.settle(task, at)


def _within(moment: datetime | None, earliest: datetime, latest: datetime) -> datetime | None:
    """Return a provider's time, kept between what must lie before it and now: clocks differ."""
    return None if moment is None else max(earliest, min(moment, latest))


def _is_final(status: TaskStatus) -> bool:
    return status not in OPEN_STATUSES
