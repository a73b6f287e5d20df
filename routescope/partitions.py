"""Monthly or daily partitions of a table whose key is a time-ordered id.

Bounds are contiguous: the first id of a month, its random bits zero. Partitions are made beside the table and
attached, which lets readers and writers of the others go on; CREATE ... PARTITION OF would lock them all out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TypeVar

from django.db import connection, transaction
from psycopg import sql

from routescope.ids import first_id


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


def drop(table: str, partition: Partition) -> None:
    """Drop a partition with all it holds. Raises OperationalError if readers hold it for too long.

    Waits for a lock no longer than a few seconds: everybody else would queue behind.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '5s'")
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"partitions of {table}"])
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(partition.name)))


def ensure(table: str, months: Iterable[Period]) -> list[str]:
    """Make those partitions of ``table`` that are missing; return their names.

    Safe from several processes at once. Rows that an earlier gap left in the default partition move over.
    """
    wanted = {partition_name(table, month): month for month in sorted(set(months))}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(quote_ident(name)) IS NULL",
            [list(wanted)],
        )
        missing = [name for (name,) in cursor.fetchall()]
    return [name for name in missing if _create(table, name, wanted[name])]


def _create(table: str, name: str, month: Month | Day) -> bool:
    lower, upper = first_id(month.start), first_id(month.plus(1).start)
    names = {
        "table": sql.Identifier(table),
        "name": sql.Identifier(name),
        "stray": sql.Identifier(f"{table}_default"),
        "lower": sql.Literal(str(lower)),
        "upper": sql.Literal(str(upper)),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"partitions of {table}"])
        # Read from the catalogue: to_regclass may answer from what this session knew before it had the lock.
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_class WHERE relname = %s AND relnamespace ="
            " (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(quote_ident(%s))))",
            [name, table],
        )
        if cursor.fetchone() == (True,):
            return False
        for statement in (
            "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)",
            "WITH moved AS (DELETE FROM {stray} WHERE id >= {lower} AND id < {upper} RETURNING *)"
            " INSERT INTO {name} SELECT * FROM moved",
            "ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({lower}) TO ({upper})",
        ):
            cursor.execute(sql.SQL(statement).format(**names))
    return True
