"""One view of the database for everything that a page shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


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
