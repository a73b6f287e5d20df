"""Polling one claimed task: ask, take the answer in, say when to ask again."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError
from django.db.models import F

from routescope.causes import engine
from routescope.causes.rules import Why
from routescope.encryption import DecryptionError
from routescope.wire.outbound import (
    ForbiddenAddressError,
    OutboundError,
    UnsendableError,
    UnusableAnswerError,
)
from tasks.following import clock, deadlines, health, leases, lifecycle, waits
from tasks.following.leases import Begun
from tasks.following.provider_calls import Asked, CannotAskError, ask, host_asked
from tasks.models import AsyncTask, EventKind, EventReason, ProviderCredential
from tasks.outcomes.observations import Observation
from tasks.providers.catalogue import Catalogue
from tasks.providers.definition import Definition
from tasks.providers.key_binding import KeyWithheldError
from tasks.providers.reading import Finding
from tasks.providers.search import ReadingError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Told:
    """What one poll brought: an observation, whether the provider answered about the task, how long it wants
    peace, what counts against its host, whether that was reached at all, and how long it took.
    """

    observation: Observation
    answered: bool
    pause: timedelta | None = None
    unhealthy: str = ""
    reached: bool = True
    took: timedelta = timedelta()


def poll(task_id: UUID, lease: UUID, catalogue: Catalogue) -> None:
    """Poll one task under a lease; nothing happens where the lease is no longer held, or was used before.

    Whatever goes wrong with it counts as a try, is told in the timeline, and the task waits as after any
    failure; a fault of ours is logged with its traceback. Raises OperationalError or InterfaceError if the
    database cannot be reached: the lease then runs out, and the task is polled again.
    """
    task = AsyncTask.objects.filter(pk=task_id, lease=lease).first()
    if task is None or task.is_final:
        return
    definition = catalogue.by_slug.get(task.platform)
    try:
        _poll(task, lease, definition, catalogue)
    except (OperationalError, InterfaceError):
        raise
    except SoftTimeLimitExceeded:
        logger.warning("The poll of task %s at %s took too long", task.task_id, task.platform)
        _count(task, lease, definition, EventReason.CUT_SHORT)
    except Exception as error:
        logger.exception("The poll of task %s at %s broke", task.task_id, task.platform)
        _count(task, lease, definition, EventReason.BROKEN, type(error).__name__)


def credential_for(task: AsyncTask) -> ProviderCredential | None:
    """Return the key for a task's provider: its gateway's own, else the one for all.

    Raises DecryptionError where it was stored under a key that is no longer configured.
    """
    rows = ProviderCredential.objects.filter(platform=task.platform)
    return rows.filter(gateway_id=task.gateway_id).first() or rows.filter(gateway__isnull=True).first()


def _poll(task: AsyncTask, lease: UUID, definition: Definition | None, catalogue: Catalogue) -> None:
    credential, trouble = None, ""
    try:
        credential = credential_for(task)
    except DecryptionError as error:
        logger.error("The credential of %s: %s", task.platform, error)
        trouble = "The stored credential cannot be decrypted."
    host = host_asked(task, definition, credential)
    if leases.begin(task, lease, host, anyones=catalogue.anyones) is not Begun.YES:
        return
    told = _ask(task, lease, definition, credential, trouble)
    if told is not None:
        _, task = lifecycle.transition(task.pk, told.observation)
        seen = health.PollOutcome(
            answered=told.reached, took=told.took, failure=told.unhealthy, pause=told.pause
        )
        health.note(host, seen, clock.now())
        if task.is_final:
            AsyncTask.objects.filter(pk=task.pk).update(polls=F("polls") + 1)
            return
    now = clock.now()
    answered = told is None or told.answered
    if deadlines.is_over(task, now, answered=answered):
        deadlines.expire(task, definition)
        return
    leases.give_back(task.pk, lease, next_poll_at=_next(task, definition, told, now), answered=answered)


def _count(
    task: AsyncTask, lease: UUID, definition: Definition | None, reason: EventReason, note: str = ""
) -> None:
    """Count a poll that broke, say so in the timeline, and let the task wait; end it if its time is over."""
    now = clock.now()
    seen = Observation(key=f"poll:{lease}", kind=EventKind.POLL, reason=reason, note=note)
    try:
        _, task = lifecycle.transition(task.pk, seen)
        if not task.is_final and deadlines.is_over(task, now, answered=False):
            deadlines.expire(task, definition)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        # The try still counts, and the task is let go below, or by its lease.
        logger.exception("That the poll of task %s broke could not be written down", task.task_id)
    wait = waits.after_failure(definition, task.poll_failures)
    leases.give_back(task.pk, lease, next_poll_at=now + wait, answered=False)


def _ask(
    task: AsyncTask,
    lease: UUID,
    definition: Definition | None,
    credential: ProviderCredential | None,
    trouble: str,
) -> _Told | None:
    """Ask the provider. None where there is nobody to ask, or no key to ask with."""
    if definition is None or definition.poll is None:
        return None
    blank = Observation(key=f"poll:{lease}", kind=EventKind.POLL)
    if trouble:
        return _Told(
            replace(blank, reason=EventReason.NO_ANSWER, note=trouble), answered=False, reached=False
        )
    if definition.auth.scheme != "none" and not (credential and credential.api_key):
        return None
    started = time.monotonic()
    try:
        told = _answer(ask(task, definition, credential), blank, definition)
    except (CannotAskError, UnsendableError) as error:
        told = _Told(
            replace(blank, reason=EventReason.NO_ANSWER, note=str(error)), answered=False, reached=False
        )
    except KeyWithheldError as error:
        logger.warning("Task %s: %s", task.task_id, error)
        told = _Told(
            replace(blank, reason=EventReason.KEY_WITHHELD, note=str(error)), answered=False, reached=False
        )
    except ForbiddenAddressError as error:
        logger.warning("Task %s: %s", task.task_id, error)
        told = _Told(
            replace(blank, reason=EventReason.FORBIDDEN_ADDRESS, note=str(error)),
            answered=False,
            reached=False,
        )
    except UnusableAnswerError as error:
        # One task's answer; what the host answers about others may be well.
        told = _Told(replace(blank, reason=EventReason.UNREADABLE, note=str(error)), answered=False)
    except ReadingError as error:
        logger.error("The definition of %s: %s", task.platform, error)
        # It quotes the answer.
        told = _Told(replace(blank, reason=EventReason.UNREADABLE, excerpt=str(error)), answered=False)
    except OutboundError as error:
        seen = replace(blank, reason=EventReason.NO_ANSWER, note=str(error))
        told = _Told(seen, answered=False, unhealthy=str(error))
    took = time.monotonic() - started
    return replace(
        told,
        observation=replace(told.observation, duration_ms=round(took * 1000)),
        took=timedelta(seconds=took),
    )


def _answer(asked: Asked, blank: Observation, definition: Definition) -> _Told:
    seen = replace(blank, http_status=asked.status, note=asked.note, excerpt=asked.excerpt)
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
    wanted = asked.retry_after
    pause = None if wanted is None else timedelta(seconds=min(wanted, health.LONGEST_PAUSE.total_seconds()))
    complaint = _complaint(asked.finding)
    if asked.status == 429 or complaint is Why.RATE_LIMIT:
        seen = replace(seen, reason=EventReason.SLOWED)
        return _Told(seen, answered=False, pause=pause or health.PAUSE)
    if asked.status in (401, 403) or complaint is Why.PERMISSION:
        seen = replace(seen, reason=EventReason.NOT_ALLOWED)
        # Of this gateway's key; another gateway's may be good, so the host is not paused.
        return _Told(seen, answered=False)
    if asked.status in (404, 410) or asked.is_unknown:
        return _Told(replace(seen, reason=EventReason.NOT_FOUND), answered=False)
    if asked.status >= 500:
        seen = replace(seen, reason=EventReason.NO_ANSWER)
        return _Told(seen, answered=False, pause=pause, unhealthy=f"HTTP {asked.status}")
    return _Told(replace(seen, reason=EventReason.UNREADABLE), answered=False)


def _complaint(finding: Finding | None) -> Why | None:
    """Return what an answer with HTTP 200 complains of that tells no state: some providers answer so to a key
    that is none, or to too many requests.
    """
    if finding is None or not (finding.failure_code or finding.failure_message):
        return None
    return engine.judge(finding.failure_code, None, finding.failure_message, None)[0].why


def _next(task: AsyncTask, definition: Definition | None, told: _Told | None, now: datetime) -> datetime:
    """Return when to poll next: at the latest at the deadline."""
    if definition is None or definition.poll is None:
        moment = task.deadline_at or now + waits.WITHOUT_CREDENTIAL
    elif told is None:
        moment = now + waits.backoff(waits.WITHOUT_CREDENTIAL, waits.WITHOUT_CREDENTIAL, 0)
    else:
        wait = (
            waits.after_answer(definition, task.polls)
            if told.answered
            else waits.after_failure(definition, task.poll_failures)
        )
        # A longer pause is the host's, which is not asked meanwhile; no task's own wait is longer than this.
        moment = now + min(max(wait, told.pause or timedelta()), waits.longest_wait(definition))
    if task.deadline_at and now < task.deadline_at:
        moment = min(moment, task.deadline_at)
    return moment
