"""Tables of digests, each with the user and the id of a record that is found by it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from uuid import UUID

from django.db import connection

Row = tuple[int, int, UUID]
"""A digest, with the user and the id of a record that has it."""


def digest(text: str) -> int:
    """Return the digest of a text, as a bigint."""
    raw = hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(raw, "big", signed=True)


def add(table: str, rows: Iterable[Row]) -> None:
    """Add digests to a table in the caller's transaction; known ones stay."""
    execute(
        f"INSERT INTO {table} (digest, user_id, id) SELECT * FROM unnest(%s::bigint[], %s::int[], %s::uuid[])"  # noqa: S608
        " ON CONFLICT DO NOTHING",
        rows,
    )


def execute(statement: str, rows: Iterable[Row]) -> None:
    """Send a statement whose three values are the rows' columns; nothing without any."""
    columns = list(zip(*rows, strict=True))
    if columns:
        with connection.cursor() as cursor:
            cursor.execute(statement, [list(column) for column in columns])
