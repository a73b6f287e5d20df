"""The Compare view: a breakdown as a sorted table whose every line leads to its records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django_stubs_ext import StrPromise

from logs.filters.mark_filters import OTHER, facet_name, facet_of
from logs.filters.usage_filter import VIEW, WITHOUT
from logs.models import Cause
from logs.models.marks import Facet
from logs.rollups import own_sums
from logs.rollups.breakdown import BreakdownLine, By, Latency, breakdown, latencies, merged_into
from logs.rollups.figures import FIGURES, LATENCIES, ComparedLine
from logs.rollups.marked_sums import LONGER, other_models
from logs.rollups.own_sums import Totals
from logs.rollups.sketches import Measure
from logs.selection.chosen import NONE, Selection
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

    ``share`` is of the cost of all lines; None where that is nothing. ``other_models`` are its calls that
    another model answered than was asked for, to which ``other_query`` leads.
    """

    label: str
    query: Address | None
    totals: Totals
    share: Decimal | None
    latency: Latency = field(default_factory=dict)
    other_models: int = 0
    other_query: Address | None = None

    @property
    def figures(self) -> ComparedLine:
        return ComparedLine(self.totals, self.latency)

    @property
    def other_share(self) -> Decimal | None:
        """The share of its requests that another model answered, 0 to 1; None where none was."""
        if not self.other_models or not self.totals.requests:
            return None
        return Decimal(self.other_models) / self.totals.requests

    @property
    def bar(self) -> str:
        """The share as a length for the chart in the cell: 0 to 100, a point and no grouping."""
        return f"{min(max((self.share or Decimal(0)) * 100, Decimal(0)), Decimal(100)):.2f}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """``others`` adds up the lines that are not shown; None where all are. ``total`` is the header's sums.

    ``label`` is what its lines are of. ``overlaps``: a record may be in several of them. ``is_counted`` is
    False where there are too many calls that another model answered to say their share, ``is_timed`` where it
    is not known how long the calls of its lines took: there are no columns of it then.
    """

    by: By
    label: str
    overlaps: bool
    is_counted: bool
    columns: Sequence[Column]
    is_timed: bool
    rows: Sequence[ComparisonRow]
    others: ComparisonRow | None
    count: int
    total: ComparisonRow


def comparison(
    scope: Scope, filters: UsageFilter, selection: Selection, latency: Latency | None = None
) -> Comparison | None:
    """Return the comparison that the filters ask for; None where they ask for none, or select nothing.

    ``selection`` is what they select, looked at already where no rollup knows it; ``latency`` is how long the
    calls of all of it took.
    """
    by = filters.compared
    if by is None:
        return None
    merged = merged_into(scope, by)
    lines = breakdown(scope, selection, by, filters.compared_key, merged)
    if not lines:
        return None
    ids = [line.value for line in lines if isinstance(line.value, int)]
    if by is By.TOKEN:
        filters.vocabulary.tokens.learn(ids)
    elif by is By.PERSON:
        filters.vocabulary.people.learn(ids)
    total = Totals.added(line.totals for line in lines)
    if by is By.TAG:
        # A record is in the line of each of its tags.
        total = own_sums.totals(scope, selection)
    told = latencies(scope, selection, by, (Measure.DURATION,), merged)
    took = told or {}
    names = _names(filters, by)
    lines = _sorted(lines, took, filters.sorted_by, lambda line: _label(line, by, names))
    rows = [
        ComparisonRow(
            _label(line, by, names),
            _query(filters, selection, by, names, line),
            line.totals,
            _share(line.totals, total),
            took.get(line.value, {}),
        )
        for line in lines[:MOST_ROWS]
    ]
    others_told = None
    if by is By.MODEL and filters.offer.has_other_models:
        others_told = other_models(scope, selection)
        if others_told.is_whole:
            rows = [
                _with_others(row, others_told.calls.get(int(str(line.value)), 0))
                for row, line in zip(rows, lines, strict=False)
            ]
    others = None
    if rest := lines[MOST_ROWS:]:
        added = Totals.added(line.totals for line in rest)
        others = ComparisonRow("", None, added, _share(added, total))
    return Comparison(
        by,
        _heading(filters, by),
        by is By.TAG,
        others_told is None or others_told.is_whole,
        [one for one in _columns(filters, by) if told is not None or one.key not in LATENCIES],
        told is not None,
        rows,
        others,
        len(lines),
        ComparisonRow("", None, total, _share(total, total), latency or {}),
    )


def _heading(filters: UsageFilter, by: By) -> str:
    return filters.compared_key if by is By.METADATA else str(by.label)


def _columns(filters: UsageFilter, by: By) -> list[Column]:
    columns = []
    sort = filters.sorted_by
    headings: list[tuple[str, str | StrPromise, str | StrPromise]] = [
        ("name", _heading(filters, by), ""),
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
    lines: list[BreakdownLine],
    took: Mapping[int | date | str, Latency],
    sort: str,
    label: Callable[[BreakdownLine], str],
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
    figures = {
        line.value: FIGURES[key].of(ComparedLine(line.totals, took.get(line.value, {}))) for line in named
    }
    known = [line for line in named if figures[line.value] is not None]
    unknown = [line for line in named if figures[line.value] is None]
    return [*sorted(known, key=lambda line: figures[line.value] or 0, reverse=downwards), *unknown]


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
    if isinstance(line.value, str):
        return _("Longer values") if line.value == LONGER else line.value
    if by in (By.TAG, By.METADATA):
        return _("Without a tag") if by is By.TAG else _("Without")
    if by is By.CAUSE:
        return str(_cause(line).label) if line.value else _("No failure")
    if line.value in names:
        return names[line.value]
    return str(WITHOUT.get(by.value, formatting.UNKNOWN))


def _cause(line: BreakdownLine) -> Cause:
    return next(cause for cause in Cause if cause == line.value)


def _with_others(row: ComparisonRow, calls: int) -> ComparisonRow:
    query = row.query.with_(answered=OTHER) if row.query is not None else None
    return replace(row, other_models=calls, other_query=query)


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
    elif key := filters.compared_key:
        if line.value == LONGER:
            return None
        if line.value == NONE:
            listed = listed.with_value("has_not", key)
        elif by is By.TAG:
            listed = listed.with_value("tag", str(line.value))
        else:
            # Of several values chosen, this one.
            others = [one for one in listed.all("meta") if facet_of(one).key != key]
            listed = listed.with_all("meta", [*others, facet_name(Facet(key, str(line.value)))])
    elif isinstance(line.value, int) and (found := narrowed(listed, by.value, line.value, names)):
        listed = found
    else:
        return None
    if selection.covered != selection.chosen:
        return listed.between(selection.covered.start, selection.covered.end)
    return listed


def _share(part: Totals, whole: Totals) -> Decimal | None:
    return part.cost / whole.cost if whole.cost else None
