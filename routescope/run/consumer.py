"""How a Celery worker takes jobs from the queue: named in settings, loaded by workers alone."""

from __future__ import annotations

import warnings

from celery.exceptions import CPendingDeprecationWarning
from celery.worker import consumer, state


class Consumer(consumer.Consumer):
    """A worker's end of the queue that bears its loss while jobs run."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Forget what the lost connection brought, and connect anew.

        Nothing can be acknowledged or given back through it: kombu would try, and the worker die of that. The
        queue delivers such jobs once more, after its visibility timeout.
        """
        transport = self.connection.transport if self.connection is not None else None
        for channel in getattr(transport, "channels", ()):
            channel.do_restore = False
        for request in tuple(state.reserved_requests | state.active_requests):
            request.acknowledged = True
        with warnings.catch_warnings():
            # That jobs run on and may run twice is meant: each looks in the database for what there is to do.
            warnings.simplefilter("ignore", CPendingDeprecationWarning)
            super().on_connection_error_after_connected(exc)
