"""Sums by the tags of records, or by the values of one key of their metadata: of the records looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from django.core.exceptions import EmptyResultSet
from django.db import connection

from logs.models.marks import OTHER_MODEL, PLACES, TABLE, digest_of, facets_of
from logs.rollups.own_sums import SUMS_OF_ROWS, named
from logs.selection import lookback
from logs.selection.chosen import NONE, Looked, Selection
from routescope.data.scopes import Scope

LONGER = "…"
"""Stands for values that are too long to be labels."""
_COLUMNS = (
    "user_id", "id", "type", "status", "input_tokens", "output_tokens", "cached_tokens", "cost", "metadata",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OtherModels:
    """How many calls another model answered than was asked for, by the id of the record's model.

    ``is_whole``: all of the selection's; else of the newest that were looked at.
    """

    calls: Mapping[int, int]
    is_whole: bool


def other_models(scope: Scope, selection: Selection) -> OtherModels:
    """Count them, of what was looked at where the selection was, by the marks of such calls."""
    marks = (*selection.marks, (digest_of(OTHER_MODEL),))
    theirs = lookback.newest(
        scope, replace(selection, chosen=selection.covered, marks=marks, is_by_record=False, looked=None)
    )
    looked = theirs.looked or Looked(())
    try:
        sql, params = lookback.table(scope, theirs, looked, ("model_id",))
    except EmptyResultSet:
        return OtherModels({}, is_whole=True)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce(model_id, 0), count(*) FROM ({sql}) AS found GROUP BY 1",  # noqa: S608
            params,
        )
        return OtherModels(dict(cursor.fetchall()), looked.reached is None)


def grouped(scope: Scope, selection: Selection, key: str) -> Iterator[dict[str, Any]]:
    """Yield sums by type, status and ``value``, of the records that were looked at; `NONE` is without any.

    A record with several values is in the sums of each. What the values of a record are says
    `logs.models.marks.facets_of`, of the one key of its metadata: records that say it alike come together.
    """
    selection = lookback.newest(scope, selection, lookback.MOST_RECORDS)
    try:
        sql, params = lookback.table(scope, selection, selection.looked or Looked(()), _COLUMNS)
    except EmptyResultSet:
        return
    inner = "".join(", %s::text, jsonb_build_object(%s::text, metadata->%s->%s)" for _place in PLACES)
    # By the marks, as the filters are: both mean the same records.
    has_it = (
        f"EXISTS (SELECT FROM {TABLE} WHERE {TABLE}.user_id = found.user_id AND digest = %s"
        f" AND {TABLE}.id = found.id OFFSET 0)"
    )
    said = f"CASE WHEN {has_it} THEN jsonb_strip_nulls(jsonb_build_object(%s::text, metadata->%s{inner})) END"
    values: list[Any] = [
        digest_of(key),
        key,
        key,
        *(one for place in PLACES for one in (place, key, place, key)),
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT type, status, {said} AS said, {SUMS_OF_ROWS} FROM ({sql}) AS found"  # noqa: S608
            " GROUP BY type, status, said",
            [*values, *params],
        )
        rows = cursor.fetchall()
    for kind, status, said_so, *sums in rows:
        texts = {
            facet.value or LONGER
            for facet in facets_of(said_so and msgspec.json.decode(said_so))
            if facet.key == key
        }
        found: list[str | int] = sorted(texts) or [NONE]
        for value in found:
            yield {"type": kind, "status": status, "value": value, **named(sums)}
