"""The Celery application. Jobs live in each app's ``jobs.py``; beat's schedule stands in settings."""

import logging
import os
from functools import cached_property

from celery import Celery, signals
from celery.apps.beat import Beat
from celery.beat import Service

from routescope.run.log_lines import LogLines

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "routescope.settings")


class _Beat(Beat):
    """Beat that may be ended while it starts.

    Celery's handler of signals closes the scheduler, and makes one where there is none yet: amid the making
    of the first that fails, on a module half imported or a schedule file already open.
    """

    def install_sync_handler(self, service: Service) -> None:
        """Handle signals from here on, with a scheduler to close."""
        _ = service.scheduler
        super().install_sync_handler(service)


class _Application(Celery):
    Beat = cached_property(lambda self: self.subclass_with_self(_Beat))


app = _Application("routescope")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(related_name="jobs")


@signals.after_setup_logger.connect
@signals.after_setup_task_logger.connect
def _as_ours(logger: logging.Logger, format: str, **kwargs: object) -> None:
    """Have Celery's own handlers do as ours: write a line an event, and bear an engine's absence."""
    from routescope.data import outages

    for handler in logger.handlers:
        handler.setFormatter(LogLines(format))
    outages.quieten(logger)


@signals.after_task_publish.connect
@signals.task_received.connect
def _queue_reached(**kwargs: object) -> None:
    from routescope.data import outages

    outages.queue.over()
