"""Background work on usage records. Each job is thin: plain values in, one call."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from logs.content import rotation
from logs.ingest import span_contents
from logs.ingest.calls import span_rows
from logs.maintenance import answered, compaction, late_prices, rejudging, retention
from logs.rollups import bounds, busy_hours, latencies, minute_sums, pending, unusual
from routescope.run.jobs import Queue, job

logger = logging.getLogger(__name__)


@job("logs.fold", queue=Queue.QUICK, limit=timedelta(minutes=2))
def fold() -> int:
    """Fold what waits into the sums: the last of it, as ingest folds after many records."""
    return pending.fold()


@job("logs.count_busy_hours", queue=Queue.SLOW, limit=timedelta(hours=1))
def count_busy_hours(everything: bool = False) -> int:
    """Count the busy hours that are over, for the chart."""
    return busy_hours.count(everything=everything)


@job("logs.latencies", queue=Queue.SLOW, limit=timedelta(hours=1))
def count_latencies(everything: bool = False) -> int:
    """Count how long the calls of hours and days that are over took, for ten minutes at most."""
    return latencies.count(timedelta(minutes=10), everything=everything)


@job("logs.bounds", queue=Queue.SLOW, limit=timedelta(hours=1))
def fill_bounds() -> int:
    """Read the bounds of sums that are older than bounds are. Leaves the queue to others in between."""
    return bounds.fill(timedelta(minutes=10))


@job("logs.minutes", queue=Queue.SLOW, limit=timedelta(hours=1))
def count_minutes() -> int:
    """Count everybody's minutes of days that have none, and then their busy hours."""
    done = minute_sums.fill(timedelta(minutes=10))
    if done and not minute_sums.is_filling():
        busy_hours.count(everything=True)
    return len(done)


@job("logs.unusual", queue=Queue.SLOW, limit=timedelta(hours=1))
def compare_hours() -> int:
    """Compare the hours that are over with what is usual."""
    return unusual.compare(timedelta(minutes=10))


# It waits for long readers, which nobody else has to do on its account: see there.
@job("logs.compact", queue=Queue.SLOW, limit=timedelta(hours=4), lock=timedelta(minutes=30))
def compact() -> list[str]:
    """Pack the months that are over."""
    return compaction.compact()


@job(
    "logs.rejudge",
    queue=Queue.SLOW,
    limit=timedelta(hours=2),
    may_meet="a record is amended once, whoever is first",
)
def rejudge(since: str | None = None) -> int:
    """Judge failed records anew, from an ISO 8601 time on or all of them."""
    changed = rejudging.rejudge(datetime.fromisoformat(since) if since else None)
    logger.info("Judged again: the cause of %s records changed", changed)
    return changed


@job(
    "logs.retell_answered",
    queue=Queue.SLOW,
    limit=timedelta(hours=2),
    may_meet="each record is told anew under its lock, by what names stand for at that moment",
)
def retell_answered(names: list[str]) -> int:
    """Tell anew which model answered the calls that name a deployment."""
    changed = answered.retell(names)
    logger.info("Told anew: which model answered %s records", changed)
    return changed


@job(
    "logs.price_unpriced",
    queue=Queue.SLOW,
    limit=timedelta(hours=2),
    may_meet="only a record without a price gets one, and those of one model must not wait for the night's",
)
def price_unpriced(model_id: int | None = None) -> int:
    """Price the calls that had no price, of one model or of all."""
    priced = late_prices.price_unpriced(model_id)
    logger.info("Priced late: %s records", priced)
    return priced


@job("logs.partitions", queue=Queue.QUICK, limit=timedelta(minutes=10))
def make_partitions() -> list[str]:
    """Make the coming partitions, and those of records that came while theirs could not be made."""
    return retention.make_partitions().lines


@job("logs.spans", queue=Queue.QUICK, limit=timedelta(minutes=2))
def forget_spans() -> None:
    """Delete spans of late that have expired, and content that waited for one in vain."""
    span_rows.forget()
    span_contents.forget()


@job("logs.maintenance.retention", queue=Queue.SLOW, limit=timedelta(hours=1))
def keep_and_drop() -> list[str]:
    """Drop what has expired and make the coming partitions."""
    return retention.run().lines


@job("logs.rotate_content", queue=Queue.SLOW, limit=timedelta(hours=2))
def rotate_content() -> int:
    """Re-encrypt with the first key whatever is encrypted: contents, provider keys, second factors."""
    done, lost = rotation.rotate()
    if lost:
        logger.warning("%s stored values are under a key that is not configured", lost)
    return done
