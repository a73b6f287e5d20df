"""Counts on their way into the rollups: appended by triggers, folded in by one process at a time.

The views that are read hold both: they are exact after every commit, folded in or not.
"""

from __future__ import annotations

from pathlib import Path

from django.db import connection, transaction

_SQL = Path(__file__).parent / "sql"
_FOLD = (_SQL / "fold.sql").read_text()
_FORGET_EMPTY = (_SQL / "forget_empty.sql").read_text()
_LOCK = "hashtext('fold sums of tasks')"
_AT_ONCE = 50_000


def fold() -> int:
    """Fold what waits into the rollups; return how many rows. 0 where another process is at it."""
    folded = 0
    while True:
        count = _fold_some()
        folded += count
        if count < _AT_ONCE:
            return folded


def _fold_some() -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_xact_lock({_LOCK})")
        if cursor.fetchone() != (True,):
            return 0
        cursor.execute(_FOLD, {"most": _AT_ONCE})
        [count, users, starts] = cursor.fetchone()
        if users:
            cursor.execute(_FORGET_EMPTY, {"users": users, "starts": starts})
    return int(count)
