"""Taking in what gateways say about tasks: new ones are registered, known ones move on.

Idempotent, and safe in any order: a task that is registered twice is one, a report about a task that is not
registered yet waits for it, and one that comes late changes nothing (``lifecycle``).
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.identities.resolving import ResolvedNames, resolve
from accounts.models import Gateway
from accounts.scopes import told_teams
from routescope.data.ids import derived_id
from routescope.data.partitions import Month
from routescope.encryption import DecryptionError
from routescope.wire import strict_json
from tasks.following import clock, lifecycle
from tasks.following.lifecycle import Outcome
from tasks.following.provider_calls import host_asked
from tasks.intake import callbacks
from tasks.intake.reports import Rejected, Report, Reports, again
from tasks.models import (
    AsyncTask,
    EarlyReport,
    EarlyWebhook,
    EventKind,
    ProviderCredential,
    TaskEvent,
    TaskStatus,
    TaskType,
)
from tasks.providers.catalogue import Catalogue
from tasks.providers.definition import Definition, duration

logger = logging.getLogger(__name__)

MAX_AHEAD = timedelta(days=1)
UNFOLLOWED_DEADLINE = timedelta(days=7)
"""How long a task may stay open that only its gateway reports on."""
EARLY_REPORTS_KEPT = timedelta(days=7)
ENDED_GRACE = timedelta(minutes=1)
"""For so long nobody asks about a task whose end is told with its registration: that is taken in sooner."""
MAX_EARLY_REPORTS = 10_000
"""Of one gateway, that wait for tasks which are not registered."""


@dataclass(slots=True)
class Taken:
    """What became of a body: reports that told something new, that did not, that wait, and that were
    refused.
    """

    accepted: int = 0
    duplicates: int = 0
    pending: int = 0
    rejected: list[Rejected] = field(default_factory=list)


def register(gateway: Gateway, reports: Reports, catalogue: Catalogue) -> Taken:
    """Register tasks, and take in what their reports say already. Committed when it returns.

    Raises OperationalError if the database cannot be reached: then some of them may be kept, and the same
    body may be sent again.
    """
    taken = Taken(rejected=list(reports.rejected))
    now = clock.now()
    timely = _timely(reports.reports, now, taken)
    known = _known(gateway, [report.task_id for _, report in timely])
    fresh = {report.task_id: report for _, report in reversed(timely) if report.task_id not in known}
    told = [report for _, report in timely if report.says_something]
    new = _insert(gateway, list(fresh.values()), now, catalogue, told)
    ids = _known(gateway, [report.task_id for _, report in timely])
    named: set[UUID] = set()
    for _, report in timely:
        task = ids[report.task_id]
        if task.pk in new or report.provider_task_id:
            named.add(task.pk)
        changed = report.says_something and _apply(task, report, catalogue) is Outcome.CHANGED
        if task.pk in new:
            new.discard(task.pk)
            taken.accepted += 1
            _apply_early(gateway, task, report.task_id, catalogue)
        elif changed:
            taken.accepted += 1
        else:
            taken.duplicates += 1
    _apply_webhooks(named, catalogue)
    taken.rejected.sort(key=lambda rejected: rejected.index)
    return taken


def report(gateway: Gateway, reports: Reports, catalogue: Catalogue) -> Taken:
    """Take in reports about tasks, registered or not yet."""
    taken = Taken(rejected=list(reports.rejected))
    known = _known(gateway, [one.task_id for _, one in reports.reports])
    room = 0
    if len(known) < len({one.task_id for _, one in reports.reports}):
        room = MAX_EARLY_REPORTS - EarlyReport.objects.filter(gateway=gateway)[:MAX_EARLY_REPORTS].count()
    for index, one in reports.reports:
        task = known.get(one.task_id)
        if task is None and taken.pending >= room:
            error = (
                "too many reports wait for tasks that are not registered: register this one, and send again"
            )
            taken.rejected.append(Rejected(index, one.task_id, error))
        elif task is None:
            EarlyReport.objects.get_or_create(
                gateway=gateway,
                task_id=one.task_id,
                key=one.key,
                defaults={"body": json.dumps(one.body, ensure_ascii=False)},
            )
            # Registered in this very moment? Its registration may have looked for us before we were there.
            task = _known(gateway, [one.task_id]).get(one.task_id)
            if task is None:
                taken.pending += 1
            else:
                _apply_early(gateway, task, one.task_id, catalogue)
                taken.accepted += 1
        elif _apply(task, one, catalogue) is Outcome.CHANGED:
            taken.accepted += 1
        else:
            taken.duplicates += 1
    _apply_webhooks(
        {
            known[one.task_id].pk
            for _, one in reports.reports
            if one.provider_task_id and one.task_id in known
        },
        catalogue,
    )
    taken.rejected.sort(key=lambda rejected: rejected.index)
    return taken


def first_poll(
    definition: Definition | None, submitted_at: datetime, now: datetime, *, is_told: bool = False
) -> tuple[datetime, datetime]:
    """Return when to ask a provider first, and when to stop waiting. Without a provider to ask, both are
    late; so they are for a task of the past (its provider's time is over) of which its gateway tells itself.
    """
    poll = definition.poll if definition else None
    if poll is None or (is_told and submitted_at + duration(poll.deadline) <= now):
        deadline = max(submitted_at, now) + UNFOLLOWED_DEADLINE
        return deadline, deadline
    first = duration(poll.first)
    # Tasks that come in a batch are not all asked about in the same instant.
    jitter = first * random.uniform(0, 0.25)  # noqa: S311
    # A gateway whose clock is ahead does not put the first poll off.
    due = min(max(submitted_at + first, now), now + first)
    return due + jitter, submitted_at + duration(poll.deadline)


def _timely(reports: Sequence[tuple[int, Report]], now: datetime, taken: Taken) -> list[tuple[int, Report]]:
    oldest = Month.of(now).plus(-settings.RECORD_RETENTION_MONTHS).start
    timely = []
    for index, one in reports:
        assert one.submitted_at is not None  # noqa: S101  # decode(registering=True) requires it
        if one.submitted_at > now + MAX_AHEAD:
            error = f"created_at: {one.submitted_at.isoformat()} lies more than a day ahead; check the clock"
        elif one.submitted_at < oldest:
            error = f"created_at: {one.submitted_at.isoformat()} is older than tasks are kept here"
        else:
            timely.append((index, one))
            continue
        taken.rejected.append(Rejected(index, one.task_id, error))
    return timely


class _Known(NamedTuple):
    pk: UUID
    platform: str
    type: str


def _known(gateway: Gateway, task_ids: Sequence[str]) -> dict[str, _Known]:
    rows = AsyncTask.objects.filter(gateway=gateway, task_id__in=set(task_ids))
    found = rows.values_list("task_id", "pk", "platform", "type")
    return {task_id: _Known(pk, platform, kind) for task_id, pk, platform, kind in found}


def _insert(
    gateway: Gateway, reports: Sequence[Report], now: datetime, catalogue: Catalogue, told: Sequence[Report]
) -> set[UUID]:
    """Insert tasks as queued, with what webhooks said of them beforehand; return the ids of those that nobody
    else inserted meanwhile.

    ``told`` is what their gateway says of them besides, and is taken in next.
    """
    if not reports:
        return set()
    names = resolve(
        gateway,
        users_and_tokens=((one.user, one.token) for one in reports),
        groups=(one.group for one in reports),
        models=(one.model for one in reports),
    )
    told_teams.keep(gateway, _seen(names, reports))
    credentials = _credentials(gateway, {one.definition.slug for one in reports if one.definition})
    said = {one.task_id for one in told}
    ended = {one.task_id for one in told if one.says_the_end}
    rows = [_row(gateway, names, one, now, is_told=one.task_id in said) for one in reports]
    for row, one in zip(rows, reports, strict=True):
        if one.task_id in ended and row.next_poll_at is not None:
            row.next_poll_at = max(row.next_poll_at, now + ENDED_GRACE)
        row.poll_host = host_asked(row, one.definition, credentials.get(row.platform))
    with transaction.atomic():
        AsyncTask.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
        new = _note_submissions([row.pk for row in rows])
        # No crash comes between a task and what waited for it. What came while this transaction was not yet
        # to be seen, nor it by the webhook, is looked for again after the commit.
        _apply_webhooks(new, catalogue)
    return new


def _seen(names: ResolvedNames, reports: Sequence[Report]) -> Iterator[tuple[str, int, datetime]]:
    """Yield whose tasks are of which of the gateway's groups, and when they were submitted."""
    for one in reports:
        if one.user and one.group and one.submitted_at is not None:
            yield one.group, names.users[one.user], one.submitted_at


def _credentials(gateway: Gateway, platforms: set[str]) -> dict[str, ProviderCredential]:
    """Return where each provider is asked for this gateway's tasks; keys are not read."""
    rows = ProviderCredential.objects.filter(
        Q(gateway=gateway) | Q(gateway=None), platform__in=platforms
    ).only("platform", "base_url")
    # The gateway's own comes last, and counts.
    return {row.platform: row for row in rows.order_by(F("gateway_id").asc(nulls_first=True), "pk")}


def _note_submissions(ids: Sequence[UUID]) -> set[UUID]:
    """Begin timelines; return the tasks that had none. bulk_create does not tell which rows were there."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TaskEvent._meta.db_table}"  # noqa: S608  # the table's own name
            ' (task_id, key, at, kind, "before", "after", word, reason, note)'
            " SELECT task.id, 'submitted', task.submitted_at, %s, '', '', '', '', ''"
            f" FROM {AsyncTask._meta.db_table} AS task WHERE task.id = ANY(%s)"
            " ON CONFLICT (task_id, key) DO NOTHING RETURNING task_id",
            [EventKind.SUBMITTED, list(ids)],
        )
        return {task_id for (task_id,) in cursor.fetchall()}


def _row(gateway: Gateway, names: ResolvedNames, one: Report, now: datetime, *, is_told: bool) -> AsyncTask:
    assert one.submitted_at is not None  # noqa: S101
    user_id = names.users[one.user]
    next_poll_at, deadline_at = first_poll(one.definition, one.submitted_at, now, is_told=is_told)
    return AsyncTask(
        id=derived_id(one.submitted_at, gateway.pk, one.task_id),
        submitted_at=one.submitted_at,
        updated_at=now,
        user_id=user_id,
        gateway=gateway,
        token_id=names.tokens[user_id, one.token] if one.token else None,
        model_id=names.models[one.model] if one.model else None,
        group_id=names.groups[one.group] if one.group else None,
        task_id=one.task_id,
        provider_task_id=one.provider_task_id,
        request_id=one.request_id,
        platform=one.platform,
        type=one.type or TaskType.OTHER,
        status=TaskStatus.QUEUED,
        cost=one.cost,
        gateway_refunds=one.gateway_refunds,
        poll_url=one.poll_url,
        poll_parameters=one.poll_parameters,
        next_poll_at=next_poll_at,
        deadline_at=deadline_at,
    )


def _apply(known: _Known, one: Report, catalogue: Catalogue) -> Outcome:
    observation = one.observation(one.definition or catalogue.get(known.platform), known.type)
    return lifecycle.transition(known.pk, observation)[0]


def _apply_webhooks(ids: set[UUID], catalogue: Catalogue) -> None:
    """Apply the webhooks that came before these tasks, or before their provider's ID was told."""
    if ids and EarlyWebhook.objects.exists():
        tasks = AsyncTask.objects.filter(pk__in=ids).exclude(provider_task_id="")
        callbacks.apply_early(list(tasks), catalogue)


def _apply_early(gateway: Gateway, known: _Known, task_id: str, catalogue: Catalogue) -> None:
    waiting = EarlyReport.objects.filter(gateway=gateway, task_id=task_id)
    for pk in list(waiting.order_by("received_at", "pk").values_list("pk", flat=True)):
        early = EarlyReport.objects.filter(pk=pk)
        try:
            if (row := early.first()) is not None:
                body = strict_json.decode(row.body.reveal())
                _apply(known, again(body, row.key, task_id, catalogue), catalogue)
        except (OperationalError, InterfaceError):
            raise
        except (ValueError, DecryptionError) as error:
            logger.error("An early report about the task %s cannot be used: %s", task_id, error)
        except Exception:
            logger.exception("An early report about the task %s could not be applied", task_id)
        early.delete()


def forget_early_reports() -> int:
    """Delete reports about tasks that were never registered. Returns how many."""
    old = EarlyReport.objects.filter(received_at__lt=timezone.now() - EARLY_REPORTS_KEPT)
    return old.delete()[0]
