"""What an export is made of: the interface that logs and tasks provide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Protocol
from uuid import UUID

from django.http import QueryDict


class ColumnKind(Enum):
    """The type of a column's values: str, int, Decimal (24 digits, 12 decimals), datetime (UTC), bool."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    MOMENT = "moment"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. ``name`` heads it in every format; ``usual``: chosen unless somebody chooses otherwise."""

    name: str
    kind: ColumnKind
    usual: bool = True


Value = object
Row = tuple[UUID, Decimal | None, tuple[Value, ...]]
"""A row's id, which is its place in the order, its cost in USD, and the values of the chosen columns."""


@dataclass(frozen=True, slots=True)
class Expected:
    """How many rows, and their cost in USD. ``is_whole``: all of them; else those that were looked at."""

    rows: int
    cost: Decimal
    is_whole: bool = True


class Selected(Protocol):
    """The rows that a person's query selects, newest first."""

    def expected(self) -> Expected:
        """Return what the page's header says of the rows, at what a page may cost."""
        ...

    def counts(self) -> Iterator[Expected]:
        """Count all rows, in steps of bounded length: each may be read in a transaction of its own."""
        ...

    def until(self, before: UUID | None) -> UUID | None:
        """Return the id down to which the next part is looked for; None: to the end.

        Where rows are rare a part would otherwise be looked for without end, and nobody would hear of it.
        """
        ...

    def rows(self, columns: Sequence[str], before: UUID | None, limit: int) -> Iterator[Row]:
        """Yield at most ``limit`` rows older than ``before``, down to `until`, in bounded memory."""
        ...

    def fingerprint(self, before: UUID | None, last: UUID) -> str:
        """Return what changes when any row older than ``before``, down to ``last``, is another."""
        ...


class ExportSource(Protocol):
    """One kind of rows. ``select`` raises nothing for a query that selects nothing."""

    name: str
    columns: Sequence[Column]

    def select(self, user_id: int, query: QueryDict) -> Selected: ...

    def fixed(self, user_id: int, query: QueryDict) -> QueryDict:
        """Return the canonical query with its range of time fixed: presets move with the clock."""
        ...


SOURCES: dict[str, ExportSource] = {}


def provide(source: ExportSource) -> None:
    """Make a source known. An app does so when it is ready."""
    SOURCES[source.name] = source
