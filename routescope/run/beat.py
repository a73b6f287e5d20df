"""Beat whose clock may be set: it goes on at once, and sends nothing twice for it."""

from __future__ import annotations

import logging
from typing import Any

from celery.beat import PersistentScheduler
from celery.utils.time import maybe_make_aware

logger = logging.getLogger(__name__)


class Scheduler(PersistentScheduler):
    """Celery's scheduler, which waits until the clock is back where each job ran last.

    A clock that steps back an hour would stop every job for that hour: each was sent, so it seems, in the
    future. Such a job counts as sent now. Forward nothing is needed: what became due is sent once.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; return the seconds until the next look."""
        self._come_back_from_the_future()
        return float(super().tick(*args, **kwargs))

    def _come_back_from_the_future(self) -> None:
        stepped = False
        for entry in self.schedule.values():
            now = maybe_make_aware(entry.default_now())
            if entry.last_run_at is not None and maybe_make_aware(entry.last_run_at) > now:
                entry.last_run_at = now
                stepped = True
        if stepped:
            logger.warning("The clock was set back; the jobs go on from now")
            # Made anew by the next look: it holds the moments of the other clock.
            self._heap = None
