"""Pages by key: a page starts after a row, not at a number, so every page costs the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from django.http import QueryDict

from routescope.data.ids import moment_of
from routescope.data.scopes import Scope

if TYPE_CHECKING:
    from django.db.models import QuerySet

Row = TypeVar("Row")
Rows = TypeVar("Rows", bound="QuerySet[Any]")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page stands: newest first from the top, ``older`` than a row, or ``newer`` than one.

    In a list that is sorted by a ``value``, that of the row: it says where the row stands, or stood.
    """

    older: UUID | None = None
    newer: UUID | None = None
    value: Decimal | None = None

    @classmethod
    def parse(cls, params: QueryDict) -> Cursor:
        """Read ``older`` and ``newer`` from a query string. What is no id is the top of the list."""
        for name in ("older", "newer"):
            if value := params.get(name):
                try:
                    identifier = UUID(value)
                    moment_of(identifier)  # of no time that the calendar knows: no id of ours either
                except (ValueError, OverflowError):
                    continue
                return cls(**{name: identifier}, value=_number(params.get("value", "")))
        return cls()

    @property
    def of_time(self) -> Cursor:
        """It in the list that is in the order of time."""
        return Cursor(self.older, self.newer)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows, newest first, and the ids that the neighbouring pages start from."""

    rows: Sequence[Row]
    older: UUID | None
    newer: UUID | None

    @property
    def onward(self) -> Cursor:
        """Where the next page stands."""
        return Cursor(older=self.older)

    @property
    def back(self) -> Cursor:
        """Where the page before stands."""
        return Cursor(newer=self.newer)


def nearest(rows: Rows, cursor: Cursor, limit: int, scope: Scope | None) -> Rows:
    """Return at most ``limit`` of the rows from the cursor on, nearest first.

    ``scope`` says whose rows they are. An index by user and id is in order within one user only: of several
    it gives the first rows of each, and of these the first are taken.
    """
    owners = () if scope is None or scope.is_everyone else scope.ids
    order = "id" if cursor.newer else "-id"
    if cursor.newer:
        rows = rows.filter(id__gt=cursor.newer)
    elif cursor.older:
        rows = rows.filter(id__lt=cursor.older)
    if len(owners) > 1:
        ids = rows.order_by(order).values_list("id", flat=True)
        of_each = [ids.filter(user_id=owner)[:limit] for owner in owners]
        rows = rows.filter(id__in=of_each[0].union(*of_each[1:], all=True))
    return rows.order_by(order)[:limit]


def page(
    fetch: Callable[[Cursor, int], Sequence[Row]], cursor: Cursor, size: int, key: Callable[[Row], UUID]
) -> Page[Row]:
    """Build a page of at most ``size`` rows.

    ``fetch(cursor, limit)`` returns rows nearest to the cursor first: newest first from the top and for
    ``older``, oldest first for ``newer``. One row more than the page holds is asked for, to know whether
    there is another page.
    """
    found = list(fetch(cursor, size + 1))
    more, rows = len(found) > size, found[:size]
    if cursor.newer:
        if not more and len(rows) < size:
            # Walked back to the top: show a full first page, not a stump.
            return page(fetch, Cursor(), size, key)
        rows.reverse()
        return Page(rows, older=key(rows[-1]), newer=key(rows[0]) if more else None)
    return Page(
        rows,
        older=key(rows[-1]) if more and rows else None,
        newer=key(rows[0]) if cursor.older and rows else None,
    )


def _number(text: str) -> Decimal | None:
    """Return the number that a cursor carries; None for what no row has."""
    try:
        value = Decimal(text) if len(text) <= _MOST_DIGITS else None
    except InvalidOperation:
        return None
    return value if value is not None and value.is_finite() and abs(value.adjusted()) < _MOST_DIGITS else None


_MOST_DIGITS = 40
