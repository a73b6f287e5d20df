"""Further IDs by which records are found: of their trace and spans, and the provider's where it is not
theirs.

A table of its own, partitioned by month as the records are: an ID in a record's metadata has no index, and
one over all metadata would cost every record. An ID stands here by its digest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import connection, models

from logs.models import digests
from logs.models.digests import digest
from routescope.text.identifiers import kept

TABLE = "usage_further_id"
MOST_FOUND = 1_000
"""Records that one ID leads to, the newest of them: a trace may go on for days."""
NAMES = ("trace_id", "span_id", "call_id", "provider_request_id", "client_request_id", "x_request_id")
"""Fields of a record's metadata that hold one."""
LISTS = ("merged_spans", "merged_traces")
"""Fields that hold several."""
_MOST_OF_ONE = 40


class FurtherId(models.Model):
    """A digest of an ID, and a record that has it."""

    pk = models.CompositePrimaryKey("digest", "id", "user_id")
    digest = models.BigIntegerField()
    user_id = models.IntegerField()
    id = models.UUIDField()

    class Meta:
        managed = False
        db_table = TABLE
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.id)


def digest_of(identifier: str) -> int:
    """Return the digest of an ID as it is kept."""
    return digest(kept(identifier))


def digests_of(metadata: dict[str, Any] | None, known: Iterable[str | None]) -> set[int]:
    """Return the digests of the IDs in a record's metadata that are not ``known`` as its own."""
    if not metadata:
        return set()
    found = [metadata.get(name) for name in NAMES if name in metadata]
    for name in LISTS:
        if name in metadata and isinstance(several := metadata[name], list):
            found += several[:_MOST_OF_ONE]
    own = set(known)
    return {digest_of(one) for one in found if isinstance(one, str) and one and one not in own}


def add(rows: Iterable[tuple[int, int, UUID]]) -> None:
    """Add digests with the user and the id of the record, in the caller's transaction; known ones stay."""
    digests.add(TABLE, rows)


def records_of(identifier: str) -> list[tuple[int, UUID]]:
    """Return user and id of the records that have an ID beside their own, the newest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT user_id, id FROM {TABLE} WHERE digest = %s ORDER BY id DESC LIMIT %s",  # noqa: S608
            [digest_of(identifier), MOST_FOUND],
        )
        return list(cursor.fetchall())
