"""What an export is made of: columns, and the rows that logs and tasks provide."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import Enum
from hashlib import blake2b
from itertools import islice
from typing import Any, Protocol
from uuid import UUID

from django.db.models import Count, QuerySet, Sum, TextField
from django.db.models import Value as NoValue
from django.db.models.expressions import Combinable, RawSQL
from django.http import QueryDict

from routescope.data.keyset import Cursor
from routescope.data.owned import OwnedQuerySet
from routescope.data.scopes import Scope
from routescope.wire.reading import SUM_DIGITS

CHUNK = 2_000
"""Rows read at a time: so many a worker holds in memory."""


class ColumnKind(Enum):
    """The type of a column's values: str, int, Decimal (24 digits, 12 decimals), datetime (UTC), bool."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    MOMENT = "moment"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. ``name`` heads it in every format; ``usual``: chosen unless somebody chooses otherwise.

    ``of_several``: it says whose a row is, where they may be several people's. ``quotes``: it may quote what
    was sent or answered. ``of_person``: it tells of a person rather than of their call.
    """

    name: str
    kind: ColumnKind
    usual: bool = True
    of_several: bool = False
    quotes: bool = False
    of_person: bool = False

    def is_offered(self, scope: Scope) -> bool:
        """Say whether an export of a scope's rows may have it."""
        is_hidden = scope.is_without_content and (self.quotes or self.of_person)
        return not is_hidden and (scope.is_of_several or not self.of_several)


Value = object
"""A value of the type that its column's kind says; None where there is none."""
Values = Sequence[Sequence[Value]]
"""The values of some rows, column by column."""
Figures = dict[str, dict[str, int | float] | None]
"""Figures of what is measured, by its name; None where nothing of the kind was."""
Make = Callable[[Any], Value]
_NOTHING = NoValue(None, output_field=TextField(null=True))


@dataclass(frozen=True, slots=True)
class Expected:
    """How many rows, and their cost in USD. ``is_whole``: all of them; else those that were looked at."""

    rows: int
    cost: Decimal
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that were read together, newest first; or none, where it only says how far was looked.

    ``cost`` is what they cost together, in USD, and ``marks`` the sum of their marks. ``down_to`` is the id
    down to which nothing was left out; None: to the end.
    """

    down_to: UUID | None
    rows: int = 0
    cost: Decimal = Decimal(0)
    marks: int = 0
    values: Values = ()


class Selected:
    """The rows that a person's query selects, newest first, and how they become values.

    ``mark`` is the SQL of a row's mark: a hash of its id and ``xmin``. A row that is written anew has another
    ``xmin``, so nothing that changes a row escapes it. ``fields`` are the model's names of columns that are
    called otherwise there, or how a query computes them; ``made`` is what becomes of a field's value that is
    not exported as it is, ``of_row`` what is made of the row itself. ``beside`` is what decides
    on values beside the rows, as JSON: what things are called, what may be read. ``hidden`` are columns that
    the person may not see: nothing of them leaves the database.
    """

    def __init__(
        self,
        rows: OwnedQuerySet[Any],
        mark: RawSQL,
        *,
        fields: Mapping[str, str | Combinable],
        made: Mapping[str, Make],
        of_row: Mapping[str, Make] | None = None,
        beside: object,
        hidden: Collection[str] = (),
    ) -> None:
        self._rows, self._mark = rows, mark
        self._fields, self._made, self._of_row = fields, made, of_row or {}
        self._hidden = hidden
        self.names = blake2b(json.dumps(beside).encode(), digest_size=8).hexdigest()
        """What stands for ``beside``."""

    def expected(self) -> Expected:
        """Return what the page's header says of the rows, at what a page may cost."""
        raise NotImplementedError

    def counts(self) -> Iterator[Expected]:
        """Count all rows, in steps of bounded length: each may be read in a transaction of its own."""
        yield summed(self._rows)

    def percentiles(self) -> Iterator[Figures | None]:
        """Find the percentiles of all rows, in steps as `counts`. The last that comes is of them all; None
        where there are none, or where they are not known.
        """
        yield None

    def blocks(self, columns: Sequence[str], before: UUID | None, limit: int) -> Iterator[Block]:
        """Yield the next rows older than ``before``, ``limit`` at most, each read once and in bounded memory.

        At least one block comes. There may be fewer rows although more follow: where they are rare they would
        otherwise be looked for without end, and nobody would hear of it.
        """
        read = 0
        for block in self._read(self._rows.newest(Cursor(older=before), limit), columns):
            read += block.rows
            yield block
        if read < limit:
            yield Block(None)

    def marks(self, before: UUID | None, last: UUID) -> tuple[int, int]:
        """Return how many rows are older than ``before``, down to ``last``, and the sum of their marks."""
        rows = self._rows.filter(id__gte=last)
        return self._marked([rows if before is None else rows.filter(id__lt=before)])

    def _marked(self, found: Iterable[QuerySet[Any]]) -> tuple[int, int]:
        rows = marks = 0
        for query in found:
            sums = query.order_by().annotate(mark=self._mark).aggregate(rows=Count("*"), marks=Sum("mark"))
            rows += sums["rows"]
            marks += int(sums["marks"] or 0)
        return rows, marks

    def _read(self, found: QuerySet[Any], columns: Sequence[str]) -> Iterator[Block]:
        """Yield the rows of a query, in its order."""
        makes = [
            None if name in self._hidden else self._of_row.get(name) or self._made.get(name)
            for name in columns
        ]
        rows = self._whole(found, columns)
        if self._of_row.keys().isdisjoint(columns):
            fields = [_NOTHING if name in self._hidden else self._fields.get(name, name) for name in columns]
            rows = found.values_list("id", "cost", self._mark, *fields).iterator(CHUNK)
        while chunk := list(islice(rows, CHUNK)):
            ids, costs, marks, *held = zip(*chunk, strict=True)
            with localcontext(prec=SUM_DIGITS):
                cost = sum(filter(None, costs), Decimal(0))
            # Column by column: most need nothing done, and no value is asked what it needs.
            values = [list(map(make, each)) if make else each for make, each in zip(makes, held, strict=True)]
            yield Block(ids[-1], len(ids), cost, sum(marks), values)

    def _whole(self, found: QuerySet[Any], columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        for row in found.annotate(mark=self._mark).iterator(CHUNK):
            fields = (
                None
                if name in self._hidden
                else row
                if name in self._of_row
                else getattr(row, self._attribute(name))
                for name in columns
            )
            yield row.id, row.cost, row.mark, *fields

    def _attribute(self, column: str) -> str:
        """Return what a column is called on a row: what a query computes is there by the column's name."""
        field = self._fields.get(column, column)
        return field if isinstance(field, str) else column


class ExportSource(Protocol):
    """The rows of a tab, by its name. ``select`` raises nothing for a query that selects nothing.

    All raise Http404 for a scope that the person may not see.
    """

    name: str
    columns: Sequence[Column]

    def select(self, user_id: int, query: QueryDict) -> Selected: ...

    def scope(self, user_id: int, query: QueryDict) -> Scope:
        """Return whose rows a query asks for."""
        ...

    def fixed(self, user_id: int, query: QueryDict) -> QueryDict:
        """Return the canonical query with its range of time fixed: presets move with the clock."""
        ...


SOURCES: dict[str, ExportSource] = {}


def provide(source: ExportSource) -> None:
    """Make a source known. An app does so when it is ready."""
    SOURCES[source.name] = source


def summed(rows: QuerySet[Any]) -> Expected:
    """Count some rows, in the database."""
    sums = rows.order_by().aggregate(rows=Count("*"), cost=Sum("cost"))
    return Expected(sums["rows"], sums["cost"] or Decimal(0))


def json_text(value: object) -> Value:
    """Write JSON as the value of a text column."""
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
