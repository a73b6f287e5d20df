"""Background work on usage records. Each job is thin: plain values in, one call."""

from __future__ import annotations

import logging
from datetime import datetime

from celery import shared_task

from logs import rejudging

logger = logging.getLogger(__name__)


@shared_task(name="logs.rejudge")
def rejudge(since: str | None = None) -> int:
    """Judge failed records anew, from an ISO 8601 time on or all of them."""
    changed = rejudging.rejudge(datetime.fromisoformat(since) if since else None)
    logger.info("Judged again: the cause of %s records changed", changed)
    return changed
