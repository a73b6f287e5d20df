"""The one way to declare a job: with its queue, its limit and its lock, and with its last success kept.

1. **Queue.** ``QUICK`` jobs keep the console going: folding, polls, refunds. ``SLOW`` ones may take minutes
   or hours, and have a worker of their own, so that three exports stop nothing.
2. **Limit.** Celery tells the job when its time is over, and ends its process a little later. No statement
   of it takes longer, and no lock is waited for longer than ``lock``.
3. **Lock.** Two runs of a job never meet: the second one leaves it to the first. Redis delivers a job again
   that took too long, and any number of workers may run. Where two may meet, ``may_meet`` says why that is
   safe.
4. **Last success.** Kept in the database (`routescope.models.JobRun`), with when the next one is overdue.

The database's own troubles are told in a line and noted as a failure: the next run finds what there is to do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial, wraps
from typing import ParamSpec, TypeVar

from billiard.exceptions import SoftTimeLimitExceeded
from celery import Task, shared_task
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone
from psycopg.pq import TransactionStatus

from routescope.data import limits, troubles
from routescope.models import JobRun

logger = logging.getLogger(__name__)

MARGIN = timedelta(seconds=20)
"""Between the word that a job's time is over and its process's end."""
LONGEST = timedelta(hours=4)
"""No job may take longer: what Redis thinks lost, after a longer time, is then lost indeed (settings)."""
_NOTED_AT_START = timedelta(minutes=1)
"""Jobs of a higher limit are seen running; of the others, one write a run tells enough."""

_SECOND = timedelta(seconds=1)
P = ParamSpec("P")
R = TypeVar("R")


class Queue(StrEnum):
    """The two queues. The quick one is Celery's own, which a worker serves that is told nothing."""

    QUICK = "celery"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Job:
    """What a job declares."""

    name: str
    queue: Queue
    limit: timedelta
    lock: timedelta
    may_meet: str
    noted: bool


JOBS: dict[str, Job] = {}
"""Every job by its name."""


def job(
    name: str,
    *,
    queue: Queue,
    limit: timedelta,
    lock: timedelta = timedelta(seconds=5),
    may_meet: str = "",
    noted: bool = True,
) -> Callable[[Callable[P, R]], Task[P, R | None]]:
    """Make a job of a function. ``limit``: of a run; ``lock``: of its wait for any one lock.

    ``noted``: whether its runs are kept; off for what has a state of its own, as an export or a task has.
    Called, the job returns what the function does, or None where it did not come to its end.
    """
    if not timedelta(0) < limit <= LONGEST:
        raise ValueError(f"The limit of {name} must be above 0 and at most {LONGEST}.")
    declared = JOBS[name] = Job(name, queue, limit, lock, may_meet, noted)

    def made(function: Callable[P, R]) -> Task[P, R | None]:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R | None:
            with limits.limited(limits.of_job(limit, lock)):
                return _run(declared, partial(function, *args, **kwargs))

        return shared_task(
            name=name,
            soft_time_limit=limit // _SECOND,
            time_limit=(limit + MARGIN) // _SECOND,
            ignore_result=True,
        )(run)

    return made


def queue_of(
    name: str, args: object, kwargs: object, options: object, task: object = None, **more: object
) -> dict[str, str] | None:
    """Celery's router (task_routes): each job goes to the queue that it declares."""
    declared = JOBS.get(name)
    return {"queue": declared.queue.value} if declared else None


def _run(declared: Job, work: Callable[[], R]) -> R | None:
    """Do the work under the job's lock, if nobody else does, and note what comes of it."""
    started = timezone.now()
    is_locked = False
    try:
        if not declared.may_meet:
            is_locked = _lock(declared.name)
            if not is_locked:
                logger.info("%s is under way already", declared.name)
                return None
        if declared.noted and declared.limit > _NOTED_AT_START:
            JobRun.note_start(declared.name, started)
        result = work()
        _note(declared, started, JobRun.Outcome.SUCCEEDED, "")
        return result
    except SoftTimeLimitExceeded:
        _break_off()
        _note(declared, started, JobRun.Outcome.TIMED_OUT, f"Its time of {declared.limit} was over.")
        logger.error("%s took longer than its limit, %s", declared.name, declared.limit)
    except Exception as error:
        _note(declared, started, JobRun.Outcome.FAILED, _last_line(error))
        if troubles.tell(error, declared.name) is None:
            raise
    finally:
        if is_locked:
            _unlock(declared.name)
    return None


def _note(declared: Job, started: datetime, outcome: JobRun.Outcome, error: str) -> None:
    if not declared.noted:
        return
    try:
        JobRun.note_end(declared.name, started, outcome, error)
    except (DatabaseError, InterfaceError) as trouble:
        # What the job did is done, or failed for the same reason.
        if troubles.tell(trouble, f"noting the end of {declared.name}") is None:
            raise


# The lock is the session's: a job may commit in between, and one that is killed lets go of it as PostgreSQL
# ends its session, and not before its last statement has ended.
_KEY = "hashtext('job'), hashtext(%s)"


def _lock(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_lock({_KEY})", [name])
        return bool(cursor.fetchone() == (True,))


def _unlock(name: str) -> None:
    try:
        if connection.connection is None or connection.connection.closed:
            return
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_unlock({_KEY})", [name])
    except (DatabaseError, InterfaceError):
        # With its session the lock goes too.
        connection.close()


def _break_off() -> None:
    """Stop the statement that the job was amid, and begin anew: its connection still waits for the answer."""
    session = connection.connection
    if session is None:
        return
    if session.info.transaction_status == TransactionStatus.ACTIVE:
        session.cancel_safe(timeout=5)
    connection.close()


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__
