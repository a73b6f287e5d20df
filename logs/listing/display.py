"""How a person wants the tab shown: columns, rows of a page, the chart. Kept with their account."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.http import QueryDict

from accounts.models import User
from logs.listing.table import COLUMNS, ListColumn

DEFAULT_COLUMNS = ("token", "model", "group", "status", "tokens", "cost", "duration")
PAGE_SIZES = (25, 50, 100, 200)
DEFAULT_PAGE_SIZE = 50
_KEY = "usage_list"


@dataclass(frozen=True, slots=True)
class Display:
    """``draws``: the chart stands over the list."""

    columns: tuple[str, ...] = DEFAULT_COLUMNS
    page_size: int = DEFAULT_PAGE_SIZE
    draws: bool = True

    @classmethod
    def of(cls, user: User) -> Display:
        """Return what the person chose. What is no longer offered falls back to the default."""
        kept = user.preferences.get(_KEY)
        if not isinstance(kept, dict):
            return cls()
        return cls._valid(kept.get("columns"), kept.get("page_size"), kept.get("chart") is not False)

    def chosen_in(self, form: QueryDict) -> Display:
        """Return this with the choice in a sent form: of the chart, or of columns and rows."""
        if chart := form.get("chart"):
            return replace(self, draws=chart == "on")
        size = form.get("page_size", "")
        return self._valid(form.getlist("column"), int(size) if size.isdecimal() else None, self.draws)

    def keep(self, user: User) -> None:
        """Keep this choice with the person's account."""
        user.preferences[_KEY] = {
            "columns": list(self.columns),
            "page_size": self.page_size,
            "chart": self.draws,
        }
        user.save(update_fields=["preferences"])

    @property
    def column_choices(self) -> list[tuple[str, object, bool]]:
        return [(name, column.label, name in self.columns) for name, column in COLUMNS.items()]

    @property
    def shown(self) -> list[ListColumn]:
        return [column for name, column in COLUMNS.items() if name in self.columns]

    @property
    def size_choices(self) -> list[tuple[int, bool]]:
        return [(size, size == self.page_size) for size in PAGE_SIZES]

    @classmethod
    def _valid(cls, columns: object, page_size: object, draws: bool) -> Display:
        wanted = columns if isinstance(columns, list) else DEFAULT_COLUMNS
        return cls(
            tuple(name for name in COLUMNS if name in wanted),
            page_size if isinstance(page_size, int) and page_size in PAGE_SIZES else DEFAULT_PAGE_SIZE,
            draws,
        )
