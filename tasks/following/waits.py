"""How long to wait between polls: growing, bounded, and never in step with others."""

from __future__ import annotations

import random
from datetime import timedelta

from tasks.following.clock import SLACK
from tasks.providers.definition import Definition, duration

WITHOUT_CREDENTIAL = timedelta(minutes=5)
"""Between looks whether somebody has stored the provider's key."""
FAILING = timedelta(minutes=5)
"""What waits after failures in a row grow to, at least."""
_JITTER = 0.25


def backoff(first: timedelta, longest: timedelta, count: int, *, growth: float = 1.3) -> timedelta:
    """Return how long to wait after the ``count``-th attempt."""
    wait = min(longest.total_seconds(), first.total_seconds() * growth ** min(count, 50))
    return timedelta(seconds=wait * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311


def after_answer(definition: Definition | None, polls: int) -> timedelta:
    """Return the wait after an answer, ``polls`` having been made before."""
    if definition is None or definition.poll is None:
        return backoff(WITHOUT_CREDENTIAL, WITHOUT_CREDENTIAL, 0)
    return backoff(duration(definition.poll.every), duration(definition.poll.longest), polls)


def after_failure(definition: Definition | None, failures: int) -> timedelta:
    """Return the wait after a poll without an answer, ``failures`` in a row having gone before it."""
    if definition is None or definition.poll is None:
        return backoff(WITHOUT_CREDENTIAL, WITHOUT_CREDENTIAL, 0)
    every, longest = duration(definition.poll.every), duration(definition.poll.longest)
    return backoff(every, max(longest, FAILING), failures, growth=2)


def longest_wait(definition: Definition) -> timedelta:
    """Return what no wait for a poll of this provider is longer than: a due time further ahead is no wait,
    but left by a clock that has stepped back since.
    """
    poll = definition.poll
    named = (duration(poll.first), duration(poll.longest)) if poll else ()
    return max(FAILING, WITHOUT_CREDENTIAL, *named) * (1 + _JITTER) + SLACK
