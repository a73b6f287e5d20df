"""Whose turn it is: due tasks are claimed, a few of each provider, and given back if a worker dies.

A claim is a lease in the task's own row. It ends when the poll is done, or by itself: then another worker
takes the task, and whatever the first one still says with its old lease counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from tasks.models import AsyncTask, ProviderHealth
from tasks.providers.catalogue import Catalogue

LEASE = timedelta(seconds=45)
"""Longer than the longest poll (two requests of 15 s), so that no poll is under way twice."""
UNDEFINED_CONCURRENCY = 8

_TABLE = AsyncTask._meta.db_table
# One platform with open tasks after another: jumps along the index instead of reading every due row.
_PLATFORMS = f"""
WITH RECURSIVE due AS (
    (SELECT platform FROM {_TABLE} WHERE next_poll_at IS NOT NULL ORDER BY platform LIMIT 1)
    UNION ALL
    SELECT (
        SELECT platform FROM {_TABLE} WHERE platform > due.platform AND next_poll_at IS NOT NULL
        ORDER BY platform LIMIT 1
    )
    FROM due WHERE due.platform IS NOT NULL
)
SELECT platform FROM due WHERE platform IS NOT NULL
"""  # noqa: S608  # the table's own name
# An array, which is made once: as IN (SELECT ...) the planner may run the subquery again for each row, and
# every run would lock another LIMIT of rows.
CLAIM = f"""
UPDATE {_TABLE} SET lease = gen_random_uuid(), leased_until = %(until)s, next_poll_at = %(until)s
WHERE id = ANY(ARRAY(
    SELECT id FROM {_TABLE}
    WHERE platform = %(platform)s AND next_poll_at <= %(now)s
    ORDER BY next_poll_at
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
))
RETURNING id, lease
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Claim:
    """A task to poll now, by whoever holds ``lease``."""

    task_id: UUID
    lease: UUID


def open_platforms() -> list[str]:
    """Return the platforms with tasks that are not settled."""
    with connection.cursor() as cursor:
        cursor.execute(_PLATFORMS)
        return [platform for (platform,) in cursor.fetchall()]


def claim(catalogue: Catalogue) -> list[Claim]:
    """Claim due tasks of every provider, each up to its own concurrency; committed when it returns."""
    now = timezone.now()
    claims: list[Claim] = []
    for platform in open_platforms():
        definition = catalogue.by_slug.get(platform)
        limit = definition.poll.concurrency if definition and definition.poll else UNDEFINED_CONCURRENCY
        claims += claim_of(platform, limit, now)
    return claims


def claim_of(platform: str, concurrency: int, now: datetime) -> list[Claim]:
    """Claim the tasks of one provider that are longest due, as many as may still be under way at once.

    A paused provider is probed by one task at a time once its pause is over.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # Two dispatchers at once would each count the other's claims as free places.
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [f"claims of {platform}"])
        if cursor.fetchone() != (True,):
            return []
        health = ProviderHealth.objects.filter(platform=platform).first()
        if health is not None and health.paused_until is not None:
            if health.paused_until > now:
                return []
            concurrency = 1 if health.failures else concurrency
        under_way = AsyncTask.objects.filter(platform=platform, leased_until__gt=now).count()
        if under_way >= concurrency:
            return []
        cursor.execute(
            CLAIM,
            {
                "platform": platform,
                "now": now,
                "until": now + LEASE,
                "limit": concurrency - under_way,
            },
        )
        return [Claim(task_id, lease) for task_id, lease in cursor.fetchall()]


def give_back(task_id: UUID, lease: UUID, *, next_poll_at: datetime, answered: bool) -> bool:
    """End a claim and say when to poll next. False if the lease was lost meanwhile: then nothing changes."""
    return bool(
        AsyncTask.objects.filter(pk=task_id, lease=lease).update(
            lease=None,
            leased_until=None,
            next_poll_at=next_poll_at,
            polls=F("polls") + 1,
            poll_failures=0 if answered else F("poll_failures") + 1,
        )
    )


def release_unsent(claims: Sequence[Claim]) -> None:
    """Give claims back that could not be handed to a worker (the broker is away)."""
    now = timezone.now()
    for one in claims:
        AsyncTask.objects.filter(pk=one.task_id, lease=one.lease).update(
            lease=None, leased_until=None, next_poll_at=now
        )
