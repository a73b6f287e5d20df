"""Background work on usage records. Each job is thin: plain values in, one call."""

from __future__ import annotations

import logging
from datetime import datetime

from celery import shared_task

from logs import busy_hours, compaction, encrypted, pending, rejudging, repricing, retention

logger = logging.getLogger(__name__)


@shared_task(name="logs.fold")
def fold() -> int:
    """Fold what waits into the sums: the last of it, as ingest folds after many records."""
    return pending.fold()


@shared_task(name="logs.count_busy_hours")
def count_busy_hours(everything: bool = False) -> int:
    """Count the busy hours that are over, for the chart."""
    return busy_hours.count(everything=everything)


@shared_task(name="logs.compact")
def compact() -> list[str]:
    """Pack the months that are over."""
    return compaction.compact()


@shared_task(name="logs.rejudge")
def rejudge(since: str | None = None) -> int:
    """Judge failed records anew, from an ISO 8601 time on or all of them."""
    changed = rejudging.rejudge(datetime.fromisoformat(since) if since else None)
    logger.info("Judged again: the cause of %s records changed", changed)
    return changed


@shared_task(name="logs.price_unpriced")
def price_unpriced(model_id: int | None = None) -> int:
    """Price the calls that had no price, of one model or of all."""
    priced = repricing.price_unpriced(model_id)
    logger.info("Priced late: %s records", priced)
    return priced


@shared_task(name="logs.retention")
def keep_and_drop() -> list[str]:
    """Drop what has expired and make the coming partitions."""
    return retention.run().lines


@shared_task(name="logs.rotate_content")
def rotate_content() -> int:
    """Re-encrypt with the first key whatever is encrypted: contents, provider keys, second factors."""
    done, lost = encrypted.rotate()
    if lost:
        logger.warning("%s stored values are under a key that is not configured", lost)
    return done
