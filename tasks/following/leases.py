"""Whose turn it is: due tasks are claimed, a few of each host, and given back if a worker dies.

A claim is a lease in the task's own row. It ends when the poll is done, or by itself: then the poll that had
begun under it counts as a try that brought nothing, and whatever it still says counts for nothing.
"""

from __future__ import annotations

import enum
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q

from tasks.following import clock, deadlines, health, shares, waits
from tasks.following.clock import SLACK
from tasks.following.shares import Running
from tasks.models import AsyncTask, EventKind, EventReason, TaskEvent
from tasks.providers.catalogue import Catalogue

logger = logging.getLogger(__name__)

HANDOVER = timedelta(seconds=30)
"""How long a claim waits for a worker to begin its poll."""
LEASE = timedelta(seconds=65)
"""Of a poll that has begun: longer than it may take (``jobs.poll``), so that none is under way twice."""
UNDEFINED_CONCURRENCY = 8
MAX_UNDER_WAY = 256
"""Claims in all at a time: what is handed to the workers is done within a lease, or let go."""
MAX_GROUPS = 2_000
"""Providers at hosts that one run looks at; the next run goes on after them."""
MAX_ENDED = 500
"""Leases that one run ends whose time is over."""
_TURN = timedelta(seconds=5)
"""When a poll is tried again that found no place."""
_STALE_SEEN = 200

_TABLE = AsyncTask._meta.db_table
# One provider at a host after another: jumps along the index instead of reading every open row. Of each, the
# task that is due first, and the one that is due last.
_GROUPS = f"""
WITH RECURSIVE open AS (
    (SELECT platform, poll_host FROM {_TABLE}
     WHERE next_poll_at IS NOT NULL AND (platform, poll_host) >= (%(platform)s, %(host)s)
     ORDER BY platform, poll_host LIMIT 1)
    UNION ALL
    SELECT onward.platform, onward.poll_host FROM open CROSS JOIN LATERAL (
        SELECT platform, poll_host FROM {_TABLE}
        WHERE next_poll_at IS NOT NULL AND (platform, poll_host) > (open.platform, open.poll_host)
        ORDER BY platform, poll_host LIMIT 1
    ) AS onward
)
SELECT open.platform, open.poll_host, first.next_poll_at, last.next_poll_at
FROM (SELECT * FROM open LIMIT %(limit)s) AS open
CROSS JOIN LATERAL (
    SELECT next_poll_at FROM {_TABLE} AS task
    WHERE task.platform = open.platform AND task.poll_host = open.poll_host AND next_poll_at IS NOT NULL
    ORDER BY next_poll_at LIMIT 1
) AS first
CROSS JOIN LATERAL (
    SELECT next_poll_at FROM {_TABLE} AS task
    WHERE task.platform = open.platform AND task.poll_host = open.poll_host AND next_poll_at IS NOT NULL
    ORDER BY next_poll_at DESC LIMIT 1
) AS last
"""  # noqa: S608  # the table's own name
# An array, which is made once: as IN (SELECT ...) the planner may run the subquery again for each row, and
# every run would lock another LIMIT of rows.
_SET = f"""
UPDATE {_TABLE} SET lease = gen_random_uuid(), leased_until = %(until)s, next_poll_at = %(until)s,
    poll_begun_at = NULL
WHERE id = ANY(ARRAY(
"""  # noqa: S608
CLAIM = f"""{_SET}
    SELECT id FROM {_TABLE}
    WHERE platform = %(platform)s AND poll_host = %(host)s AND next_poll_at <= %(now)s AND lease IS NULL
    ORDER BY next_poll_at
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
))
RETURNING id, lease
"""  # noqa: S608
# Due further ahead than any wait is long: the clock has stepped back since. What waits for its deadline alone
# (no provider is asked) is left; of others the soonest are looked at.
_CLAIM_STALE = f"""{_SET}
    SELECT id FROM {_TABLE}
    WHERE lease IS NULL AND next_poll_at > %(horizon)s AND id IN (
        SELECT id FROM (
            SELECT id, next_poll_at, deadline_at FROM {_TABLE}
            WHERE platform = %(platform)s AND poll_host = %(host)s AND next_poll_at > %(horizon)s
            ORDER BY next_poll_at LIMIT {_STALE_SEEN}
        ) AS seen
        WHERE seen.next_poll_at IS DISTINCT FROM seen.deadline_at
        LIMIT %(limit)s
    )
    FOR NO KEY UPDATE SKIP LOCKED
))
RETURNING id, lease
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Claim:
    """A task to poll now, by whoever holds ``lease``."""

    task_id: UUID
    lease: UUID


@dataclass(frozen=True, slots=True)
class Group:
    """The open tasks of one provider at one host, some of them due. ``horizon``: what is due after it was set
    by a clock that has stepped back since; None where no provider is asked.
    """

    platform: str
    host: str
    concurrency: int
    horizon: datetime | None
    has_stale: bool


class Begun(enum.Enum):
    """Whether a poll may go on."""

    YES = "yes"
    LOST = "lost"
    """The lease is somebody else's now, or the poll under it has begun before."""
    NOT_NOW = "not now"
    """The host is paused, or others have its place; the task has been given back."""


def claim(catalogue: Catalogue) -> list[Claim]:
    """Claim due tasks of every host, each up to its own concurrency; committed when it returns.

    All hosts have an equal part of what is free. What goes wrong with one is logged and costs no other.
    """
    now = clock.now()
    end_leases(catalogue, now)
    due = _due(catalogue, now)
    # No order in which the first ones always have the places.
    random.shuffle(due)
    free = MAX_UNDER_WAY - AsyncTask.objects.filter(leased_until__gt=now).count()
    claims: list[Claim] = []
    for number, group in enumerate(due):
        left = free - len(claims)
        if left <= 0:
            break
        part = max(1, left // (len(due) - number))
        try:
            claims += claim_of(group, min(group.concurrency, part), now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("Tasks of %s at %s could not be claimed", group.platform, group.host)
    return claims


def claim_of(group: Group, most: int, now: datetime) -> list[Claim]:
    """Claim the tasks of a group that are longest due, as many as may still be under way at its host.

    A paused host is probed by one task at a time once its pause is over.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # Two dispatchers at once would each count the other's claims as free places.
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(hashtext(%s))", [f"claims of {group.host or group.platform}"]
        )
        if cursor.fetchone() != (True,):
            return []
        concurrency = group.concurrency
        known = health.of(group.host)
        if health.is_paused(known, now):
            return []
        if known is not None and known.failures and known.paused_until is not None:
            concurrency = 1
        elif health.is_slow(known, now):
            concurrency = min(concurrency, shares.share_of(settings.WORKER_PROCESSES))
        under_way = AsyncTask.objects.filter(poll_host=group.host, leased_until__gt=now)
        if not group.host:
            under_way = under_way.filter(platform=group.platform)
        most = min(most, concurrency - under_way.count())
        if most <= 0:
            return []
        values: dict[str, str | int | datetime | None] = {
            "platform": group.platform,
            "host": group.host,
            "now": now,
            "until": now + HANDOVER,
            "horizon": group.horizon,
        }
        cursor.execute(CLAIM, {**values, "limit": most})
        found = cursor.fetchall()
        if group.has_stale and len(found) < most:
            cursor.execute(_CLAIM_STALE, {**values, "limit": most - len(found)})
            found += cursor.fetchall()
        return [Claim(task_id, lease) for task_id, lease in found]


def begin(task: AsyncTask, lease: UUID, host: str, *, anyones: Sequence[str]) -> Begun:
    """Begin the poll of a claimed task at ``host``: from here on it is a try, whatever becomes of it.

    ``anyones`` are the providers that may be any host. A message that comes twice begins one poll, though
    the first died.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # One at a time: two that begin at once would each not see the other.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('polls that begin'))")
        now = clock.now()
        mine = AsyncTask.objects.filter(pk=task.pk, lease=lease, poll_begun_at=None)
        running = [
            Running(at, platform in anyones, begun)
            for at, platform, begun in AsyncTask.objects.filter(
                leased_until__gt=now, poll_begun_at__isnull=False
            ).values_list("poll_host", "platform", "poll_begun_at")
        ]
        known = health.of_all({host, *(one.host for one in running)})
        may = shares.may_begin(
            host,
            is_anyones=task.platform in anyones,
            running=running,
            slow_hosts={name for name, one in known.items() if health.is_slow(one, now)},
            places=settings.WORKER_PROCESSES,
            now=now,
        )
        if not may or health.is_paused(known.get(host), now):
            given = mine.update(lease=None, leased_until=None, poll_host=host, next_poll_at=now + _TURN)
            return Begun.NOT_NOW if given else Begun.LOST
        begun = mine.update(
            poll_begun_at=now, leased_until=now + LEASE, next_poll_at=now + LEASE, poll_host=host
        )
        return Begun.YES if begun else Begun.LOST


def give_back(task_id: UUID, lease: UUID, *, next_poll_at: datetime, answered: bool) -> bool:
    """End a claim and say when to poll next. False if the lease was lost meanwhile: then nothing changes."""
    return bool(
        AsyncTask.objects.filter(pk=task_id, lease=lease).update(
            lease=None,
            leased_until=None,
            poll_begun_at=None,
            next_poll_at=next_poll_at,
            polls=F("polls") + 1,
            poll_failures=0 if answered else F("poll_failures") + 1,
        )
    )


def release_unsent(claims: Sequence[Claim]) -> None:
    """Give claims back that could not be handed to a worker (the broker is away)."""
    now = clock.now()
    for one in claims:
        AsyncTask.objects.filter(pk=one.task_id, lease=one.lease).update(
            lease=None, leased_until=None, next_poll_at=now
        )


def end_leases(catalogue: Catalogue, now: datetime) -> int:
    """End the leases whose time is over. Returns how many.

    A poll that had begun and never ended has died with its worker, or was killed for its time: it counts as
    a try, the timeline says so, and the next one waits as after any failure. One that had not begun (its
    message was lost) is due again. A lease that ends further ahead than it is long was given before the
    clock stepped back.
    """
    over = Q(leased_until__lte=now) | Q(leased_until__gt=now + LEASE + SLACK)
    expired: list[AsyncTask] = []
    with transaction.atomic():
        rows = list(
            AsyncTask.objects.select_for_update(no_key=True, skip_locked=True).filter(
                over, leased_until__isnull=False
            )[:MAX_ENDED]
        )
        for task in rows:
            definition = catalogue.by_slug.get(task.platform)
            values = {"lease": None, "leased_until": None, "poll_begun_at": None}
            if task.is_final:
                AsyncTask.objects.filter(pk=task.pk).update(**values, next_poll_at=None)
                continue
            if task.poll_begun_at is None:
                AsyncTask.objects.filter(pk=task.pk).update(**values, next_poll_at=now)
                continue
            TaskEvent.objects.get_or_create(
                task=task,
                key=f"poll:{task.lease}",
                defaults={"kind": EventKind.POLL, "reason": EventReason.CUT_SHORT},
            )
            AsyncTask.objects.filter(pk=task.pk).update(
                **values,
                polls=F("polls") + 1,
                poll_failures=F("poll_failures") + 1,
                next_poll_at=now + waits.after_failure(definition, task.poll_failures),
            )
            if deadlines.is_over(task, now, answered=False):
                expired.append(task)
    for task in expired:
        try:
            deadlines.expire(task, catalogue.by_slug.get(task.platform))
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("The task %s, whose time is over, could not be ended", task.task_id)
    return len(rows)


def _due(catalogue: Catalogue, now: datetime) -> list[Group]:
    """Return the groups with due tasks, among the next ``MAX_GROUPS`` that have open ones."""
    platform, host = _place.pop() if _place else ("", "")
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, {"platform": platform, "host": host, "limit": MAX_GROUPS})
        found = cursor.fetchall()
    if len(found) == MAX_GROUPS:
        _place.append(found[-1][:2])
    groups = []
    for platform, host, first, last in found:
        definition = catalogue.by_slug.get(platform)
        poll = definition.poll if definition else None
        horizon = now + waits.longest_wait(definition) if definition and poll else None
        has_stale = horizon is not None and last > horizon
        if first <= now or has_stale:
            concurrency = poll.concurrency if poll else UNDEFINED_CONCURRENCY
            groups.append(Group(platform, host, concurrency, horizon, has_stale))
    return groups


_place: list[tuple[str, str]] = []
"""Where this process's next run goes on among the groups, if there were more than one run looks at."""
