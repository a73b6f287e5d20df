"""The spans of late in the database: what is known of a request's traces, and what comes new."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection
from django.utils import timezone

from logs.ingest.calls import merging
from logs.ingest.calls.ancestry import Key
from logs.ingest.calls.merging import Counted
from logs.models import KnownSpan

Kind = KnownSpan.Kind

MOST_OF_TRACE = 2_000
"""Spans of one trace that are kept: in longer ones relations are told within a request alone."""
KEEP_CALLS = timedelta(days=1)
"""How long a call's spans may still be sent again, or others of it come."""
KEEP_LINKS = timedelta(hours=1)
KEEP_LONE_LINKS = timedelta(minutes=15)
"""The same in a trace without a call so far: of most traces none ever comes."""
_FORGOTTEN_AT_ONCE = 5_000
_MOST_MEETING = 5_000
_FORGET = (
    "DELETE FROM usage_span"
    " WHERE ctid = ANY(ARRAY(SELECT ctid FROM usage_span WHERE expires_at < %s LIMIT %s))"
)
_INSERT = """
    INSERT INTO usage_span (gateway_id, trace_id, span_id, parent_id, kind, meet_key, met_at, user_id,
    record_id,
        told, expires_at)
    SELECT %s, * FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::smallint[], %s::uuid[],
        %s::timestamptz[], %s::int[], %s::uuid[], %s::bytea[], %s::timestamptz[])
    ON CONFLICT (gateway_id, trace_id, span_id) DO UPDATE SET
        kind = excluded.kind, meet_key = excluded.meet_key, user_id = excluded.user_id,
        record_id = excluded.record_id, told = excluded.told, expires_at = excluded.expires_at
"""


class SpanRow(msgspec.Struct, kw_only=True):
    """A span as it is kept. ``record_id`` None of a call: it is the sum of others, and no call itself."""

    key: Key
    parent: Key | None
    kind: int
    meet_key: str | None = None
    met_at: datetime | None = None
    user_id: int | None = None
    record_id: UUID | None = None
    told: Counted | None = None


_COLUMNS = "trace_id, span_id, parent_id, kind, meet_key, met_at, user_id, record_id, told"


def of_traces(gateway_id: int, traces: Iterable[str]) -> dict[Key, SpanRow]:
    """Return what is known of some traces' spans."""
    wanted = [UUID(hex=trace) for trace in traces]
    if not wanted:
        return {}
    return _select(
        f"SELECT {_COLUMNS} FROM usage_span WHERE gateway_id = %s AND trace_id = ANY(%s)",  # noqa: S608
        gateway_id,
        wanted,
    )


def meeting(gateway_id: int, wanted: Iterable[tuple[str, datetime, timedelta]]) -> dict[Key, SpanRow]:
    """Return the calls whose spans met others under a key about a time, so far around it."""
    columns = list(
        zip(*((UUID(hex=key), at - around, at + around) for key, at, around in wanted), strict=True)
    )
    if not columns:
        return {}
    return _select(
        f"SELECT {_COLUMNS} FROM usage_span"  # noqa: S608
        " JOIN (SELECT DISTINCT * FROM unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[]))"
        " AS wanted (of_key, since, until) ON meet_key = of_key AND met_at BETWEEN since AND until"
        " WHERE gateway_id = %s LIMIT %s",
        *(list(column) for column in columns),
        gateway_id,
        _MOST_MEETING,
    )


def _select(statement: str, *values: Any) -> dict[Key, SpanRow]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows = [_row(found) for found in cursor.fetchall()]
    return {row.key: row for row in rows}


def add(gateway_id: int, rows: Iterable[SpanRow], with_calls: Collection[str]) -> None:
    """Keep spans; what is known of one of them already gives way. ``with_calls``: traces that have calls."""
    now = timezone.now()

    def keep(row: SpanRow) -> timedelta:
        if row.kind != Kind.LINK:
            return KEEP_CALLS
        return KEEP_LINKS if row.key[0] in with_calls else KEEP_LONE_LINKS

    values = [
        (
            UUID(hex=row.key[0]),
            _number(row.key[1]),
            None if row.parent is None else _number(row.parent[1]),
            row.kind,
            None if row.meet_key is None else UUID(hex=row.meet_key),
            row.met_at,
            row.user_id,
            row.record_id,
            None if row.told is None else merging.encode(row.told),
            now + keep(row),
        )
        for row in rows
    ]
    if values:
        with connection.cursor() as cursor:
            columns: list[Any] = [list(column) for column in zip(*values, strict=True)]
            cursor.execute(_INSERT, [gateway_id, *columns])


def moved(gateway_id: int, places: Iterable[tuple[UUID, UUID, int]]) -> None:
    """Have spans follow their records: the id until now, the id from now on and its user."""
    columns = list(zip(*places, strict=True))
    if columns:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE usage_span SET record_id = to_id, user_id = to_user"
                " FROM unnest(%s::uuid[], %s::uuid[], %s::int[]) AS place (from_id, to_id, to_user)"
                " WHERE gateway_id = %s AND record_id = from_id",
                [*(list(column) for column in columns), gateway_id],
            )


def are_there(gateway_id: int) -> bool:
    """Tell whether a gateway sent spans of late."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM usage_span WHERE gateway_id = %s AND record_id IS NOT NULL)",
            [gateway_id],
        )
        [found] = cursor.fetchone()
    return bool(found)


def forget() -> None:
    """Delete some of what has expired: more than most requests add, and a job deletes the rest."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [timezone.now(), _FORGOTTEN_AT_ONCE])


def _row(values: tuple[Any, ...]) -> SpanRow:
    trace, span, parent, kind, meet_key, met_at, user_id, record_id, told = values
    return SpanRow(
        key=(trace.hex, _hex(span)),
        parent=None if parent is None else (trace.hex, _hex(parent)),
        kind=kind,
        meet_key=None if meet_key is None else meet_key.hex,
        met_at=met_at,
        user_id=user_id,
        record_id=record_id,
        told=None if told is None else merging.decode(bytes(told)),
    )


def _number(span: str) -> int:
    return int.from_bytes(bytes.fromhex(span), "big", signed=True)


def _hex(number: int) -> str:
    return number.to_bytes(8, "big", signed=True).hex()
