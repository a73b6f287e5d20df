"""The Compare view: a breakdown as a sorted table whose every line leads to its records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django_stubs_ext import StrPromise

from logs.filters.usage_filter import VIEW, WITHOUT
from logs.models import Cause
from logs.rollups import own_sums
from logs.rollups.breakdown import BreakdownLine, By, breakdown
from logs.rollups.figures import FIGURES
from logs.rollups.own_sums import Totals
from logs.selection.chosen import Selection
from logs.usage.named import narrowed
from routescope.data.scopes import Scope
from routescope.filters.address import Address
from routescope.text import formatting
from routescope.text.formatting import day

if TYPE_CHECKING:
    from logs.filters.usage_filter import UsageFilter

MOST_ROWS = 100
"""Lines of their own; the rest are added up in one."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that can be sorted by. ``query`` sorts by it, or the other way round where it is sorted by."""

    key: str
    label: str | StrPromise
    hint: str | StrPromise
    order: str
    query: Address


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A line of the table. ``query`` leads to its records; None where no filter can name them.

    ``share`` is of the cost of all lines; None where that is nothing.
    """

    label: str
    query: Address | None
    totals: Totals
    share: Decimal | None

    @property
    def bar(self) -> str:
        """The share as a length for the chart in the cell: 0 to 100, a point and no grouping."""
        return f"{min(max((self.share or Decimal(0)) * 100, Decimal(0)), Decimal(100)):.2f}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """``others`` adds up the lines that are not shown; None where all are. ``total`` is the header's sums."""

    by: By
    columns: Sequence[Column]
    rows: Sequence[ComparisonRow]
    others: ComparisonRow | None
    count: int
    total: ComparisonRow


def comparison(scope: Scope, filters: UsageFilter, selection: Selection) -> Comparison | None:
    """Return the comparison that the filters ask for; None where they ask for none, or select nothing.

    ``selection`` is what they select, looked at already where no rollup knows it.
    """
    by = filters.compared
    if by is None:
        return None
    lines = breakdown(scope, selection, by)
    if not lines:
        return None
    ids = [line.value for line in lines if isinstance(line.value, int)]
    if by is By.TOKEN:
        filters.vocabulary.tokens.learn(ids)
    elif by is By.PERSON:
        filters.vocabulary.people.learn(ids)
    total = sum((line.totals for line in lines), own_sums.NOTHING)
    names = _names(filters, by)
    lines = _sorted(lines, filters.sorted_by, lambda line: _label(line, by, names))
    rows = [_row(filters, selection, by, names, line, total) for line in lines[:MOST_ROWS]]
    others = None
    if rest := lines[MOST_ROWS:]:
        added = sum((line.totals for line in rest), own_sums.NOTHING)
        others = ComparisonRow("", None, added, _share(added, total))
    return Comparison(
        by,
        _columns(filters, by),
        rows,
        others,
        len(lines),
        ComparisonRow("", None, total, _share(total, total)),
    )


def _columns(filters: UsageFilter, by: By) -> list[Column]:
    columns = []
    sort = filters.sorted_by
    headings = [
        ("name", by.label, ""),
        *((key, figure.label, figure.hint) for key, figure in FIGURES.items()),
    ]
    for key, label, hint in headings:
        order = {key: "ascending", f"-{key}": "descending"}.get(sort, "none")
        # The first press shows what matters: the largest figures, the newest day, names from A.
        first = key if key == "name" and by is not By.DAY else f"-{key}"
        if sort == first:
            first = first.removeprefix("-") if first.startswith("-") else f"-{first}"
        query = filters.address.with_(sort="" if first == by.default_sort else first)
        columns.append(Column(key, label, hint, order, query))
    return columns


def _sorted(
    lines: list[BreakdownLine], sort: str, label: Callable[[BreakdownLine], str]
) -> list[BreakdownLine]:
    """Sort by a column, equals by name; what has no figure in it comes last either way."""
    key, downwards = sort.removeprefix("-"), sort.startswith("-")
    named = sorted(lines, key=lambda line: (not line.value, label(line).casefold(), str(line.value)))
    if key == "name":
        # What has no name stays last.
        return sorted(
            sorted(named, key=lambda line: label(line).casefold(), reverse=downwards),
            key=lambda line: line.value == 0 and isinstance(line.value, int),
        )
    figure = FIGURES[key].of
    known = [line for line in named if figure(line.totals) is not None]
    unknown = [line for line in named if figure(line.totals) is None]
    return [*sorted(known, key=lambda line: figure(line.totals) or 0, reverse=downwards), *unknown]


def _names(filters: UsageFilter, by: By) -> dict[int, str]:
    """Return the names of the values, by id; none for days and causes."""
    return {
        By.MODEL: filters.vocabulary.models.of,
        By.TOKEN: filters.vocabulary.tokens.of,
        By.GROUP: filters.vocabulary.groups.of,
        By.PERSON: filters.vocabulary.people.of,
    }.get(by, {})


def _label(line: BreakdownLine, by: By, names: Mapping[int, str]) -> str:
    if isinstance(line.value, date):
        return day(line.value)
    if by is By.CAUSE:
        return str(_cause(line).label) if line.value else _("No failure")
    if line.value in names:
        return names[line.value]
    return str(WITHOUT.get(by.value, formatting.UNKNOWN))


def _cause(line: BreakdownLine) -> Cause:
    return next(cause for cause in Cause if cause == line.value)


def _row(
    filters: UsageFilter,
    selection: Selection,
    by: By,
    names: Mapping[int, str],
    line: BreakdownLine,
    total: Totals,
) -> ComparisonRow:
    return ComparisonRow(
        _label(line, by, names),
        _query(filters, selection, by, names, line),
        line.totals,
        _share(line.totals, total),
    )


def _query(
    filters: UsageFilter, selection: Selection, by: By, names: Mapping[int, str], line: BreakdownLine
) -> Address | None:
    """Return the address of the list of a line's records.

    Where only the newest were looked at, it is narrowed to their time: it would list more else.
    """
    listed = filters.address.without(*VIEW)
    if line.stretch is not None and line.stretch.start and line.stretch.end:
        return listed.between(line.stretch.start, line.stretch.end)
    if by is By.CAUSE:
        listed = listed.with_(**{"cause": _cause(line).name.lower()} if line.value else {"status": "success"})
    elif by is By.PERSON:
        listed = listed.with_(person=str(line.value))
    elif isinstance(line.value, int) and (found := narrowed(listed, by.value, line.value, names)):
        listed = found
    else:
        return None
    if selection.covered != selection.chosen:
        return listed.between(selection.covered.start, selection.covered.end)
    return listed


def _share(part: Totals, whole: Totals) -> Decimal | None:
    return part.cost / whole.cost if whole.cost else None
