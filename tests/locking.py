"""Somebody else's connection, which holds a real lock, as `pg_dump`, psql or another process do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def elsewhere() -> Iterator[BaseDatabaseWrapper]:
    """Yield a second connection, in a transaction that is rolled back at the end."""
    other = connection.copy()
    other.set_autocommit(False)
    try:
        yield other
        other.rollback()
    finally:
        other.close()


@contextmanager
def held(statement: str) -> Iterator[BaseDatabaseWrapper]:
    """Hold, from another connection, what a statement locks: ``LOCK TABLE usage_record``, say."""
    with elsewhere() as other:
        with other.cursor() as cursor:
            cursor.execute(statement)
        yield other
