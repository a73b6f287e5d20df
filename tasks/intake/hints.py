"""Unsigned callbacks: a reason to ask a provider sooner, whoever sent them, and nothing more.

Anybody may send one. So the request only puts the name down, whether there is such a task or not: its answer,
and the work before it, tell nothing. A worker looks later (``take``), and asks no sooner than the schedule
may: ``poll.every`` after the last poll, once in ``poll.longest``, never where a failure makes the task wait.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Max

from tasks.following import clock
from tasks.models import MAX_ID_BYTES, OPEN_STATUSES, AsyncTask, EventKind, Hint, TaskEvent
from tasks.providers.catalogue import Catalogue
from tasks.providers.definition import Poll, duration

logger = logging.getLogger(__name__)

MAX_WAITING = 1_000
"""Of all senders together: beyond, hints are dropped, and the schedule finds the news out."""
MOST_OF_ONE_ID = 20
_TABLE = Hint._meta.db_table
_KEEP = f"""
INSERT INTO {_TABLE} (platform, provider_task_id, received_at)
SELECT %s, %s, clock_timestamp()
WHERE (SELECT count(*) FROM (SELECT FROM {_TABLE} LIMIT {MAX_WAITING}) AS waiting) < {MAX_WAITING}
ON CONFLICT DO NOTHING
"""  # noqa: S608  # the table's own name
_TAKE = f"""
DELETE FROM {_TABLE}
WHERE id = ANY(ARRAY(SELECT id FROM {_TABLE} ORDER BY id LIMIT {MAX_WAITING} FOR UPDATE SKIP LOCKED))
RETURNING platform, provider_task_id
"""  # noqa: S608


def keep(platform: str, provider_task_id: str) -> None:
    """Put down that somebody says there is news of a task. The same statement for whatever name comes."""
    if not provider_task_id or len(provider_task_id.encode()) > MAX_ID_BYTES:
        return  # No task is called so.
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [platform, provider_task_id])


def take(catalogue: Catalogue) -> int:
    """Make the tasks due that hints waited for. Returns how many. What goes wrong with one costs no other.

    Hints are gone once they are looked at: one that comes to nothing is found out by the schedule.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TAKE)
        named = set(cursor.fetchall())
    if not named:
        return 0
    made = 0
    for task in _tasks(named):
        definition = catalogue.by_slug.get(task.platform)
        if definition is None or definition.poll is None or definition.webhook.scheme != "none":
            continue
        try:
            made += _ask_sooner(task, definition.poll, clock.now())
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("A hint about the task %s could not be followed", task.task_id)
    return made


def _tasks(named: set[tuple[str, str]]) -> Iterable[AsyncTask]:
    rows = AsyncTask.objects.filter(
        provider_task_id__in={name for _, name in named},
        status__in=OPEN_STATUSES,
        next_poll_at__isnull=False,
        lease=None,
        poll_failures=0,
    )
    seen: dict[tuple[str, str], int] = {}
    for task in rows.order_by("pk")[: MAX_WAITING * 2]:
        key = (task.platform, task.provider_task_id)
        seen[key] = seen.get(key, 0) + 1
        if key in named and seen[key] <= MOST_OF_ONE_ID:
            yield task


def _ask_sooner(task: AsyncTask, poll: Poll, now: datetime) -> bool:
    """Bring a task's next poll forward, as far as its schedule allows; say whether it was."""
    last = TaskEvent.objects.filter(task=task, kind=EventKind.POLL).aggregate(at=Max("at"))["at"]
    soonest = max(now, last + duration(poll.every) if last else task.submitted_at + duration(poll.first))
    stretch = max(duration(poll.longest), timedelta(seconds=1)).total_seconds()
    key = f"hint:{int(now.timestamp() // stretch)}"
    with transaction.atomic():
        rows = AsyncTask.objects.filter(
            pk=task.pk, status__in=OPEN_STATUSES, lease=None, poll_failures=0, next_poll_at__gt=soonest
        )
        if TaskEvent.objects.filter(task=task, key=key).exists() or not rows.update(next_poll_at=soonest):
            return False
        TaskEvent.objects.get_or_create(task=task, key=key, defaults={"kind": EventKind.HINT})
    return True
