"""The list sorted by cost, duration or tokens, the largest first: a page of it, to a bounded depth."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from accounts.models import User
from logs.listing.own_records import LISTED
from logs.listing.table import Listed
from logs.models import UsageRecord
from logs.selection import largest
from logs.selection.chosen import Selection
from logs.selection.largest import Place, Sort
from routescope.data.keyset import Cursor, Page

MOST_DEEP = 1_000
"""Records that a sorted list shows: with each page more of the sums may hold the next ones."""


class End(StrEnum):
    """Why a sorted list goes on no further although there may be more."""

    DEPTH = "depth"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Sorted(Page[Listed]):
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


def page(user: User, selection: Selection, sort: Sort, cursor: Cursor, size: int) -> Sorted:
    """Return a page of the records in a selection that have such a value, the largest first.

    Of equal values the newer first. Each row is in its place among all records of the range.
    """
    if cursor.value is None:
        cursor = Cursor()
    if cursor.newer:
        return _before(user, selection, sort, cursor, size)
    after = Place(cursor.value, cursor.older) if cursor.value is not None and cursor.older else None
    found = largest.largest(user, selection, sort, size + 1, after=after)
    room = max(min(size, MOST_DEEP - found.ahead), 0)
    places = found.places[:room]
    end = None
    if len(found.places) > room:
        end = End.DEPTH if room < size or found.ahead + size == MOST_DEEP else None
    elif not found.is_whole:
        end = End.READ
    is_more = len(found.places) > size and end is None
    return Sorted(
        _rows(user, places),
        older=places[-1].id if places and is_more else None,
        newer=(places[0].id if places else cursor.older) if after else None,
        ahead=found.ahead,
        first=places[0] if places else after,
        last=places[-1] if places else None,
        end=end,
        read=found.read,
    )


def _before(user: User, selection: Selection, sort: Sort, cursor: Cursor, size: int) -> Sorted:
    """Return the page before a record; the first one where none is full before it."""
    if cursor.value is None or cursor.newer is None:
        raise ValueError("This cursor leads to no page before it.")
    place = Place(cursor.value, cursor.newer)
    found = largest.largest(user, selection, sort, size + 1, after=place, up=True)
    places = found.places[:size][::-1]
    if len(found.places) <= size:
        return page(user, selection, sort, Cursor(), size)
    return Sorted(
        _rows(user, places),
        older=places[-1].id,
        newer=places[0].id,
        ahead=found.ahead - len(places),
        first=places[0],
        last=places[-1],
        read=found.read,
    )


def _rows(user: User, places: list[Place]) -> list[Listed]:
    ids = [place.id for place in places]
    found = UsageRecord.objects.visible_to(user).filter(id__in=ids).values_list(*LISTED)
    rows = {row.id: row for row in map(Listed._make, found)}
    return [rows[identifier] for identifier in ids if identifier in rows]
