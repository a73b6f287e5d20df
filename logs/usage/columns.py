"""Which columns the list of a page has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logs.listing import failures
from logs.listing.display import Display
from logs.listing.table import COLUMNS, PERSON, ListColumn, columns_of_failures
from routescope.data.keyset import Page

if TYPE_CHECKING:
    from logs.filters.usage_filter import UsageFilter


def columns_of(filters: UsageFilter, display: Display, page: Page[Any]) -> list[ListColumn]:
    """Return them: those that are chosen, or of failures those that say what was wrong."""
    whose = [PERSON] if filters.whole.is_of_several else []
    if not filters.errors_shown or filters.searched_id:
        return [
            *whose,
            *(
                column
                for name, column in COLUMNS.items()
                if name in display.columns or (column.sort and column.sort == filters.order)
            ),
        ]
    found = failures.of_rows(filters.scope, [(row.user_id, row.id) for row in page.rows])
    return [*whose, *columns_of_failures(found)]
