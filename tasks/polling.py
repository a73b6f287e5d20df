"""Polling one claimed task: ask, take the answer in, say when to ask again."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from routescope.outbound import ForbiddenAddressError, OutboundError
from tasks import claims, lifecycle
from tasks.asking import Asked, CannotAskError, ask
from tasks.lifecycle import Observation
from tasks.models import (
    UNSUCCESSFUL_STATUSES,
    AsyncTask,
    EventKind,
    EventReason,
    ProviderCredential,
    ProviderHealth,
    TaskStatus,
)
from tasks.providers.catalogue import Catalogue
from tasks.providers.definition import Definition, duration
from tasks.providers.reading import Finding

logger = logging.getLogger(__name__)

LONGEST_PAUSE = timedelta(hours=1)
FAILURES_TO_PAUSE = 3
PAUSE = timedelta(seconds=5)
GRACE = timedelta(hours=1)
"""How long after its deadline a task is kept open whose provider cannot be reached."""
WITHOUT_CREDENTIAL = timedelta(minutes=5)
_JITTER = 0.25


@dataclass(frozen=True, slots=True)
class _Told:
    """What one poll brought: an observation, whether the provider answered, and how long it wants peace."""

    observation: Observation
    answered: bool
    pause: timedelta | None = None
    unhealthy: str = ""


def poll(task_id: UUID, lease: UUID, catalogue: Catalogue) -> None:
    """Poll one task under a lease; nothing happens where the lease is no longer held.

    Raises OperationalError if the database cannot be reached: the lease then runs out, and the task is polled
    again.
    """
    task = AsyncTask.objects.filter(pk=task_id, lease=lease).first()
    if task is None or task.is_final:
        return
    definition = catalogue.by_slug.get(task.platform)
    now = timezone.now()
    told = _ask(task, lease, definition)
    if told is not None:
        _note_health(task.platform, told, now)
        _, task = lifecycle.transition(task.pk, told.observation)
        if task.is_final:
            AsyncTask.objects.filter(pk=task.pk).update(polls=F("polls") + 1)
            return
    if _is_over(task, told, now):
        _expire(task, definition)
        return
    claims.give_back(
        task_id,
        lease,
        next_poll_at=_next(task, definition, told, timezone.now()),
        answered=told is None or told.answered,
    )


def credential_for(task: AsyncTask) -> ProviderCredential | None:
    """Return the key for a task's provider: its gateway's own, else the one for all."""
    rows = ProviderCredential.objects.filter(platform=task.platform)
    return rows.filter(gateway_id=task.gateway_id).first() or rows.filter(gateway__isnull=True).first()


def backoff(first: timedelta, longest: timedelta, count: int, *, growth: float = 1.3) -> timedelta:
    """Return how long to wait after the ``count``-th attempt: growing, bounded, and never in step with
    others.
    """
    wait = min(longest.total_seconds(), first.total_seconds() * growth ** min(count, 50))
    return timedelta(seconds=wait * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311


def _ask(task: AsyncTask, lease: UUID, definition: Definition | None) -> _Told | None:
    """Ask the provider. None where there is nobody to ask, or no key to ask with."""
    if definition is None or definition.poll is None:
        return None
    credential = credential_for(task)
    if definition.auth.scheme != "none" and not (credential and credential.api_key):
        return None
    blank = Observation(key=f"poll:{lease}", kind=EventKind.POLL)
    started = time.monotonic()
    try:
        asked = ask(task, definition, credential)
    except CannotAskError as error:
        return _Told(replace(blank, reason=EventReason.NO_ANSWER, note=str(error)), answered=False)
    except ForbiddenAddressError as error:
        logger.warning("Task %s: %s", task.task_id, error)
        return _Told(replace(blank, reason=EventReason.FORBIDDEN_ADDRESS, note=str(error)), answered=False)
    except OutboundError as error:
        took = round((time.monotonic() - started) * 1000)
        seen = replace(blank, reason=EventReason.NO_ANSWER, note=str(error), duration_ms=took)
        return _Told(seen, answered=False, unhealthy=str(error))
    seen = replace(
        blank,
        http_status=asked.status,
        duration_ms=round((time.monotonic() - started) * 1000),
        note=asked.note,
    )
    if asked.finding is not None and asked.finding.status is not None:
        return _Told(told_by(asked.finding, seen, definition), answered=True)
    return _unanswered(asked, seen)


def told_by(finding: Finding, seen: Observation, definition: Definition) -> Observation:
    """Return an observation with what a finding says."""
    return replace(
        seen,
        status=finding.status,
        word=finding.word,
        progress=finding.progress,
        started_at=finding.started_at,
        finished_at=finding.finished_at,
        result=finding.result or None,
        result_expires_at=finding.expires_at,
        result_lifetime=finding.lifetime,
        failure_code=finding.failure_code,
        failure_message=finding.failure_message,
        refunded_states=tuple(definition.refunded),
    )


def _unanswered(asked: Asked, seen: Observation) -> _Told:
    pause = None if asked.retry_after is None else min(timedelta(seconds=asked.retry_after), LONGEST_PAUSE)
    if asked.status == 429:
        seen = replace(seen, reason=EventReason.SLOWED)
        return _Told(seen, answered=False, pause=pause or PAUSE)
    if asked.status in (401, 403):
        seen = replace(seen, reason=EventReason.NOT_ALLOWED)
        # Of this gateway's key; another gateway's may be good, so the provider is not paused.
        return _Told(seen, answered=False)
    if asked.status in (404, 410):
        return _Told(replace(seen, reason=EventReason.NOT_FOUND), answered=False)
    if asked.status >= 500:
        seen = replace(seen, reason=EventReason.NO_ANSWER)
        return _Told(seen, answered=False, pause=pause, unhealthy=f"HTTP {asked.status}")
    return _Told(replace(seen, reason=EventReason.UNREADABLE), answered=False)


def _next(task: AsyncTask, definition: Definition | None, told: _Told | None, now: datetime) -> datetime:
    """Return when to poll next: at the latest at the deadline."""
    if definition is None or definition.poll is None:
        moment = task.deadline_at or now + WITHOUT_CREDENTIAL
    elif told is None:
        moment = now + backoff(WITHOUT_CREDENTIAL, WITHOUT_CREDENTIAL, 0)
    else:
        every, longest = duration(definition.poll.every), duration(definition.poll.longest)
        if told.answered:
            moment = now + backoff(every, longest, task.polls)
        else:
            moment = now + backoff(every, max(longest, timedelta(minutes=5)), task.poll_failures, growth=2)
        if told.pause:
            moment = max(moment, now + told.pause)
    if task.deadline_at and now < task.deadline_at:
        moment = min(moment, task.deadline_at)
    return moment


def _is_over(task: AsyncTask, told: _Told | None, now: datetime) -> bool:
    if task.deadline_at is None or now < task.deadline_at:
        return False
    if told is not None and not told.answered:
        return now >= task.deadline_at + GRACE
    return True


def _expire(task: AsyncTask, definition: Definition | None) -> None:
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


def _note_health(platform: str, told: _Told, now: datetime) -> None:
    """Remember whether the provider answers. From three failures on it is paused, longer each time."""
    if told.pause and not told.unhealthy:
        ProviderHealth.objects.update_or_create(
            platform=platform, defaults={"paused_until": now + told.pause, "last_error": "HTTP 429"}
        )
    elif told.unhealthy:
        ProviderHealth.objects.get_or_create(platform=platform)
        rows = ProviderHealth.objects.filter(platform=platform)
        rows.update(failures=F("failures") + 1, last_error=told.unhealthy[:500])
        failures = rows.values_list("failures", flat=True).get()
        if failures >= FAILURES_TO_PAUSE:
            wait = backoff(PAUSE, timedelta(minutes=2), failures - FAILURES_TO_PAUSE, growth=1.5)
            rows.update(paused_until=now + max(wait, told.pause or timedelta()))
    elif told.answered:
        stale = ProviderHealth.objects.filter(platform=platform).exclude(failures=0, paused_until=None)
        stale.update(failures=0, paused_until=None, last_error="", last_answer_at=now)
