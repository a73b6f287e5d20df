"""Background work on exports. Each job is thin: plain values in, one call."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from kombu.exceptions import OperationalError as BrokerError

from accounts.exports import exporting
from routescope.run.jobs import Queue, job

logger = logging.getLogger(__name__)


def hand_over(pk: UUID) -> bool:
    """Give an export to a worker. Returns whether the queue took it; if not, beat tries again."""
    try:
        run_export.apply_async((str(pk),), retry=False)
    except BrokerError:
        logger.warning("Export %s waits: the queue cannot be reached", pk)
        return False
    return True


@job(
    "exports.run",
    queue=Queue.SLOW,
    limit=exporting.TURN,
    may_meet="each export has a lease of its own",
    noted=False,
)
def run_export(pk: str) -> None:
    """Write one export, unless a living worker has it."""
    exporting.run(UUID(pk))


@job("exports.dispatch", queue=Queue.QUICK, limit=timedelta(seconds=30))
def dispatch() -> int:
    """Hand over the exports that wait, and those whose worker died. Returns how many."""
    handed = 0
    for pk in exporting.waiting():
        if not hand_over(pk):
            break
        handed += 1
    return handed


@job("exports.tidy", queue=Queue.SLOW, limit=timedelta(minutes=10))
def tidy() -> None:
    """Delete what has expired."""
    exporting.tidy()
