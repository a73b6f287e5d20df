"""Judging stored tasks: those of before causes were kept, and all again after the rules have changed.

The triggers of the counts move what is judged, in the same transactions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from time import monotonic
from uuid import UUID

from django.db import transaction

from routescope.data import room
from routescope.data.ranges import DAY, TimeRange
from tasks.models import HAS_CAUSE, UNSUCCESSFUL_STATUSES, AsyncTask, TaskDay, TaskStatus
from tasks.outcomes import causes

AT_ONCE = 200
"""Tasks of a transaction: nobody waits longer for one of them."""
_ENDED = (*UNSUCCESSFUL_STATUSES, TaskStatus.PARTIALLY_SUCCEEDED)
_FIRST = UUID(int=0)


def judge_unjudged(most: timedelta) -> int:
    """Judge tasks that ended badly without being judged, newest first, until that time is over.

    Return how many. Those that somebody else holds are left for the next run. May be broken off. Raises
    NoRoomError.
    """
    unjudged = AsyncTask.objects.filter(HAS_CAUSE, cause="").order_by("-id")
    until = monotonic() + most.total_seconds()
    done = 0
    while monotonic() < until:
        with room.for_records(), transaction.atomic():
            tasks = list(unjudged.select_for_update(no_key=True, skip_locked=True)[:AT_ONCE])
            _judge(tasks)
        done += len(tasks)
        if len(tasks) < AT_ONCE:
            break
    return done


def rejudge() -> int:
    """Judge every task that ended badly by today's rules; return how many have another cause now.

    Day by day, of days that hold any. May be broken off and run again: what is right stays.
    Raises NoRoomError.
    """
    ended = TaskDay.objects.filter(status__in=_ENDED).order_by("-start").values_list("start", flat=True)
    changed = 0
    for day in ended.distinct():
        tasks = AsyncTask.objects.within(TimeRange(day, day + DAY)).filter(HAS_CAUSE).order_by("id")
        last: UUID | None = _FIRST
        while last is not None:
            with room.for_records(), transaction.atomic():
                some = list(tasks.filter(id__gt=last).select_for_update(no_key=True)[:AT_ONCE])
                changed += _judge(some)
            last = some[-1].pk if len(some) == AT_ONCE else None
    return changed


def _judge(tasks: Iterable[AsyncTask]) -> int:
    """Judge locked tasks; return of how many the cause is another now."""
    found: defaultdict[str, list[UUID]] = defaultdict(list)
    for task in tasks:
        if (cause := causes.judged(task)) != task.cause:
            found[cause].append(task.pk)
    for cause, ids in found.items():
        AsyncTask.objects.filter(pk__in=ids).update(cause=cause)
    return sum(map(len, found.values()))
