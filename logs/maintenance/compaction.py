"""Months that are over, packed: their indexes are written anew, page by page full.

Records of many users arrive interleaved, so the pages of their indexes are split in the middle again and
again, and end half empty. Little arrives in a month that is over: once rebuilt, its indexes stay as they are,
a third smaller, and its pages are marked as visible to all, which reading an index alone needs.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone
from psycopg import sql

from logs.ingest.rows import TABLE
from logs.maintenance.retention import SUMS
from routescope.data import partitions, room

logger = logging.getLogger(__name__)

SETTLED = timedelta(days=2)
"""How long after its end a month is packed: gateways may be late."""
_MARK = "packed"


def compact(now: datetime | None = None) -> list[str]:
    """Pack the partitions of months that are over and not packed yet, and the sums with them.

    Returns their names. Readers and writers go on meanwhile. May be broken off: the next run does the rest.
    Must not be called in a transaction.
    """
    before = (now or timezone.now()) - SETTLED
    over = [one.name for one in partitions.existing(TABLE) if one.period.plus(1).start <= before]
    packed = []
    for name in over:
        if _is_marked(name):
            continue
        if not _has_room(name):
            logger.warning("%s is not packed: there is too little room on the disk for its new indexes", name)
            continue
        packed.append(name)
        for index in _trees(name):
            _run("ALTER INDEX {} SET (fillfactor = 100)", sql.Identifier(index))
        _pack(name)
        _run("COMMENT ON TABLE {} IS {}", sql.Identifier(name), sql.Literal(_MARK))
        logger.info("Packed %s", name)
    for name in SUMS if packed else ():
        _pack(name)
    return packed


def _has_room(table: str) -> bool:
    """Say whether the disk, where it is known, holds all of a table's indexes a second time."""
    disk = room.of_database()
    if disk is None:
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_indexes_size(to_regclass(quote_ident(%s)))", [table])
        [size] = cursor.fetchone()
    return bool(size < disk.free - disk.kept)


def _pack(table: str) -> None:
    for left in _left_over(table):
        # Dropped otherwise, it would make everybody wait who comes after a long reader.
        _run("DROP INDEX CONCURRENTLY IF EXISTS {}", sql.Identifier(left))
    _run("REINDEX TABLE CONCURRENTLY {}", sql.Identifier(table))
    _run("VACUUM (ANALYZE) {}", sql.Identifier(table))


def _trees(table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tree.relname FROM pg_index JOIN pg_class AS tree ON tree.oid = indexrelid"
            " JOIN pg_am ON pg_am.oid = tree.relam AND amname = 'btree'"
            " WHERE indrelid = to_regclass(quote_ident(%s))",
            [table],
        )
        return [name for (name,) in cursor.fetchall()]


def _left_over(table: str) -> list[str]:
    """Return the half-made indexes of a run that was broken off."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
            " WHERE indrelid = to_regclass(quote_ident(%s)) AND NOT indisvalid"
            " AND relname ~ '_cc(new|old)\\d*$'",
            [table],
        )
        return [name for (name,) in cursor.fetchall()]


def _is_marked(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT obj_description(to_regclass(quote_ident(%s)), 'pg_class')", [table])
        [mark] = cursor.fetchone()
    return bool(mark == _MARK)


def _run(statement: str, *parts: sql.Composable) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*parts))
