"""How hosts answer: one that fails or asks to wait is paused, for every provider that is asked there.

By host, not by provider: a "provider" may be any host (a relay, a service of one's own), and several may be
asked at one. Hosts are named by others, so no more than ``MAX_HOSTS`` are remembered.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q

from tasks.following.clock import SLACK
from tasks.following.waits import backoff
from tasks.models import HostHealth

MAX_HOSTS = 1_000
KEPT = timedelta(days=7)
"""How long a host is remembered of which nothing new is to be said."""
LONGEST_PAUSE = timedelta(hours=1)
FAILURES_TO_PAUSE = 3
PAUSE = timedelta(seconds=5)
"""The first pause; also what a host gets that asks to wait without saying how long."""
SLOW = timedelta(seconds=3)
SLOW_KEPT = timedelta(minutes=10)
"""How long a host that took ``SLOW`` counts as slow, unless it is quick meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollOutcome:
    """What one poll told about its host. ``answered``: whether it said anything, be it about another task or
    nothing that can be read; ``failure``: why the poll counts against the host; ``pause``: what it asked for.
    """

    answered: bool
    took: timedelta
    failure: str = ""
    pause: timedelta | None = None


def of(host: str) -> HostHealth | None:
    """Return what is remembered of a host; None where all is well, or nothing known."""
    return HostHealth.objects.filter(pk=host).first() if host else None


def of_all(hosts: Collection[str]) -> dict[str, HostHealth]:
    """Return what is remembered of several hosts, by host."""
    return HostHealth.objects.in_bulk([host for host in hosts if host])


def is_paused(health: HostHealth | None, now: datetime) -> bool:
    """Whether a host is not to be asked now. A pause that was set in the future is none: the clock has
    stepped back since.
    """
    if health is None or health.paused_until is None:
        return False
    return health.paused_until > now and health.noted_at <= now + SLACK


def is_slow(health: HostHealth | None, now: datetime) -> bool:
    """Whether a host's polls have taken long lately."""
    if health is None or health.slow_until is None:
        return False
    return health.slow_until > now and health.noted_at <= now + SLACK


def note(host: str, poll: PollOutcome, now: datetime) -> None:
    """Remember what a poll told. From three failures in a row on the host is paused, longer each time."""
    if not host:
        return
    slow_until = now + SLOW_KEPT if poll.took >= SLOW else None
    pause = None if poll.pause is None else min(poll.pause, LONGEST_PAUSE)
    rows = HostHealth.objects.filter(pk=host)
    if poll.failure:
        _remember(host, now)
        rows.update(
            failures=F("failures") + 1, last_error=poll.failure[:500], slow_until=slow_until, noted_at=now
        )
        failures = rows.values_list("failures", flat=True).first() or 0
        if failures >= FAILURES_TO_PAUSE:
            wait = backoff(PAUSE, timedelta(minutes=2), failures - FAILURES_TO_PAUSE, growth=1.5)
            rows.update(paused_until=now + max(wait, pause or timedelta()))
        elif pause:
            rows.update(paused_until=now + pause)
    elif pause:
        _remember(host, now)
        rows.update(paused_until=now + pause, last_error="HTTP 429", slow_until=slow_until, noted_at=now)
    elif slow_until:
        _remember(host, now)
        healthy = {"failures": 0, "paused_until": None, "last_error": "", "last_answer_at": now}
        rows.update(slow_until=slow_until, noted_at=now, **(healthy if poll.answered else {}))
    elif poll.answered:
        rows.exclude(failures=0, paused_until=None, slow_until=None).update(
            failures=0, paused_until=None, slow_until=None, last_error="", last_answer_at=now, noted_at=now
        )


def forget(now: datetime) -> int:
    """Delete hosts that nothing has been noted of for long. Returns how many."""
    old = HostHealth.objects.filter(Q(paused_until=None) | Q(paused_until__lt=now), noted_at__lt=now - KEPT)
    return old.delete()[0]


def _remember(host: str, now: datetime) -> None:
    _, is_new = HostHealth.objects.get_or_create(pk=host, defaults={"noted_at": now})
    if is_new and HostHealth.objects.count() > MAX_HOSTS:
        # Those go whose pause is over longest, and of them the ones that were noted first.
        keep = HostHealth.objects.order_by(F("paused_until").desc(nulls_last=True), "-noted_at", "pk")
        HostHealth.objects.filter(pk__in=list(keep.values_list("pk", flat=True)[MAX_HOSTS:])).exclude(
            pk=host
        ).delete()
