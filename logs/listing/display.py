"""How a person wants the list shown: its columns and the rows of a page, kept with their account."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import QueryDict

from accounts.models import User
from logs.listing.table import COLUMNS, ListColumn

DEFAULT_COLUMNS = ("token", "model", "group", "status", "tokens", "cost", "duration")
PAGE_SIZES = (25, 50, 100, 200)
DEFAULT_PAGE_SIZE = 50
_KEY = "usage_list"


@dataclass(frozen=True, slots=True)
class Display:
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    page_size: int = DEFAULT_PAGE_SIZE

    @classmethod
    def of(cls, user: User) -> Display:
        """Return what the person chose. What is no longer offered falls back to the default."""
        kept = user.preferences.get(_KEY)
        if not isinstance(kept, dict):
            return cls()
        return cls._valid(kept.get("columns"), kept.get("page_size"))

    @classmethod
    def chosen_in(cls, form: QueryDict) -> Display:
        """Return the choice in a sent form."""
        size = form.get("page_size", "")
        return cls._valid(form.getlist("column"), int(size) if size.isdecimal() else None)

    def keep(self, user: User) -> None:
        """Keep this choice with the person's account."""
        user.preferences[_KEY] = {"columns": list(self.columns), "page_size": self.page_size}
        user.save(update_fields=["preferences"])

    @property
    def width(self) -> int:
        """How many cells a row has: toggle, time and ID, and the chosen columns."""
        return 3 + len(self.columns)

    @property
    def column_choices(self) -> list[tuple[str, object, bool]]:
        return [(name, column.label, name in self.columns) for name, column in COLUMNS.items()]

    @property
    def shown(self) -> list[ListColumn]:
        return [COLUMNS[name] for name in self.columns]

    @property
    def size_choices(self) -> list[tuple[int, bool]]:
        return [(size, size == self.page_size) for size in PAGE_SIZES]

    @classmethod
    def _valid(cls, columns: object, page_size: object) -> Display:
        wanted = columns if isinstance(columns, list) else DEFAULT_COLUMNS
        return cls(
            tuple(name for name in COLUMNS if name in wanted),
            page_size if isinstance(page_size, int) and page_size in PAGE_SIZES else DEFAULT_PAGE_SIZE,
        )
