"""The records looked at by session: what each session's calls come to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection

from logs.models.marks import SESSION, SESSION_FIELD, TABLE, digest_of
from logs.rollups import own_sums
from logs.rollups.own_sums import SUMS_OF_ROWS, Totals, named
from logs.selection import lookback
from logs.selection.chosen import Looked, Selection
from routescope.data.scopes import Scope

_COLUMNS = (
    "user_id", "id", "created_at", "type", "status", "model_id", "group_id", "input_tokens", "output_tokens",
    "cached_tokens", "cost", "attempts", "metadata",
)  # fmt: skip


@dataclass(slots=True)
class SessionSum:
    """The records of one session; of those without one, ``session`` is empty.

    ``first`` and ``last`` are UTC. ``cached`` are tokens from a cache, by the ids of model and group.
    """

    session: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    first: datetime | None = None
    last: datetime | None = None
    retries: int = 0
    cached: dict[tuple[int | None, int | None], int] = field(default_factory=lambda: defaultdict(int))
    models: dict[int, None] = field(default_factory=dict)

    @property
    def totals(self) -> Totals:
        return own_sums.added(self.rows)


def by_session(scope: Scope, selection: Selection) -> Mapping[str, SessionSum]:
    """Return the sums of the sessions of the records that are looked at, by session."""
    selection = lookback.newest(scope, selection, lookback.MOST_RECORDS)
    try:
        sql, params = lookback.table(scope, selection, selection.looked or Looked(()), _COLUMNS)
    except EmptyResultSet:
        return {}
    has_one = (
        f"EXISTS (SELECT FROM {TABLE} WHERE {TABLE}.user_id = found.user_id AND digest = %s"
        f" AND {TABLE}.id = found.id OFFSET 0)"
    )
    tries = "CASE WHEN jsonb_typeof(attempts) = 'array' THEN jsonb_array_length(attempts) ELSE 0 END"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT CASE WHEN {has_one} THEN metadata->>%s ELSE '' END AS session, type, status, model_id,"  # noqa: S608
            f" group_id, min(created_at), max(created_at), sum({tries})::bigint, {SUMS_OF_ROWS}"
            f" FROM ({sql}) AS found GROUP BY session, type, status, model_id, group_id",
            [digest_of(SESSION), SESSION_FIELD, *params],
        )
        rows = cursor.fetchall()
    found: dict[str, SessionSum] = {}
    for session, kind, status, model_id, group_id, first, last, retries, *sums in rows:
        one = found.setdefault(session or "", SessionSum(session or ""))
        row = {"type": kind, "status": status, **named(sums)}
        one.rows.append(row)
        one.first = min(first, one.first or first)
        one.last = max(last, one.last or last)
        one.retries += retries
        one.cached[model_id, group_id] += row["sum_cached_tokens"]
        if model_id:
            one.models.setdefault(model_id)
    return found
