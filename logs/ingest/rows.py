"""Records as rows of their table: inserted with what they add to the sums, or given other values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from ipaddress import ip_address
from operator import itemgetter
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import IntegrityError, OperationalError, connection, transaction
from psycopg import errors
from psycopg.types.json import Jsonb

from accounts.identities.resolving import ResolvedNames
from logs.content import contents
from logs.content.contents import Captured
from logs.ingest import storable
from logs.ingest.beside import Beside
from logs.models.events import Failure, UsageEvent
from logs.rollups import pending
from routescope.data.ids import derived_bytes

TABLE = "usage_record"
_COMPLETE = (Path(__file__).parent / "sql" / "complete.sql").read_text() + pending.APPEND
_REMOVE = (Path(__file__).parent / "sql" / "remove.sql").read_text() + pending.APPEND
_STAGE = f"CREATE TEMP TABLE IF NOT EXISTS usage_stage (LIKE {TABLE}) ON COMMIT DELETE ROWS"
COLUMNS = {
    "id": "bytea",  # A uuid's own bytes, which COPY sends alike.
    "created_at": "timestamptz",
    "user_id": "int4",
    "gateway_id": "int4",
    "token_id": "int4",
    "model_id": "int4",
    "group_id": "int4",
    "input_tokens": "int4",
    "output_tokens": "int4",
    "cached_tokens": "int4",
    "duration_ms": "int4",
    "ttft_ms": "int4",
    "cache_write_tokens": "int4",
    "reasoning_tokens": "int4",
    "audio_input_tokens": "int4",
    "audio_output_tokens": "int4",
    "image_count": "int4",
    "type": "int2",
    "status": "int2",
    "cause": "int2",
    "http_status": "int2",
    "stream": "bool",
    "cost": "numeric",
    "request_id": "text",
    "upstream_request_id": "text",
    "task_id": "text",
    "endpoint": "text",
    "provider": "text",
    "channel": "text",
    "ip": "inet",
    "user_agent": "text",
    "error_type": "text",
    "error_code": "text",
    "error_message": "text",
    "error_param": "text",
    "parameters": "jsonb",
    "quantities": "jsonb",
    "billing": "jsonb",
    "attempts": "jsonb",
    "metadata": "jsonb",
    "content": "int2",
    "usage_estimated": "bool",
}
_ORDER = list(COLUMNS)
_TYPES = list(COLUMNS.values())
_COPY = f"COPY {{}} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_ID, _CREATED_AT, _USER = (_ORDER.index(name) for name in ("id", "created_at", "user_id"))
_place = itemgetter(_USER, _ID)
_summed = itemgetter(*(_ORDER.index(name) for name in pending.SUMMED))
_Values = tuple[Any, ...]
"""A record's values in the order of ``COLUMNS``."""
_Key = tuple[int, bytes]
"""User and id: the table's key."""
_NO_FAILURE = Failure()
_TRIES = 4


def insert(
    rows: Sequence[_Values],
    captured: Sequence[Captured],
    led_elsewhere: bool,
    found_by: Beside,
) -> int:
    """Insert the records that are not here yet, with their sums and content; return how many they were.

    ``led_elsewhere``: somebody else may have them too. ``found_by`` is what is kept beside them.
    """
    fresh: dict[_Key, _Values] = {}
    for row in rows:
        fresh.setdefault(_place(row), row)
    # Records that are here already are rare, and come as whole batches that were sent again, which the first
    # one tells: so the others are not looked for until one of them is in the way.
    if led_elsewhere:
        _forget(fresh, _stored_of_anybody(fresh.values()))
    first = next(iter(fresh), None)
    if first and _stored([first]):
        _forget(fresh, _stored(list(fresh)))
    for remaining in reversed(range(_TRIES)):
        try:
            with transaction.atomic(), connection.wrap_database_errors:
                # In the order of the key: the index is written page by page.
                _copy(TABLE, sorted(fresh.values(), key=_place))
                pending.append(map(_summed, fresh.values()))
                contents.write([one for one in captured if (one.user_id, one.id.bytes) in fresh])
                found_by.write(fresh)
            return len(fresh)
        except IntegrityError as error:
            if not isinstance(error.__cause__, errors.UniqueViolation) or not remaining:
                raise
            _forget(fresh, _stored(list(fresh)))
        except OperationalError as error:
            retryable = isinstance(error.__cause__, (errors.DeadlockDetected, errors.SerializationFailure))
            if not retryable or not remaining or connection.in_atomic_block:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


def remove(places: Sequence[tuple[int, UUID]]) -> None:
    """Delete records by user and id, in the caller's transaction; the sums follow."""
    if places:
        with connection.wrap_database_errors, connection.cursor() as cursor:
            cursor.execute(_REMOVE, [[user for user, _ in places], [identifier for _, identifier in places]])


def _stored(keys: Sequence[_Key]) -> list[_Key]:
    """Return those of the records' keys that are here already. The bounds leave other partitions alone."""
    identifiers = [UUID(bytes=identifier) for _, identifier in keys]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT user_id, id FROM {TABLE} JOIN unnest(%s::integer[], %s::uuid[]) AS came (user_id, id)"  # noqa: S608
            " USING (user_id, id) WHERE id BETWEEN %s AND %s",
            [[user for user, _ in keys], identifiers, min(identifiers), max(identifiers)],
        )
        return [(user, identifier.bytes) for user, identifier in cursor.fetchall()]


def _stored_of_anybody(rows: Collection[_Values]) -> list[_Key]:
    """Return the keys of the records that are here already, whoever has them, by the index on the time."""
    keys = {row[_ID]: _place(row) for row in rows}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {TABLE} WHERE id = ANY(%s) AND created_at = ANY(%s)",  # noqa: S608
            [[UUID(bytes=identifier) for identifier in keys], [row[_CREATED_AT] for row in rows]],
        )
        return [keys[identifier.bytes] for (identifier,) in cursor.fetchall()]


def _forget(fresh: dict[_Key, _Values], known: Iterable[_Key]) -> None:
    for key in known:
        fresh.pop(key, None)


def update(rows: Sequence[_Values]) -> None:
    """Give stored records the values of these rows, in the caller's transaction; the sums follow."""
    with connection.wrap_database_errors, connection.cursor() as cursor:
        cursor.execute(_STAGE)
        # The stage empties itself on commit, which the caller puts off.
        cursor.execute("TRUNCATE usage_stage")
        _copy("usage_stage", rows)
        cursor.execute(_COMPLETE)


def _copy(table: str, rows: Sequence[_Values]) -> None:
    with connection.cursor() as cursor, cursor.copy(_COPY.format(table)) as copy:
        copy.set_types(_TYPES)
        for row in rows:
            copy.write_row(row)


def row_of(gateway_id: int, names: ResolvedNames, event: UsageEvent) -> _Values:
    """Return the record's values in the order of ``COLUMNS``. Raises RecordError."""
    user_id = names.users[event.user]
    error = event.error or _NO_FAILURE
    kind = int(event.type)
    columns = storable.encoded(event)
    return (
        derived_bytes(event.created_at, gateway_id, event.identity or event.request_id, kind),
        event.created_at,
        user_id,
        gateway_id,
        names.tokens[user_id, event.token] if event.token else None,
        names.models[event.model] if event.model else None,
        names.groups[event.group] if event.group else None,
        event.input_tokens,
        event.output_tokens,
        event.cached_tokens,
        event.duration_ms,
        event.ttft_ms,
        event.cache_write_tokens,
        event.reasoning_tokens,
        event.audio_input_tokens,
        event.audio_output_tokens,
        event.image_count,
        kind,
        int(event.status),
        int(event.cause),
        event.http_status,
        event.stream,
        event.cost,
        event.request_id,
        event.upstream_request_id,
        event.task_id,
        event.endpoint,
        event.provider,
        event.channel,
        ip_address(event.ip) if event.ip else None,
        event.user_agent,
        error.type,
        error.code,
        error.message,
        error.param,
        _json(columns["parameters"]),
        _json(columns["quantities"]),
        _json(columns["billing"]),
        _json(columns["attempts"]),
        _json(columns["metadata"]),
        event.content,
        # NULL is in no row's way; "reported" would cost every row a byte.
        event.usage_estimated or None,
    )


def _json(text: bytes | None) -> Jsonb | None:
    return None if text is None else Jsonb(text, _as_it_is)


def _as_it_is(text: bytes) -> bytes:
    return text
