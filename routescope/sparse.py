"""Pages of rare rows: a search that may stop before a page is full, and say where to go on.

`keyset.page` takes a short page for the end of the list. Where the search for a full one would read without
bound, it stops early instead, and the next page goes on from the id that was ``reached``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from routescope.keyset import Cursor, Page

Row = TypeVar("Row")


def page(
    found: Sequence[Row], cursor: Cursor, size: int, key: Callable[[Row], UUID], reached: UUID | None
) -> Page[Row] | None:
    """Build a page from what was found from the cursor on, nearest first, with one row more than it holds.

    ``reached`` is the id where the search stopped early, None where it saw all there is. Answers None for a
    stump at the top of the list: show the first page in its place.
    """
    full, rows = len(found) > size, list(found[:size])
    onward = key(rows[-1]) if full else reached
    if not cursor.newer:
        back = key(rows[0]) if rows else cursor.older and _beside(cursor.older, -1)
        return Page(rows, older=onward, newer=back if cursor.older else None)
    if onward is None and len(rows) < size:
        return None
    rows.reverse()
    return Page(rows, older=key(rows[-1]) if rows else _beside(cursor.newer, 1), newer=onward)


def _beside(cursor: UUID, by: int) -> UUID:
    """Return the cursor from which an empty page leads back: the row that it began beyond comes again."""
    return UUID(int=min(max(cursor.int + by, 0), 2**128 - 1))
