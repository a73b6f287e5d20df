"""Pages of rare rows: a search that may stop before a page is full, and say where to go on.

`keyset.page` takes a short page for the end of the list. Where the search for a full one would read without
bound, it stops early instead, and the next page goes on from the id that was ``reached``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from routescope.data.keyset import Cursor, Page

Row = TypeVar("Row")
Found = TypeVar("Found", bound=Page[Any])


def page(
    found: Sequence[Row], cursor: Cursor, size: int, key: Callable[[Row], UUID], reached: UUID | None
) -> Page[Row]:
    """Build a page from what was found from the cursor on, nearest first, with one row more than it holds.

    ``reached`` is the id where the search stopped early, None where it saw all there is.
    """
    full, rows = len(found) > size, list(found[:size])
    onward = key(rows[-1]) if full else reached
    if not cursor.newer:
        back = key(rows[0]) if rows else cursor.older and _beside(cursor.older, -1)
        return Page(rows, older=onward, newer=back if cursor.older else None)
    rows.reverse()
    return Page(rows, older=key(rows[-1]) if rows else _beside(cursor.newer, 1), newer=onward)


def in_place_of(stump: Page[Any], cursor: Cursor, size: int, first: Callable[[], Found]) -> Found | None:
    """Return the list's first page in place of a stump: a page that ends at the top before it is full.

    None where the page is no stump, and where it holds what the first page, searched from the other end, does
    not reach.
    """
    if not cursor.newer or stump.newer is not None or len(stump.rows) >= size:
        return None
    top = first()
    reaches = top.older is None or stump.older is None or top.older <= stump.older
    return top if reaches or not stump.rows else None


def _beside(cursor: UUID, by: int) -> UUID:
    """Return the cursor from which an empty page leads back: the row that it began beyond comes again."""
    return UUID(int=min(max(cursor.int + by, 0), 2**128 - 1))
