"""Records with a tag or with a value of their metadata: found by the table of marks, which is their index.

The newest of a person's (or of everybody's) records with a mark stand together there, so a rare one is found
however long the range, from the index alone. Of several conditions the rarest leads, and the others are asked
of each record that it leads to (`logs.models.marks.marked`).

People are read each as far as one would be, up to `_MOST_OF_PARTS` entries of all: a look ends where the
first of them was not read any further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from logs.models.marks import TABLE
from logs.selection.chosen import IdSpan, Looked, Selection
from logs.selection.conditions import Sql
from logs.selection.spans import clipped, cut, order_of, span_of
from routescope.data.scopes import Scope

_MOST_OF_PARTS = 60_000
_LEAST_OF_A_PART = 2
Marks = tuple[int, ...]
"""Digests, of which a record has one."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """Where the index is entered: once for each mark, and for each user where some are meant."""

    source: str
    condition: str
    values: list[Any]
    count: int


def look(scope: Scope, selection: Selection, within: IdSpan, newest_first: bool, most: int) -> Looked:
    """Return where the nearest ``most`` records of a span lie that have a selection's marks."""
    led_by = _rarest(scope, selection.marks, within, most)
    parts = _parts(scope, led_by, [within])
    if not parts.count:
        return Looked((within,), led_by=led_by)
    edge, of_each = None, most + 1
    if parts.count > 1:
        of_each = max(min(most, _MOST_OF_PARTS // parts.count), _LEAST_OF_A_PART) + 1
        if (edge := _edge(parts, newest_first, of_each)) is not None:
            parts = _parts(scope, led_by, [cut(within, edge, newest_first)])
    seen, nth = _nearest(parts, newest_first, of_each, most)
    reached = nth or edge
    span = within if reached is None else cut(within, reached, newest_first)
    return Looked((span,), min(seen, most), reached, led_by=led_by)


def source(scope: Scope, looked: Looked, newest_first: bool | None = None) -> Sql:
    """Return the query, and its values, of users and ids of the records that were looked at.

    In the order of their ids where one is asked for.
    """
    parts = _parts(scope, looked.led_by, looked.spans)
    distinct = "DISTINCT " if len(looked.led_by) > 1 else ""
    order = "" if newest_first is None else f" ORDER BY id {order_of(newest_first)}"
    return (
        f"SELECT {distinct}entry.user_id, entry.id FROM {parts.source}"  # noqa: S608
        f" CROSS JOIN LATERAL (SELECT user_id, id FROM {TABLE} WHERE {parts.condition} OFFSET 0)"
        f" AS entry{order}",
        parts.values,
    )


def _rarest(scope: Scope, several: Sequence[Marks], within: IdSpan, most: int) -> Marks:
    """Return which of some conditions leaves the fewest records, counting to a bound."""
    if len(several) == 1:
        return several[0]
    return min(several, key=lambda one: _count(_parts(scope, one, [within]), most))


def _count(parts: _Parts, most: int) -> int:
    with connection.cursor() as database:
        database.execute(
            f"SELECT count(*) FROM (SELECT FROM {parts.source} CROSS JOIN LATERAL"  # noqa: S608
            f" (SELECT FROM {TABLE} WHERE {parts.condition} LIMIT %s) AS entry LIMIT %s) AS entries",
            [*parts.values, most, most],
        )
        [counted] = database.fetchone()
    return int(counted)


def _edge(parts: _Parts, newest_first: bool, of_each: int) -> UUID | None:
    """Return the nearest id at which a part has more entries than are read of it; None where none has."""
    order = order_of(newest_first)
    with connection.cursor() as database:
        database.execute(
            f"SELECT entry.id FROM {parts.source} CROSS JOIN LATERAL ("  # noqa: S608
            f"  SELECT (array_agg(two.id ORDER BY two.id {order}))[1] AS id FROM ("
            f"   SELECT id FROM {TABLE} WHERE {parts.condition} ORDER BY id {order} OFFSET %s LIMIT 2) AS two"
            "  HAVING count(*) = 2"
            f" ) AS entry ORDER BY entry.id {order} LIMIT 1",
            [*parts.values, of_each - 2],
        )
        found = database.fetchone()
    return found[0] if found else None


def _nearest(parts: _Parts, newest_first: bool, of_each: int, most: int) -> tuple[int, UUID | None]:
    """Return how many records the nearest entries are of, and the id of the last one where more follow."""
    order, back = order_of(newest_first), order_of(not newest_first)
    with connection.cursor() as database:
        database.execute(
            "WITH near AS MATERIALIZED ("  # noqa: S608
            f" SELECT DISTINCT entry.user_id, entry.id FROM {parts.source} CROSS JOIN LATERAL"
            f"  (SELECT user_id, id FROM {TABLE} WHERE {parts.condition} ORDER BY id {order} LIMIT %s)"
            f" AS entry ORDER BY entry.id {order} LIMIT %s"
            f") SELECT count(*), (SELECT id FROM near ORDER BY id {back} OFFSET 1 LIMIT 1) FROM near",
            [*parts.values, of_each, most + 1],
        )
        seen, last = database.fetchone()
    return int(seen), last if seen > most else None


def _parts(scope: Scope, led_by: Marks, spans: Sequence[IdSpan]) -> _Parts:
    marks = list(led_by)
    if scope.is_everyone:
        rows = [(span.first, span.last, mark) for span in spans for mark in marks]
        first, last, mark = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
        return _Parts(
            "unnest(%s::uuid[], %s::uuid[], %s::bigint[]) AS part (first, last, mark)",
            "digest = part.mark AND id >= part.first AND id < part.last",
            [first, last, mark],
            len(rows),
        )
    found = [
        (window.user_id, clip.first, clip.last, mark)
        for window in scope.windows or ()
        for span in spans
        if (clip := clipped(span, span_of(window.within))).first < clip.last
        for mark in marks
    ]
    columns = [list(column) for column in zip(*found, strict=True)] or [[], [], [], []]
    return _Parts(
        "unnest(%s::integer[], %s::uuid[], %s::uuid[], %s::bigint[]) AS part (owner, first, last, mark)",
        "user_id = part.owner AND digest = part.mark AND id >= part.first AND id < part.last",
        columns,
        len(found),
    )
