"""The list of usage records: one page of a selection, at the same cost however deep and however rare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from django.db.models import Case, Q, When
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTransform

from logs.listing import scattered_records
from logs.listing.table import Listed
from logs.models import REQUEST_TYPES, UsageRecord
from logs.models.querysets import Key, UsageRecordQuerySet
from logs.record.details import CALLED
from logs.rollups import own_sums
from logs.selection import lookback
from logs.selection.chosen import Looked, Selection
from routescope.contracts import work_done
from routescope.data import keyset, sparse
from routescope.data.ids import moment_of
from routescope.data.keyset import Cursor, Page
from routescope.data.owned import any_range
from routescope.data.ranges import TimeRange
from routescope.data.scopes import Scope
from routescope.text import pasted

MOST_RESEMBLING = 20_000
MOST_ALIKE = 10

Row = TypeVar("Row")
# Of records without a price or without tokens alone, which are few: the JSON of a whole page would take as
# long as the rest of it.
_WITHOUT_TOKENS = Q(type__in=REQUEST_TYPES, input_tokens=0, output_tokens=0)
_APART: dict[str, Combinable] = {
    "task_id": Case(When(_WITHOUT_TOKENS, then="task_id")),
    "unpriced": Case(When(cost=None, then=KeyTransform("unpriced", "billing"))),
    "quantities": Case(When(_WITHOUT_TOKENS, then="quantities")),
    "lines": Case(When(_WITHOUT_TOKENS, then=KeyTransform("lines", "billing"))),
}
_LISTED = tuple(_APART.get(name, name) for name in Listed._fields if name != "told")


@dataclass(frozen=True, slots=True)
class Found(Page[Row]):
    """A page, and among which records it was looked for where that ended before the page was full.

    ``is_further``: these were not the newest ones, of which the sums are made.
    """

    looked: Looked | None = None
    is_further: bool = False


def page(scope: Scope, selection: Selection, cursor: Cursor, size: int) -> Page[UsageRecord]:
    """Return a page of the scope's records in a selection, newest first: a `Found` where it has bounds."""

    def read(rows: UsageRecordQuerySet[UsageRecord]) -> Sequence[UsageRecord]:
        return list(rows.select_related("model", *CALLED))

    def fetch(cursor: Cursor, limit: int) -> Sequence[UsageRecord]:
        return read(_found(scope, selection, cursor, limit))

    if selection.needs_records:
        return _looked_for(scope, selection, cursor, size, read, lambda record: record.id)
    return keyset.page(fetch, cursor, size, key=lambda record: record.id)


def of_one_id(scope: Scope, identifier: str) -> list[UsageRecord]:
    """Return the scope's records of one request ID, newest first: a call, its refunds and adjustments."""
    rows = UsageRecord.objects.visible_to(scope).of_one_id(identifier)
    return list(rows.select_related("model", "gateway", *CALLED))


def resembling(scope: Scope, part: str, chosen: TimeRange) -> list[str]:
    """Return the request IDs of which ``part`` is the beginning, or what a list shows of them.

    Looked for among the newest `MOST_RESEMBLING` records of a range; at most `MOST_ALIKE` come back.
    """
    ends = pasted.ends_of(part)
    if ends is None:
        return []
    mine: UsageRecordQuerySet[UsageRecord] = UsageRecord.objects.visible_to(scope).within(chosen)
    return mine.resembling("request_id", ends, MOST_RESEMBLING, MOST_ALIKE)


def listed(scope: Scope, selection: Selection, cursor: Cursor, size: int) -> Page[Listed]:
    """Return the same page, with no more of its records than a list shows."""

    def read(rows: UsageRecordQuerySet[UsageRecord]) -> Sequence[Listed]:
        return rows_listed(scope, rows)

    def fetch(cursor: Cursor, limit: int) -> Sequence[Listed]:
        return read(_found(scope, selection, cursor, limit))

    if selection.needs_records:
        return _looked_for(scope, selection, cursor, size, read, lambda record: record.id)
    return keyset.page(fetch, cursor, size, key=lambda record: record.id)


def rows_listed(scope: Scope, rows: UsageRecordQuerySet[UsageRecord]) -> Sequence[Listed]:
    """Read of records what a list shows. Their tasks say what was ordered where the calls do not."""
    found = [Listed(*row) for row in rows.values_list(*_LISTED)]
    silent = {one.task_id for one in found if one.task_id and not one.ordered}
    told = work_done.described(scope, silent)
    return [one._replace(told=told.get(one.task_id or "")) for one in found] if told else found


def _looked_for(
    scope: Scope,
    selection: Selection,
    cursor: Cursor,
    size: int,
    read: Callable[[UsageRecordQuerySet[UsageRecord]], Sequence[Row]],
    key: Callable[[Row], UUID],
) -> Found[Row]:
    """Return a page of what no rollup knows. It may end before it is full: ``older`` then goes on.

    The newest records, of which the sums are made, end where these do: no page reaches beyond them.
    """
    looked = lookback.newest(scope, selection).looked or Looked(())
    is_further = False
    if cursor.older and (looked.reached is None or cursor.older > looked.reached):
        looked = looked.before(cursor.older)
    elif cursor != Cursor():
        looked, is_further = lookback.look(scope, selection, cursor), True
    newest_first = cursor.newer is None
    keys = lookback.keys(scope, selection, looked, newest_first=newest_first, limit=size + 1)
    rows = read(UsageRecord.objects.visible_to(scope).of_keys(keys).order_by(_order(cursor)))
    found = sparse.page(rows, cursor, size, key, looked.reached)
    first = sparse.in_place_of(
        found, cursor, size, lambda: _looked_for(scope, selection, Cursor(), size, read, key)
    )
    if first is not None:
        return first
    is_early = newest_first and len(rows) <= size and looked.reached is not None
    return Found(found.rows, found.older, found.newer, looked if is_early else None, is_further)


def newest_keys(scope: Scope, selection: Selection, most: int) -> list[Key]:
    """Return users and ids of the newest records of a selection, newest first, at most ``most``.

    Where it has bounds, of the newest records that `logs.selection.lookback` looks at.
    """
    if selection.needs_records:
        looked = lookback.newest(scope, selection).looked or Looked(())
        return lookback.keys(scope, selection, looked, newest_first=True, limit=most)
    return list(_found(scope, selection, Cursor(), most).values_list("user_id", "id"))


def count_since(scope: Scope, selection: Selection, since: UUID, most: int) -> int:
    """Return how many records of a selection are newer than one, counting to ``most`` at most.

    Where it has bounds, of the newest records that `logs.selection.lookback` looks at.
    """
    cursor = Cursor(newer=since)
    everything = replace(selection, chosen=TimeRange(), looked=None)
    if selection.needs_records:
        ahead = replace(everything, chosen=TimeRange(moment_of(since), None))
        looked = lookback.look(scope, ahead).after(since)
        return len(lookback.keys(scope, ahead, looked, newest_first=True, limit=most))
    return len(_found(scope, everything, cursor, most).values_list("id"))


def _found(
    scope: Scope, selection: Selection, cursor: Cursor, limit: int
) -> UsageRecordQuerySet[UsageRecord]:
    """Return the rows of a page, nearest to the cursor first."""
    records: UsageRecordQuerySet[UsageRecord] = UsageRecord.objects.visible_to(scope)
    if not selection.dimensions and (scope.is_everyone or scope.is_of_few):
        return records.within(selection.chosen).newest(cursor, limit)
    if not scope.is_of_few:
        keys = scattered_records.nearest(scope, selection, cursor, limit)
        return records.of_keys(keys).order_by(_order(cursor))
    stretches = own_sums.hours_holding(scope, selection, cursor, limit)
    if not stretches:
        return records.none()
    # Two steps: the ids come from the index alone, which knows the dimensions; rows are read only for those
    # that are shown.
    matching = records.filter(any_range(stretches), selection.dimensions)
    ids = list(matching.newest(cursor, limit).values_list("id", flat=True))
    return records.filter(id__in=ids).order_by(_order(cursor))


def _order(cursor: Cursor) -> str:
    return "id" if cursor.newer else "-id"
