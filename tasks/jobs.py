"""What workers do for tasks. Beat only says "look": what there is to do stands in the database.

Any number of beats and workers may run, die and return: a job that comes twice, late or never costs
nothing but time.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from routescope.run.jobs import Queue, job
from tasks.following import clock, health, leases, polling, refunds
from tasks.intake import early_webhooks, hints, registration
from tasks.maintenance import judging, retention
from tasks.models import WebhookDelivery
from tasks.providers.catalogue import catalogue
from tasks.sums import pending

logger = logging.getLogger(__name__)

DELIVERIES_KEPT = timedelta(days=7)


@job("tasks.dispatch", queue=Queue.QUICK, limit=timedelta(seconds=30))
def dispatch() -> int:
    """Look at what strangers say there is news of, claim the due tasks and hand each to a worker. Returns how
    many.

    No more than ``claims.MAX_UNDER_WAY`` are handed over and not done. What no worker has begun within
    ``claims.HANDOVER`` is let go, so nothing piles up while workers or the broker are away.
    """
    known = catalogue()
    try:
        hints.take(known)
    except Exception:  # The schedule goes on without them.
        logger.exception("Hints of strangers could not be looked at")
    claimed = leases.claim(known)
    sent = 0
    try:
        for claim in claimed:
            poll.apply_async(
                (str(claim.task_id), str(claim.lease)), expires=leases.HANDOVER.total_seconds(), retry=False
            )
            sent += 1
    except BrokerError:
        logger.exception("Polls could not be handed to the workers; they stay due")
    finally:
        if sent < len(claimed):
            leases.release_unsent(claimed[sent:])
    return sent


# Longer than two requests of 15 s, and over before the lease is.
@job(
    "tasks.poll",
    queue=Queue.QUICK,
    limit=timedelta(seconds=35),
    may_meet="each task has a lease of its own",
    noted=False,
)
def poll(task_id: str, lease: str) -> None:
    """Poll one task under its lease."""
    polling.poll(UUID(task_id), UUID(lease), catalogue())


@job("tasks.fold", queue=Queue.QUICK, limit=timedelta(minutes=2))
def fold() -> int:
    """Fold what waits into the counts."""
    return pending.fold()


@job("tasks.judge", queue=Queue.SLOW, limit=timedelta(hours=1))
def judge() -> int:
    """Judge tasks of before causes were kept. Leaves the queue to others in between."""
    return judging.judge_unjudged(timedelta(minutes=10))


@job("tasks.settle_refunds", queue=Queue.QUICK, limit=timedelta(minutes=5))
def settle_refunds() -> None:
    """Give back the charges that arrived after their tasks had failed."""
    refunds.settle_waiting()


@job("tasks.maintenance.retention", queue=Queue.SLOW, limit=timedelta(hours=1))
def keep_and_drop() -> list[str]:
    """Delete tasks that are older than records are kept, and texts that are older than content is."""
    return retention.run().lines


@job("tasks.tidy", queue=Queue.QUICK, limit=timedelta(minutes=10))
def tidy() -> None:
    """Forget what is too old to matter: deliveries that can no longer be replayed, reports and webhooks that
    nobody awaited, hosts that nothing is to be said of.
    """
    WebhookDelivery.objects.filter(received_at__lt=timezone.now() - DELIVERIES_KEPT).delete()
    registration.forget_early_reports()
    early_webhooks.forget()
    health.forget(clock.now())
