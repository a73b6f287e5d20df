"""How long anything may take in PostgreSQL, by kind of work. All limits stand here.

A session has the limits of the work that is at hand: our database backend (`routescope.data.postgresql`) sets
them before the first statement of that work, and sends nothing while the kind of work stays the same.

1. A request is a page, unless its view says ``limited(INGEST)``: the outermost middleware sees to that.
2. A job names its own limit where it is declared (`routescope.run.jobs`).
3. Whatever else runs, a management command or a shell, has a person before it: ``COMMAND``.

Behind a pooler such as pgbouncer, sessions must be the client's own (``pool_mode = session``): in other modes
one client's ``SET`` would be another's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """What one kind of work may take.

    ``statement``: one statement, from its arrival to its end. ``lock``: the wait for one lock, advisory ones
    too. ``idle``: between two statements of a transaction, which holds locks meanwhile.
    """

    statement: timedelta
    lock: timedelta
    idle: timedelta

    @property
    def sql(self) -> str:
        """The statements that give a session these limits."""
        settings = {
            "statement_timeout": self.statement,
            "lock_timeout": self.lock,
            "idle_in_transaction_session_timeout": self.idle,
        }
        return "; ".join(f"SET {name} = {_milliseconds(limit)}" for name, limit in settings.items())


def _milliseconds(limit: timedelta) -> int:
    # 0 would mean without limit.
    return max(1, limit // timedelta(milliseconds=1))


PAGE = WorkLimits(statement=timedelta(seconds=5), lock=timedelta(seconds=1), idle=timedelta(seconds=30))
"""What a person waits for, in a browser or by the read API."""

INGEST = WorkLimits(statement=timedelta(seconds=20), lock=timedelta(seconds=2), idle=timedelta(seconds=30))
"""What a gateway sends. Past a limit it is asked to send the same again."""

IMPORT = WorkLimits(statement=timedelta(minutes=10), lock=timedelta(seconds=30), idle=timedelta(minutes=5))
"""History from another system, in slices that each are one transaction."""

COMMAND = WorkLimits(statement=timedelta(hours=12), lock=timedelta(seconds=10), idle=timedelta(minutes=15))
"""What somebody runs by hand, and a migration: its index over a large table may take hours, but whoever
waits for a lock of a table holds up all who come after.
"""

BESIDE = WorkLimits(
    statement=timedelta(seconds=2), lock=timedelta(milliseconds=250), idle=timedelta(seconds=10)
)
"""What a request does in passing and can leave to a job: it must not keep anybody waiting."""


def of_job(limit: timedelta, lock: timedelta = timedelta(seconds=5)) -> WorkLimits:
    """Return the limits of a job that may take ``limit`` as a whole."""
    return WorkLimits(statement=limit, lock=lock, idle=min(limit, timedelta(minutes=5)))


CONNECTION: dict[str, int | str] = {
    # Seconds until a server that does not answer counts as away.
    "connect_timeout": 5,
    # A server that went without a word, over TCP: noticed after a minute in silence, or after half a minute
    # while it owes us an acknowledgement. The embedded one is behind a socket, which knows at once.
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""libpq's parameters of every connection. Those in DATABASE_URL come before them."""


_at_hand: ContextVar[WorkLimits] = ContextVar("limits of the work at hand", default=COMMAND)


def at_hand() -> WorkLimits:
    """Return the limits of what this thread is doing."""
    return _at_hand.get()


@contextmanager
def limited(limits: WorkLimits) -> Iterator[None]:
    """Do what is inside under these limits, on whichever connection of this thread it asks."""
    token = _at_hand.set(limits)
    try:
        yield
    finally:
        _at_hand.reset(token)
