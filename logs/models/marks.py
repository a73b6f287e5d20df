"""Marks of records: the tags and the metadata that a gateway sends with them, to be found by.

A table of its own, partitioned by month as the records are: an index over all metadata would cost every
record, and one of a record without tags costs nothing here. A mark is the digest of a key and a value, and
another of the key alone, which says that the record has any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import models
from django.db.models import Q
from django.db.models.expressions import RawSQL

from logs.models import digests
from logs.models.digests import Row, digest
from routescope.text.identifiers import shown

TABLE = "usage_mark"
TAGS = "tags"
"""The key of a record's tags, of which it may have several."""
PLACES = ("requester_metadata", "spend_logs_metadata")
"""Fields of a record's metadata that hold what the caller sent: its keys stand beside the others."""
OTHER_MODEL = "=other_model"
"""The key of what another model answered than was asked for: no metadata has such a key."""
ASKED_FOR, ANSWERED_BY = "asked_for_model", "answered_by_model"
"""Where a record's metadata names the two: `logs.ingest.answering`."""
SESSION = "=session"
"""The key of a record's session."""
SESSION_FIELD = "session"
"""Where a record's metadata has it: `logs.ingest.sessions`."""
MOST_LETTERS = 200
"""Of a value that is marked: what is longer is no label. That the key is there is marked all the same."""
_MOST_LETTERS_OF_A_KEY = 60
_MOST_KEYS = 20
_MOST_TAGS = 50
_ADDED_BY_LITELLM = "User-Agent:"
"""What LiteLLM makes tags of by itself begins so: a record has a column for it."""
_OWN = frozenset((
    "trace_id", "span_id", "call_id", "log_id", "provider_request_id", "client_request_id", "x_request_id",
    "merged_spans", "merged_traces", "session_id", "user_id", "team_id", "org_id", "call_type", "api_base",
    "upstream_model", "requested_model", "cache_hit", "normalized_error", "rate_limit_category",
    "rate_limit_type", "budget_entity", "budget_limit", "budget_spend", "left_out", "counts_read", "scope",
    "finish_reasons", "tool", "charged", "note",
    "answered_model", ASKED_FOR, ANSWERED_BY, SESSION_FIELD, *PLACES,
))  # fmt: skip
"""What formats and ingest themselves write into metadata: names of it, found or filtered by otherwise."""
_DELETE = (
    f"DELETE FROM {TABLE} USING unnest(%s::bigint[], %s::int[], %s::uuid[]) AS gone (mark, owner, record)"  # noqa: S608
    " WHERE digest = gone.mark AND user_id = gone.owner AND id = gone.record"
)


class UsageMark(models.Model):
    """A digest of a key and a value, and a record that has them."""

    pk = models.CompositePrimaryKey("user_id", "digest", "id")
    digest = models.BigIntegerField()
    user_id = models.IntegerField()
    id = models.UUIDField()

    class Meta:
        managed = False
        db_table = TABLE
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.id)


class Facet(NamedTuple):
    """A key that a record has, and its value; empty where that is no label."""

    key: str
    value: str


def is_key(key: str) -> bool:
    """Return whether records can be found by this key of their metadata."""
    return 0 < len(key) <= _MOST_LETTERS_OF_A_KEY and "=" not in key and key not in _OWN and shown(key) == key


def facets_of(metadata: dict[str, Any] | None) -> list[Facet]:
    """Return what a record's metadata marks it with: its tags, and its texts, numbers and truth values."""
    if not metadata:
        return []
    found: dict[Facet, None] = {Facet(OTHER_MODEL, ""): None} if ANSWERED_BY in metadata else {}
    if isinstance(session := metadata.get(SESSION_FIELD), str) and session:
        found[Facet(SESSION, session)] = None
    keys: set[str] = set()
    for facet in _all(metadata):
        if facet.key in keys or len(keys) < _MOST_KEYS:
            keys.add(facet.key)
            found.setdefault(facet)
    return list(found)


def tags_of(metadata: dict[str, Any] | None) -> list[str]:
    """Return a record's tags, in order."""
    return sorted(facet.value for facet in facets_of(metadata) if facet.key == TAGS and facet.value)


def _all(metadata: dict[str, Any]) -> Iterator[Facet]:
    held: list[Any] = [metadata, *(metadata[place] for place in PLACES if place in metadata)]
    seen: set[str] = set()
    for fields in held:
        if not isinstance(fields, dict):
            continue
        # In an order that the database does not change.
        for key, value in sorted(fields.items()):
            # The outer one of two fields of a name is what the gateway made of them.
            if key in seen or not isinstance(key, str) or not is_key(key):
                continue
            texts = _tags(value) if key == TAGS else _texts(value)
            if texts:
                seen.add(key)
                yield from (Facet(key, text) for text in texts)


def _tags(value: Any) -> list[str]:
    several = value if isinstance(value, list) else [value]
    texts = (text for one in several[:_MOST_TAGS] for text in _texts(one))
    return [text for text in texts if text and not text.startswith(_ADDED_BY_LITELLM)]


def _texts(value: Any) -> list[str]:
    """Return a value as people write it; nothing for what is none, an empty text for what is too long."""
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int | float):
        return []
    text = shown(str(value))
    return [text if len(text) <= MOST_LETTERS else ""] if text else []


@lru_cache(maxsize=16_384)
def digest_of(key: str, value: str = "") -> int:
    """Return the digest of a key and a value, or that of a key with any."""
    return digest(f"{key}\0{value}" if value else key)


def digests_of(facets: Iterable[Facet]) -> set[int]:
    """Return the digests of what a record has, and of the keys."""
    found: set[int] = set()
    for key, value in facets:
        found.add(digest_of(key))
        if value:
            found.add(digest_of(key, value))
    return found


def add(rows: Iterable[Row]) -> None:
    """Add marks in the caller's transaction; known ones stay."""
    digests.add(TABLE, rows)


def delete(rows: Iterable[Row]) -> None:
    """Take marks away in the caller's transaction."""
    digests.execute(_DELETE, rows)


def marked(digests: Iterable[int]) -> Q:
    """Return the condition that a record has one of some marks.

    OFFSET keeps the planner from joining: it looks each record's marks up, by the key of the table.
    """
    sql = (
        f"EXISTS (SELECT FROM {TABLE} WHERE {TABLE}.user_id = usage_record.user_id"
        f" AND {TABLE}.digest = ANY(%s::bigint[]) AND {TABLE}.id = usage_record.id OFFSET 0)"
    )
    return Q(RawSQL(sql, [list(digests)], output_field=models.BooleanField()))  # noqa: S611
