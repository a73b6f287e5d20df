"""A task's deadline: the provider's time is over, and whoever waits for the task is told so."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from tasks.following import lifecycle
from tasks.models import UNSUCCESSFUL_STATUSES, AsyncTask, EventKind, EventReason, TaskStatus
from tasks.outcomes.observations import Observation
from tasks.providers.definition import Definition

GRACE = timedelta(hours=1)
"""How long after its deadline a task is kept open whose provider cannot be reached."""


def is_over(task: AsyncTask, now: datetime, *, answered: bool) -> bool:
    """Whether a task that is still open after a poll has had its time; without an answer it has more."""
    if task.deadline_at is None:
        return False
    return now >= (task.deadline_at if answered else task.deadline_at + GRACE)


def expire(task: AsyncTask, definition: Definition | None) -> None:
    """End a task whose time is over."""
    name = definition.name if definition else task.platform or "the gateway"
    word = f" Its last word was “{task.provider_status}”." if task.provider_status else ""
    waited = (task.deadline_at or timezone.now()) - task.submitted_at
    hours = max(1, round(waited / timedelta(hours=1)))
    lifecycle.transition(
        task.pk,
        Observation(
            key="deadline",
            kind=EventKind.DEADLINE,
            status=TaskStatus.EXPIRED,
            reason=EventReason.TOO_LATE,
            failure_code="deadline",
            failure_message=f"No final answer from {name} within {hours} h.{word}",
            refunded_states=tuple(definition.refunded) if definition else UNSUCCESSFUL_STATUSES,
        ),
    )
