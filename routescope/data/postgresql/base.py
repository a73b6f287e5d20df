"""Django's PostgreSQL connection, kept to `routescope.data.limits`."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from routescope.data import limits
from routescope.data.limits import WorkLimits

_CAN_BE_SET = (TransactionStatus.IDLE, TransactionStatus.INTRANS)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose session has the limits of the work at hand.

    They are sent where they differ from what the session has, before a cursor is handed out: COPY and
    server-side cursors go through here too. Set after connecting and not as a start-up option, which poolers
    refuse.
    """

    _in_force: WorkLimits | None = None
    """What the session has; None where that is not known."""

    def connect(self) -> None:
        self._in_force = None
        super().connect()

    def _cursor(self, name: str | None = None) -> Any:
        self.close_if_health_check_failed()
        self.ensure_connection()
        if self._in_force != (wanted := limits.at_hand()):
            self._keep_to(wanted)
        return super()._cursor(name)  # type: ignore[misc]  # left out of the stubs

    def _keep_to(self, wanted: WorkLimits) -> None:
        if self.connection.info.transaction_status not in _CAN_BE_SET:
            # A transaction that failed takes nothing but its end, which this cursor is for.
            return
        with self.wrap_database_errors:
            # Without a look at the data: an isolation level may still be chosen after it.
            self.connection.execute(wanted.sql)
        self._in_force = wanted

    # What was set in a transaction goes with it.

    def _rollback(self) -> None:
        self._in_force = None
        super()._rollback()  # type: ignore[misc]

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        self._in_force = None
