"""The frame's own job: to say what does not run."""

from __future__ import annotations

import logging
from datetime import timedelta

from routescope.run.jobs import Queue, job
from routescope.run.overdue import overdue

logger = logging.getLogger(__name__)


@job("jobs.watch", queue=Queue.QUICK, limit=timedelta(seconds=30))
def watch() -> list[str]:
    """Say in the log which periodic jobs are overdue; return their names."""
    late = overdue()
    for one in late:
        last = f"{one.succeeded_at:%Y-%m-%d %H:%M} UTC" if one.succeeded_at else "never"
        logger.error(
            "%s is overdue since %s UTC; its last success: %s", one.name, f"{one.due:%Y-%m-%d %H:%M}", last
        )
    return [one.name for one in late]
