"""Pages of rare rows lead on and back to every row, empty ones too."""

from __future__ import annotations

from uuid import UUID

import pytest

from routescope.data import sparse
from routescope.data.keyset import Cursor, Page

NOTHING: list[UUID] = []


def test_an_empty_page_leads_back_to_the_row_that_it_began_beyond() -> None:
    row = UUID(int=1000)
    down: Page[UUID] = sparse.page(NOTHING, Cursor(older=row), 5, lambda one: one, None)
    assert down.older is None
    assert down.newer is not None and down.newer < row
    up: Page[UUID] = sparse.page(NOTHING, Cursor(newer=row), 5, lambda one: one, UUID(int=2000))
    assert up.newer == UUID(int=2000)
    assert up.older is not None and up.older > row


@pytest.mark.parametrize(
    ("reached", "shown"),
    [
        (None, "the first page"),
        (UUID(int=1001), "the first page"),
        (UUID(int=1002), "the stump"),
        (UUID(int=5000), "the stump"),
    ],
)
def test_the_first_page_takes_the_place_of_a_stump_it_shows(reached: UUID | None, shown: str) -> None:
    """Searched from the top, bounds may end a search before it reaches what one from below found."""
    cursor = Cursor(newer=UUID(int=1000))
    rows = [UUID(int=1001), UUID(int=9000)]
    stump = sparse.page(rows, cursor, 5, lambda one: one, None)
    top = Page([UUID(int=9000)], older=reached, newer=None)
    found = sparse.in_place_of(stump, cursor, 5, lambda: top)
    assert found is (top if shown == "the first page" else None)
    assert (stump.rows, stump.newer) == (rows[::-1], None)


def test_an_empty_stump_gives_way_and_other_pages_stay() -> None:
    top = Page([UUID(int=9000)], older=UUID(int=5000), newer=None)
    cursor = Cursor(newer=UUID(int=1000))
    empty: Page[UUID] = sparse.page(NOTHING, cursor, 5, lambda one: one, None)
    assert sparse.in_place_of(empty, cursor, 5, lambda: top) is top
    full = sparse.page([UUID(int=n) for n in range(1001, 1006)], cursor, 5, lambda one: one, None)
    early = sparse.page(NOTHING, cursor, 5, lambda one: one, UUID(int=3000))
    below = sparse.page(NOTHING, Cursor(older=UUID(int=1000)), 5, lambda one: one, None)
    for page, at in ((full, cursor), (early, cursor), (below, Cursor(older=UUID(int=1000)))):
        assert sparse.in_place_of(page, at, 5, lambda: top) is None
