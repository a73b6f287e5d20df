"""The list sorted by cost, duration or tokens, the largest first: a page of it, to a bounded depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from logs.listing.own_records import rows_listed
from logs.listing.table import Listed
from logs.models import UsageRecord
from logs.models.querysets import UsageRecordQuerySet
from logs.record.details import CALLED
from logs.selection import largest
from logs.selection.chosen import Selection
from logs.selection.largest import Place, Sort
from routescope.data.keyset import Cursor, Page
from routescope.data.scopes import Scope

MOST_DEEP = 1_000
"""Records that a sorted list shows: with each page more of the sums may hold the next ones."""


Row = TypeVar("Row", Listed, UsageRecord)
_Read = Callable[[UsageRecordQuerySet[UsageRecord]], Iterable[Row]]


class End(StrEnum):
    """Why a sorted list goes on no further although there may be more."""

    DEPTH = "depth"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Sorted(Page[Row]):
    """A page of a sorted list. ``ahead`` is how many records stand before it.

    ``first`` and ``last`` are its places. ``end`` says why no page follows, where not all was listed;
    ``read`` how many records were read for this one.
    """

    ahead: int = 0
    first: Place | None = None
    last: Place | None = None
    end: End | None = None
    read: int = 0

    @property
    def onward(self) -> Cursor:
        return Cursor(older=self.older, value=self.last.value if self.last else None)

    @property
    def back(self) -> Cursor:
        return Cursor(newer=self.newer, value=self.first.value if self.first else None)


def listed(scope: Scope, selection: Selection, sort: Sort, cursor: Cursor, size: int) -> Sorted[Listed]:
    """Return a page of the records in a selection that have such a value, the largest first.

    Of equal values the newer first. Each row is in its place among all records of the range. No more is read
    of them than a list shows.
    """

    def read(rows: UsageRecordQuerySet[UsageRecord]) -> Iterable[Listed]:
        return rows_listed(scope, rows)

    return _page(scope, selection, sort, cursor, size, read)


def page(scope: Scope, selection: Selection, sort: Sort, cursor: Cursor, size: int) -> Sorted[UsageRecord]:
    """Return the same page of whole records."""

    def read(rows: UsageRecordQuerySet[UsageRecord]) -> Iterable[UsageRecord]:
        return rows.select_related("model", *CALLED)

    return _page(scope, selection, sort, cursor, size, read)


def _page(
    scope: Scope, selection: Selection, sort: Sort, cursor: Cursor, size: int, read: _Read[Row]
) -> Sorted[Row]:
    if cursor.value is None:
        cursor = Cursor()
    elif cursor.newer:
        return _before(scope, selection, sort, Place(cursor.value, cursor.newer), size, read)
    after = Place(cursor.value, cursor.older) if cursor.value is not None and cursor.older else None
    found = largest.largest(scope, selection, sort, size + 1, after=after)
    room = min(size, max(MOST_DEEP - found.ahead, 0))
    places = found.places[:room]
    is_more = len(found.places) > room
    is_at_depth = is_more and found.ahead + room >= MOST_DEEP
    return Sorted(
        _rows(scope, places, found.owners, read),
        older=places[-1].id if places and is_more and not is_at_depth else None,
        newer=(places[0].id if places else cursor.older) if after else None,
        ahead=found.ahead,
        first=places[0] if places else after,
        last=places[-1] if places else None,
        end=End.DEPTH if is_at_depth else End.READ if not is_more and not found.is_whole else None,
        read=found.read,
    )


def _before(
    scope: Scope, selection: Selection, sort: Sort, place: Place, size: int, read: _Read[Row]
) -> Sorted[Row]:
    """Return the page before a place; the first one where none is full before it."""
    found = largest.largest(scope, selection, sort, size + 1, after=place, up=True)
    if len(found.places) <= size:
        return _page(scope, selection, sort, Cursor(), size, read)
    places = found.places[:size][::-1]
    return Sorted(
        _rows(scope, places, found.owners, read),
        older=places[-1].id,
        newer=places[0].id,
        ahead=found.ahead - size,
        first=places[0],
        last=places[-1],
        read=found.read,
    )


def _rows(scope: Scope, places: Sequence[Place], owners: Mapping[UUID, int], read: _Read[Row]) -> list[Row]:
    mine: UsageRecordQuerySet[UsageRecord] = UsageRecord.objects.visible_to(scope)
    keys = [(owners[place.id], place.id) for place in places]
    rows: dict[UUID, Row] = {row.id: row for row in read(mine.of_keys(keys))}
    return [rows[place.id] for place in places if place.id in rows]
