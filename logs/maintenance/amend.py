"""Changing stored records afterwards: a cause judged anew, a price found late. The rollups follow exactly.

A price that stands is never changed: only a record without one gets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.db.models import Q
from psycopg.types.json import Jsonb

from logs.models import UsageHour, UsageRecord, UsageTotalHour
from logs.models.events import JSONObject
from logs.rollups import pending
from routescope.data import room
from routescope.data.ranges import HOUR, TimeRange, floor
from routescope.data.scopes import id_range

CHUNK = 1_000
_AMEND = (Path(__file__).parent / "sql" / "amend.sql").read_text() + pending.APPEND
_STAGE = """
    CREATE TEMP TABLE IF NOT EXISTS usage_amend (
        user_id integer, id uuid, cause smallint, cost numeric(24, 12), billing jsonb
    ) ON COMMIT DELETE ROWS
"""
_COPY = "COPY usage_amend (user_id, id, cause, cost, billing) FROM STDIN (FORMAT BINARY)"


@dataclass(frozen=True, slots=True)
class Amendment:
    """What one record shall read: all three, changed or not. ``billing`` None leaves it as it is."""

    user_id: int
    id: UUID
    cause: int
    cost: Decimal | None
    billing: JSONObject | None = None


def amend(amendments: Sequence[Amendment]) -> int:
    """Write the amendments and move the sums in one transaction; return how many records changed.

    Raises NoRoomError.
    """
    if not amendments:
        return 0
    with (
        room.for_records(),
        transaction.atomic(),
        connection.wrap_database_errors,
        connection.cursor() as cursor,
    ):
        cursor.execute(_STAGE)
        cursor.execute("TRUNCATE usage_amend")
        with cursor.copy(_COPY) as copy:
            copy.set_types(["int4", "uuid", "int2", "numeric", "jsonb"])
            for row in amendments:
                billing = None if row.billing is None else Jsonb(row.billing, msgspec.json.encode)
                copy.write_row((row.user_id, row.id, row.cause, row.cost, billing))
        cursor.execute(_AMEND)
        [changed] = cursor.fetchone()
    return int(changed)


def hours_with(condition: Q, since: datetime | None = None) -> list[datetime]:
    """Return the UTC hours in which any user has records of a condition on sums, oldest first."""
    rows = UsageTotalHour.objects.filter(condition)
    if since is not None:
        rows = rows.filter(start__gte=floor(since, HOUR))
    return sorted(set(rows.values_list("start", flat=True)))


def records_of(hour: datetime, condition: Q, *related: str) -> Iterator[list[UsageRecord]]:
    """Yield the records of a UTC hour, of all users, that meet a condition, in chunks."""
    users = UsageHour.objects.filter(start=hour).values_list("user_id", flat=True).distinct()
    stretch = id_range(TimeRange(hour, hour + HOUR))
    for batch in _chunks(sorted(users), 200):
        rows = UsageRecord.objects.filter(stretch, condition, user_id__in=batch).order_by("user_id", "id")
        yield from _chunks((rows.select_related(*related) if related else rows).iterator(CHUNK), CHUNK)


_Item = TypeVar("_Item")


def _chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    chunk: list[_Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
