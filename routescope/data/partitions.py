"""Monthly or daily partitions of a table whose key is a time-ordered id.

Bounds are contiguous: the first id of a month, its random bits zero. Partitions are made beside the table and
attached, which lets readers and writers of the others go on; CREATE ... PARTITION OF would lock them all out.

Attaching needs the default partition for itself for a moment, dropping the whole table. Whoever reads them
long (`pg_dump`, a report) must not make us wait, since everybody else would queue behind us:

1. The coming partitions are made beforehand, by a job (``complete``).
2. Whoever stores the first record of a period makes its partition (``ensure``), if that is done in a moment.
   Otherwise the record goes to the default partition, where it is found and counted like any other.
3. The job makes the partition later, and moves what strayed.
"""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import TypeVar

from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import errors, sql

from routescope.data import limits
from routescope.data.apart import must_be_there
from routescope.data.ids import first_id, moment_of
from routescope.data.limits import WorkLimits, limited
from routescope.data.troubles import Trouble, trouble_of

logger = logging.getLogger(__name__)

PUT_OFF = 60.0
"""Seconds for which a process leaves a partition to the job that it could not make at once."""
_MOST_STRAYS_BESIDE = 1_000
"""Rows that a request moves out of the default partition; more are left to the job."""
_TRIES = 5
_PAUSE = 1.0
"""Seconds between the job's tries, in which those who queued behind it go first."""
_DROP = WorkLimits(statement=timedelta(minutes=2), lock=timedelta(seconds=1), idle=timedelta(minutes=1))
_MOVE = WorkLimits(statement=timedelta(minutes=10), lock=timedelta(seconds=1), idle=timedelta(minutes=1))


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month in UTC."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime | date) -> Month:
        if isinstance(moment, datetime):
            moment = moment.astimezone(UTC)
        return cls(moment.year, moment.month)

    def plus(self, months: int) -> Month:
        index = self.year * 12 + self.number - 1 + months
        return Month(index // 12, index % 12 + 1)

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def suffix(self) -> str:
        return f"{self.year:04}_{self.number:02}"


@dataclass(frozen=True, slots=True, order=True)
class Day:
    """A calendar day in UTC."""

    ordinal: int

    @classmethod
    def of(cls, moment: datetime | date) -> Day:
        if isinstance(moment, datetime):
            moment = moment.astimezone(UTC)
        return cls(moment.toordinal())

    def plus(self, days: int) -> Day:
        return Day(self.ordinal + days)

    @property
    def start(self) -> datetime:
        return datetime.combine(date.fromordinal(self.ordinal), time(), tzinfo=UTC)

    @property
    def suffix(self) -> str:
        return f"{self.start:%Y_%m_%d}"


Period = TypeVar("Period", Month, Day)


def partition_name(table: str, month: Month | Day) -> str:
    return f"{table}_{month.suffix}"


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition as it stands. ``rows`` is the planner's estimate, ``size`` bytes with its indexes."""

    name: str
    period: Month | Day
    rows: int
    size: int


def existing(table: str) -> list[Partition]:
    """Return the table's partitions, the oldest first; the default one, for strays, is not among them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT child.relname, greatest(child.reltuples, 0)::bigint, pg_total_relation_size(child.oid)"
            " FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
            " WHERE inhparent = to_regclass(quote_ident(%s))",
            [table],
        )
        rows = cursor.fetchall()
    found = []
    for name, estimate, size in rows:
        numbers = name.removeprefix(f"{table}_").split("_")
        if all(number.isdecimal() for number in numbers):
            year, month, *day = map(int, numbers)
            period = Day.of(date(year, month, day[0])) if day else Month(year, month)
            found.append(Partition(name, period, estimate, size))
    return sorted(found, key=lambda partition: partition.name)


def drop(table: str, partition: Partition, note: Callable[[], object]) -> bool:
    """Drop a partition with all it holds; return whether it was there. ``note`` writes it down, in the same
    transaction.

    Waits for its lock a second at a time: everybody else queues behind it meanwhile. Raises OperationalError
    where readers hold it all the time.
    """
    return _with_patience(partial(_drop, table, partition, note))


def ensure(table: str, periods: Iterable[Period]) -> list[str]:
    """Make those partitions of ``table`` that are missing, where that takes but a moment; return their names.

    Safe from several processes at once. What cannot be made now is left to ``complete``: meanwhile its rows
    go to the default partition. Raises NotThereError in a transaction that has them made apart.
    """
    wanted = {partition_name(table, period): period for period in sorted(set(periods))}
    now = clock.monotonic()
    missing = [name for name in _missing(wanted) if _put_off.get(name, now) <= now]
    if missing:
        must_be_there(partial(ensure, table, wanted.values()))
    return [name for name in missing if _made_beside(table, name, wanted[name])]


def complete(table: str, periods: Iterable[Period], kind: type[Period]) -> tuple[list[str], list[str]]:
    """Make the missing partitions, and those of rows that strayed into the default one, which move over.

    Returns the names of those made, and of those that could not be made since others read all the time: the
    next run tries again. ``kind`` is what the table is divided by.
    """
    wanted = {partition_name(table, one): one for one in sorted({*periods, *_of_strays(table, kind)})}
    made, waiting = [], []
    for name in _missing(wanted):
        try:
            if _with_patience(partial(_create, table, name, wanted[name], _MOVE)):
                made.append(name)
        except DatabaseError as error:
            if trouble_of(error) not in (Trouble.BUSY, Trouble.TOO_LONG):
                raise
            waiting.append(name)
    return made, waiting


_put_off: dict[str, float] = {}
"""Until when a partition that could not be made is not tried again by a request of this process."""


def _missing(wanted: Iterable[str]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(quote_ident(name)) IS NULL",
            [list(wanted)],
        )
        return [name for (name,) in cursor.fetchall()]


def _of_strays(table: str, kind: type[Period]) -> list[Period]:
    """Return the periods of the rows in the default partition: few rows, or it would have been emptied."""
    statement = sql.SQL("SELECT id FROM {} WHERE id >= %s ORDER BY id LIMIT 1").format(_default(table))
    found: list[Period] = []
    with connection.cursor() as cursor:
        after = first_id(datetime(1970, 1, 1, tzinfo=UTC))
        while True:
            cursor.execute(statement, [after])
            row = cursor.fetchone()
            if row is None:
                return found
            found.append(kind.of(moment_of(row[0])))
            after = first_id(found[-1].plus(1).start)


def _made_beside(table: str, name: str, period: Month | Day) -> bool:
    try:
        return _create(table, name, period, limits.BESIDE, most=_MOST_STRAYS_BESIDE)
    except DatabaseError as error:
        if trouble_of(error) not in (Trouble.BUSY, Trouble.TOO_LONG) and not _strayed_meanwhile(error):
            raise
        _put_off[name] = clock.monotonic() + PUT_OFF
        logger.warning("Partition %s cannot be made now; its rows wait in %s_default", name, table)
        return False


def _strayed_meanwhile(error: BaseException) -> bool:
    """Tell whether a row came into the default partition while we moved the others."""
    return isinstance(error, IntegrityError) and isinstance(error.__cause__, errors.CheckViolation)


def _with_patience(work: Callable[[], bool]) -> bool:
    """Do what needs a lock that others hold now and then, a few times. Raises the last OperationalError."""
    for remaining in reversed(range(_TRIES)):
        try:
            return work()
        except DatabaseError as error:
            if (trouble_of(error) is not Trouble.BUSY and not _strayed_meanwhile(error)) or not remaining:
                raise
        clock.sleep(_PAUSE)
    raise AssertionError("unreachable: the last try returns or raises")


def _drop(table: str, partition: Partition, note: Callable[[], object]) -> bool:
    with limited(_DROP), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"partitions of {table}"])
        if not _is_there(cursor, table, partition.name):
            return False
        # First, as readers wait from the drop on.
        note()
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(partition.name)))
    return True


def _create(table: str, name: str, period: Month | Day, within: WorkLimits, most: int | None = None) -> bool:
    """Make a partition and move its rows there; return whether it was missing.

    False too where more than ``most`` rows had to move. Raises OperationalError past the limits.
    """
    names = {
        "table": sql.Identifier(table),
        "name": sql.Identifier(name),
        "stray": _default(table),
        "lower": sql.Literal(str(first_id(period.start))),
        "upper": sql.Literal(str(first_id(period.plus(1).start))),
    }
    with limited(within), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"partitions of {table}"])
        if _is_there(cursor, table, name):
            return False
        if most is not None:
            cursor.execute(sql.SQL(_COUNT_STRAYS).format(**names), [most + 1])
            [strays] = cursor.fetchone()
            if strays > most:
                _put_off[name] = clock.monotonic() + PUT_OFF
                return False
        for statement in _STEPS:
            cursor.execute(sql.SQL(statement).format(**names))
    return True


def _is_there(cursor: CursorWrapper, table: str, name: str) -> bool:
    """Say whether a partition is there.

    Read from the catalogue: to_regclass may answer from what this session knew before it had the lock.
    """
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_class WHERE relname = %s AND relnamespace ="
        " (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(quote_ident(%s))))",
        [name, table],
    )
    [found] = cursor.fetchone()
    return bool(found)


def _default(table: str) -> sql.Identifier:
    return sql.Identifier(f"{table}_default")


_COUNT_STRAYS = (
    "SELECT count(*) FROM (SELECT FROM {stray} WHERE id >= {lower} AND id < {upper} LIMIT %s) AS strays"
)
_MOVE_STRAYS = (
    "WITH moved AS (DELETE FROM {stray} WHERE id >= {lower} AND id < {upper} RETURNING *)"
    " INSERT INTO {name} SELECT * FROM moved"
)
_STEPS = (
    # Its indexes are filled as rows move, and not while everybody waits for the default partition.
    "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE"
    " INCLUDING INDEXES)",
    _MOVE_STRAYS,
    # What attaching needs anyway; from here on readers wait, until the commit.
    "LOCK TABLE {stray} IN ACCESS EXCLUSIVE MODE",
    # Those that strayed while we moved the others.
    _MOVE_STRAYS,
    "ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({lower}) TO ({upper})",
)
