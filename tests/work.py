"""The work that statements are, counted by PostgreSQL: the same on a busy machine as on an idle one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection

_COUNTS = """
SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0), coalesce(sum(n_tup_del), 0)
FROM pg_stat_xact_user_tables WHERE relname LIKE %s
"""


@dataclass
class Work:
    """Rows that statements read and deleted, whether or not they were asked for."""

    read: int = 0
    deleted: int = 0


def so_far(tables: str) -> Work:
    """Return the work of the open transaction on the tables, a pattern of ``LIKE``."""
    assert connection.in_atomic_block, "PostgreSQL counts by the transaction."
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [tables])
        return Work(*map(int, cursor.fetchone()))


@contextmanager
def counted(tables: str) -> Iterator[Work]:
    """Count the work inside the block, in the test's own transaction."""
    before, done = so_far(tables), Work()
    yield done
    after = so_far(tables)
    done.read, done.deleted = after.read - before.read, after.deleted - before.deleted
