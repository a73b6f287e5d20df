"""How a person wants the list shown: its columns, and rows of a page. Kept with their account."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import QueryDict
from django_stubs_ext import StrPromise

from accounts.models import User
from tasks.tab.table import COLUMNS, TaskColumn

DEFAULT_COLUMNS = ("platform", "type", "model", "status", "outcome", "cost", "duration")
PAGE_SIZES = (25, 50, 100, 200)
DEFAULT_PAGE_SIZE = 50
_KEY = "task_list"


@dataclass(frozen=True, slots=True)
class TaskDisplay:
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    page_size: int = DEFAULT_PAGE_SIZE

    @classmethod
    def of(cls, user: User) -> TaskDisplay:
        """Return what the person chose. What is no longer offered falls back to the default."""
        kept = user.preferences.get(_KEY)
        return cls._valid(kept.get("columns"), kept.get("page_size")) if isinstance(kept, dict) else cls()

    @classmethod
    def chosen_in(cls, form: QueryDict) -> TaskDisplay:
        """Return the choice in a sent form."""
        size = form.get("page_size", "")
        return cls._valid(form.getlist("column"), int(size) if size.isdecimal() else None)

    def keep(self, user: User) -> None:
        """Keep this choice with the person's account."""
        user.preferences[_KEY] = {"columns": list(self.columns), "page_size": self.page_size}
        user.save(update_fields=["preferences"])

    @property
    def column_choices(self) -> list[tuple[str, StrPromise, bool]]:
        return [(name, column.label, name in self.columns) for name, column in COLUMNS.items()]

    @property
    def shown(self) -> dict[str, TaskColumn]:
        return {name: column for name, column in COLUMNS.items() if name in self.columns}

    @property
    def size_choices(self) -> list[tuple[int, bool]]:
        return [(size, size == self.page_size) for size in PAGE_SIZES]

    @classmethod
    def _valid(cls, columns: object, page_size: object) -> TaskDisplay:
        wanted = columns if isinstance(columns, list) else DEFAULT_COLUMNS
        return cls(
            tuple(name for name in COLUMNS if name in wanted),
            page_size if isinstance(page_size, int) and page_size in PAGE_SIZES else DEFAULT_PAGE_SIZE,
        )
