"""Pages of rare rows lead on and back to every row, empty ones too."""

from __future__ import annotations

from uuid import UUID

from routescope import sparse
from routescope.keyset import Cursor, Page

NOTHING: list[UUID] = []


def test_an_empty_page_leads_back_to_the_row_that_it_began_beyond() -> None:
    row = UUID(int=1000)
    down: Page[UUID] | None = sparse.page(NOTHING, Cursor(older=row), 5, lambda one: one, None)
    assert down is not None and down.older is None
    assert down.newer is not None and down.newer < row
    up: Page[UUID] | None = sparse.page(NOTHING, Cursor(newer=row), 5, lambda one: one, UUID(int=2000))
    assert up is not None and up.newer == UUID(int=2000)
    assert up.older is not None and up.older > row
