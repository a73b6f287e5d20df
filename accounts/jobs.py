"""Background work on exports. Each job is thin: plain values in, one call."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task
from kombu.exceptions import OperationalError as BrokerError

from accounts import exporting

logger = logging.getLogger(__name__)


def hand_over(pk: UUID) -> bool:
    """Give an export to a worker. Returns whether the queue took it; if not, beat tries again."""
    try:
        run_export.apply_async((str(pk),), retry=False)
    except BrokerError:
        logger.warning("Export %s waits: the queue cannot be reached", pk)
        return False
    return True


@shared_task(name="exports.run", ignore_result=True)
def run_export(pk: str) -> None:
    """Write one export, unless a living worker has it."""
    exporting.run(UUID(pk))


@shared_task(name="exports.dispatch", ignore_result=True)
def dispatch() -> int:
    """Hand over the exports that wait, and those whose worker died. Returns how many."""
    handed = 0
    for pk in exporting.waiting():
        if not hand_over(pk):
            break
        handed += 1
    return handed


@shared_task(name="exports.tidy", ignore_result=True)
def tidy() -> None:
    """Delete what has expired."""
    exporting.tidy()
