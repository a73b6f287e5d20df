"""Which periodic jobs should have succeeded by now and have not: workers that are away, or that fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from celery import current_app
from celery.schedules import crontab
from django.conf import settings
from django.utils import timezone

from routescope.models import JobRun
from routescope.run.jobs import JOBS

GRACE = timedelta(minutes=2)
"""Beat, broker and worker start again within this."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """A job that is late. ``due`` is when a success was due, ``succeeded_at`` the last one."""

    name: str
    due: datetime
    succeeded_at: datetime | None


def overdue(now: datetime | None = None) -> list[Overdue]:
    """Return the periodic jobs that are overdue, by name."""
    return list(_late(JobRun.known({str(task) for task, _ in _entries()}), now))


def due(run: JobRun, now: datetime) -> datetime | None:
    """Return when the next success of a job is due, None for one that runs on demand only."""
    since = run.succeeded_at or run.since
    moments = [_next(schedule, since, now) for task, schedule in _entries() if task == run.name]
    return min(moments) + _limit(run.name) + GRACE if moments else None


def _limit(name: str) -> timedelta:
    if name not in JOBS:
        # A web process loads no jobs by itself.
        current_app.autodiscover_tasks(related_name="jobs", force=True)
    return JOBS[name].limit


def _late(runs: Iterable[JobRun], now: datetime | None) -> Iterator[Overdue]:
    now = now or timezone.now()
    for run in sorted(runs, key=lambda one: one.name):
        moment = due(run, now)
        if moment is not None and moment < now:
            yield Overdue(run.name, moment, run.succeeded_at)


def _entries() -> Iterator[tuple[str, float | crontab]]:
    """Yield the beat's jobs and schedules; a job may have several."""
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        yield cast("tuple[str, float | crontab]", (entry["task"], entry["schedule"]))


def _next(when: float | crontab, since: datetime, now: datetime) -> datetime:
    if isinstance(when, crontab):
        # A copy: the schedule in the settings is the beat's.
        asked = copy(when)
        asked.nowfun = lambda: now  # type: ignore[attr-defined]  # the stubs leave it out
        return now + asked.remaining_estimate(since)
    return since + timedelta(seconds=when)
