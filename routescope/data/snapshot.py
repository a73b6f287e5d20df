"""One view of the database for everything that a page shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from routescope.data import limits


@contextmanager
def snapshot() -> Iterator[None]:
    """Read in one REPEATABLE READ transaction, so that list, sums and chart are of the same moment.

    Inside a transaction that is already open the caller's isolation stands: PostgreSQL sets it only before
    the first query.
    """
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


class SharedSnapshot:
    """One view of the database that many transactions read, for work between whose steps others must see how
    far it is.

    A connection of its own holds the view open from ``with`` to its end. Inside a transaction that is already
    open the caller's view stands.
    """

    def __init__(self) -> None:
        self._holder: BaseDatabaseWrapper | None = None
        self._name = ""

    def __enter__(self) -> SharedSnapshot:
        if connection.in_atomic_block:
            return self
        self._holder = connection.copy()
        self._holder.set_autocommit(False)
        with self._holder.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # It says nothing until the end: as long as the work may take as a whole, and no longer.
            longest = limits.at_hand().statement // timedelta(milliseconds=1)
            cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = {longest}")
            cursor.execute("SELECT pg_export_snapshot()")
            self._name = cursor.fetchone()[0]
        return self

    def __exit__(self, *_: object) -> None:
        if self._holder is not None:
            self._holder.rollback()
            self._holder.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the view in a transaction of the usual connection."""
        if self._holder is None:
            yield
            return
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                cursor.execute("SET TRANSACTION SNAPSHOT %s", [self._name])
            yield
