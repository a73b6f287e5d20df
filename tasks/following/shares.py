"""Who may poll now: polls that take long never hold all the places, so that the others' turn comes.

A place is a worker's process. Half of them, at least one, is what all slow hosts have together, and what
the polls have that may lead to any host.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.following.health import SLOW


@dataclass(frozen=True, slots=True)
class Running:
    """A poll under way. ``is_anyones``: of a provider that may be any host."""

    host: str
    is_anyones: bool
    begun_at: datetime


def share_of(places: int) -> int:
    """Return how many places polls that take long may hold together."""
    return max(1, places // 2)


def may_begin(
    host: str,
    *,
    is_anyones: bool,
    running: Sequence[Running],
    slow_hosts: Collection[str],
    places: int,
    now: datetime,
) -> bool:
    """Whether one more poll may begin beside those that are running."""
    share = share_of(places)
    if host in slow_hosts and sum(one.host in slow_hosts for one in running) >= share:
        return False
    # Of a host that nobody has asked yet it is not known whether it is slow: there is no end of such hosts.
    long = sum(one.is_anyones and now - one.begun_at >= SLOW for one in running)
    return not (is_anyones and long >= share)
