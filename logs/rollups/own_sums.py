"""Sums of a selection, from the coarsest rollups that are exact; never a count over raw records.

A range is whole UTC days, whole UTC hours and, at its edges, less than an hour on each side that is summed
from the records' own index. The three parts never overlap, so their sums add up to the records listed. What
no rollup knows is summed over a bounded number of records (`logs.selection.lookback`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal, localcontext
from operator import attrgetter
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Sum

from logs.models import REQUEST_TYPES, RecordType, Status, UsageRecord
from logs.rollups import sources
from logs.rollups.sources import Arm
from logs.selection import conditions, lookback, periods
from logs.selection.chosen import Looked, Selection
from routescope.data.ids import moment_of
from routescope.data.keyset import Cursor
from routescope.data.ranges import HOUR, Cover, TimeRange, cover, floor
from routescope.data.scopes import Scope
from routescope.wire.reading import SUM_DIGITS

_COUNTED = ("records", "unpriced", "input_tokens", "output_tokens", "cached_tokens", "cost")
_RANGES_AT_ONCE = 64
"""Ranges of raw records in one query: the planner's work grows with their number times the partitions."""
_OF_ONE = (
    "1 AS records, (cost IS NULL)::integer AS unpriced, input_tokens, output_tokens, cached_tokens,"
    " coalesce(cost, 0) AS cost"
)
SUMS_OF_ROWS = (
    "count(*), count(*) - count(cost), sum(input_tokens)::bigint, sum(output_tokens)::bigint,"
    " sum(cached_tokens)::bigint, coalesce(sum(cost), 0)"
)
"""What is summed of records themselves, in the order of `_COUNTED`."""


@dataclass(frozen=True, slots=True)
class Totals:
    """The header's figures. ``records`` are the rows listed; ``requests`` are those that were calls.

    ``cost`` is USD with refunds (negative) and adjustments netted; ``unpriced`` counts records without a
    known price, which add nothing to it. Rows that are no calls are refunds and adjustments: how many, and
    what they come to.
    """

    records: int
    requests: int
    errors: int
    unpriced: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: Decimal
    refunds: Decimal
    refund_records: int = 0
    adjustments: Decimal = Decimal(0)
    adjustment_records: int = 0

    @classmethod
    def of(cls, records: Iterable[UsageRecord]) -> Totals:
        """Add up records in hand, by the same rules as `totals`."""
        with localcontext(prec=SUM_DIGITS):
            return cls._of(list(records))

    @classmethod
    def _of(cls, rows: list[UsageRecord]) -> Totals:
        calls = [row for row in rows if row.type in REQUEST_TYPES]
        return cls(
            records=len(rows),
            requests=len(calls),
            errors=sum(row.status == Status.ERROR for row in calls),
            unpriced=sum(row.cost is None for row in rows),
            input_tokens=sum(row.input_tokens for row in rows),
            output_tokens=sum(row.output_tokens for row in rows),
            cached_tokens=sum(row.cached_tokens for row in rows),
            cost=_cost_of(rows),
            refunds=_cost_of(row for row in rows if row.type == RecordType.REFUND),
            refund_records=sum(row.type == RecordType.REFUND for row in rows),
            adjustments=_cost_of(row for row in rows if row.type == RecordType.ADJUSTMENT),
            adjustment_records=sum(row.type == RecordType.ADJUSTMENT for row in rows),
        )

    def __add__(self, other: Totals) -> Totals:
        return Totals.added((self, other))

    @classmethod
    def added(cls, several: Iterable[Totals]) -> Totals:
        """Add up sums, of none to nothing."""
        columns: Iterable[tuple[Any, ...]] = zip(_figures(NOTHING), *map(_figures, several), strict=True)
        with localcontext(prec=SUM_DIGITS):
            return cls(*(sum(column) for column in columns))

    @property
    def success_rate(self) -> Decimal | None:
        """The share of calls that succeeded, 0 to 1; None where there were none."""
        return Decimal(self.requests - self.errors) / self.requests if self.requests else None

    @property
    def cached_share(self) -> Decimal | None:
        """The share of input tokens that came from a cache, 0 to 1; None without input."""
        return Decimal(self.cached_tokens) / self.input_tokens if self.input_tokens else None

    @property
    def output_share(self) -> Decimal | None:
        """Output tokens for each input token; None without input."""
        return Decimal(self.output_tokens) / self.input_tokens if self.input_tokens else None

    @property
    def input_per_output(self) -> Decimal | None:
        """Input tokens for each output token; None without output."""
        return Decimal(self.input_tokens) / self.output_tokens if self.output_tokens else None

    @property
    def cost_per_request(self) -> Decimal | None:
        """USD for each call, refunds netted; None where there were no calls."""
        return self.cost / self.requests if self.requests else None

    @property
    def cost_per_million(self) -> Decimal | None:
        """USD for a million tokens, input and output together; None without tokens."""
        tokens = self.input_tokens + self.output_tokens
        return self.cost * 1_000_000 / tokens if tokens else None


NOTHING = Totals(0, 0, 0, 0, 0, 0, 0, Decimal(0), Decimal(0))
_figures = attrgetter(*(one.name for one in fields(Totals)))


def _cost_of(rows: Iterable[UsageRecord]) -> Decimal:
    return sum((row.cost or Decimal(0) for row in rows), start=Decimal(0))


def totals(scope: Scope, selection: Selection) -> Totals:
    """Return the sums of the scope's records in a selection: one query, whatever its length.

    With bounds: of the newest records alone, which `logs.selection.lookback.newest` tells.
    """
    return added(grouped(scope, selection))


def added(rows: Iterable[dict[str, Any]]) -> Totals:
    """Add up rows of `grouped`."""
    with localcontext(prec=SUM_DIGITS):
        return _added(rows)


def _added(rows: Iterable[dict[str, Any]]) -> Totals:
    records = requests = errors = unpriced = input_tokens = output_tokens = cached_tokens = 0
    refunded = adjusted = 0
    cost = refunds = adjustments = Decimal(0)
    for row in rows:
        records += row["sum_records"]
        unpriced += row["sum_unpriced"]
        input_tokens += row["sum_input_tokens"]
        output_tokens += row["sum_output_tokens"]
        cached_tokens += row["sum_cached_tokens"]
        charged = row["sum_cost"] or Decimal(0)
        cost += charged
        if row["type"] in REQUEST_TYPES:
            requests += row["sum_records"]
            errors += row["sum_records"] if row["status"] == Status.ERROR else 0
        elif row["type"] == RecordType.REFUND:
            refunds += charged
            refunded += row["sum_records"]
        elif row["type"] == RecordType.ADJUSTMENT:
            adjustments += charged
            adjusted += row["sum_records"]
    return Totals(
        records, requests, errors, unpriced, input_tokens, output_tokens, cached_tokens, cost, refunds,
        refunded, adjustments, adjusted,
    )  # fmt: skip


def hours_holding(scope: Scope, selection: Selection, cursor: Cursor, limit: int) -> list[TimeRange]:
    """Return the hours, nearest to the cursor first, that hold the next ``limit`` records of a selection.

    The rollup is the index of where a rare token, model, group or status occurs: a filtered page reads these
    hours of the records and no others. Adjacent hours come as one range. Empty where there is no such record.
    """
    rows = periods.hours(scope).filter(selection.dimensions)
    if selection.chosen.start is not None:
        rows = rows.filter(start__gte=floor(selection.chosen.start, HOUR))
    if selection.chosen.end is not None:
        rows = rows.filter(start__lt=selection.chosen.end)
    if cursor.newer:
        rows = rows.filter(start__gte=floor(moment_of(cursor.newer), HOUR)).order_by("start")
    else:
        if cursor.older:
            rows = rows.filter(start__lte=moment_of(cursor.older))
        rows = rows.order_by("-start")
    # The first hour may lie partly behind the cursor and the last partly outside the range, and of an hour in
    # which a person came or left only a part is meant: every other hour holds at least one record, so this
    # many hours hold enough.
    holding = rows.values("start").annotate(held=Sum("records")).filter(held__gt=0)
    starts = holding.values_list("start", flat=True)[: limit + 2 + len(scope.edges(HOUR))]
    stretches: list[TimeRange] = []
    for start in starts:
        end = start + HOUR
        if stretches and stretches[-1].start == end:
            stretches[-1] = TimeRange(start, stretches[-1].end)
        elif stretches and stretches[-1].end == start:
            stretches[-1] = TimeRange(stretches[-1].start, end)
        else:
            stretches.append(TimeRange(start, end))
    return [stretch.clipped(selection.chosen) for stretch in stretches]


def grouped(
    scope: Scope,
    selection: Selection,
    *by: str,
    parts: Cover | None = None,
    starts: Sequence[datetime] = (),
) -> Iterator[dict[str, Any]]:
    """Yield sums by type, status and some dimensions, of a selection's days, hours and raw edges.

    A row comes once, or more often where there are many raw ranges. With ``starts``, moments in order, also
    by ``part``: the number, from 1, of the last of them that the record is not before. No day or hour of
    ``parts`` (by default the coarsest cover of the range) may then hold one in its midst. A selection with
    bounds is summed from the records that are looked at (`logs.selection.lookback.newest`).
    """
    if unknown := set(by) - _KEY_COLUMNS:
        raise ValueError(f"No sums are kept by {unknown}.")
    if selection.needs_records:
        selection = lookback.newest(scope, selection)
        if selection.looked is not None:
            yield from of_records(scope, selection, selection.looked, by, starts)
        return
    if parts is None:
        parts = cover(selection.chosen)
    raw = parts.raw if len(parts.raw) <= 2 else _held(scope, selection, parts.raw)
    for first in range(0, max(len(raw), 1), _RANGES_AT_ONCE):
        some = raw[first : first + _RANGES_AT_ONCE]
        some_parts = Cover([] if first else parts.days, [] if first else parts.hours, some)
        yield from _summed(selection, by, starts, sources.arms(scope, selection, by, starts, some_parts))


def of_records(
    scope: Scope,
    selection: Selection,
    looked: Looked,
    by: Sequence[str] = (),
    starts: Sequence[datetime] = (),
) -> Iterator[dict[str, Any]]:
    """Yield rows as `grouped` does, of the records among those looked at that meet all filters."""
    key = ("type", "status", *by)
    try:
        sql, values = lookback.table(
            scope,
            selection,
            looked,
            ("created_at", *key, "input_tokens", "output_tokens", "cached_tokens", "cost"),
        )
    except EmptyResultSet:
        return
    part = ", width_bucket(created_at, %s::timestamptz[]) AS part" if starts else ""
    columns = (*key, "part") if starts else key
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(key)}{part}, {SUMS_OF_ROWS} FROM ({sql}) AS found"  # noqa: S608
            f" GROUP BY {', '.join(columns)}",
            [*([list(starts)] if starts else []), *values],
        )
        names = (*columns, *(f"sum_{name}" for name in _COUNTED))
        for row in cursor.fetchall():
            yield dict(zip(names, row, strict=True))


def named(sums: Sequence[Any]) -> dict[str, Any]:
    """Return the values of `SUMS_OF_ROWS` by the names that rows of `grouped` have them under."""
    return dict(zip((f"sum_{name}" for name in _COUNTED), sums, strict=True))


_KEY_COLUMNS = frozenset(("user_id", "token_id", "model_id", "group_id", "cause"))


def _summed(
    selection: Selection, by: Sequence[str], starts: Sequence[datetime], arms: Iterable[Arm]
) -> Iterator[dict[str, Any]]:
    """Sum days, hours and raw records in one query, written by hand: the ORM takes longer than PostgreSQL."""
    key = ("type", "status", *by)
    dimensions, dimension_values = conditions.dimensions(selection)
    selects: list[str] = []
    values: list[Any] = []
    for arm in arms:
        is_raw = arm.table == "usage_record"
        part = ""
        if starts:
            part = f", width_bucket({'created_at' if is_raw else 'start'}, %s::timestamptz[]) AS part"
            values.append(list(starts))
        sums = _OF_ONE if is_raw else ", ".join(_COUNTED)
        selects.append(f"SELECT {', '.join(key)}{part}, {sums} FROM {arm.rows}{dimensions}")  # noqa: S608
        values += [*arm.values, *dimension_values]
    if not selects:
        return
    columns = (*key, "part") if starts else key
    sums = ", ".join(f"sum({name}){'' if name == 'cost' else '::bigint'}" for name in _COUNTED)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(columns)}, {sums} FROM ({' UNION ALL '.join(selects)}) AS arms"  # noqa: S608
            f" GROUP BY {', '.join(columns)}",
            values,
        )
        names = (*columns, *(f"sum_{name}" for name in _COUNTED))
        for row in cursor.fetchall():
            yield dict(zip(names, row, strict=True))


def _held(scope: Scope, selection: Selection, stretches: list[TimeRange]) -> list[TimeRange]:
    """Return those of many short ranges in whose hours the selection has a record."""
    hours = {stretch: list(_hours(stretch)) for stretch in stretches}
    found_in = set(
        periods.hours(scope)
        .filter(selection.dimensions, start__in=[hour for found in hours.values() for hour in found])
        .values_list("start", flat=True)
        .distinct()
    )
    return [stretch for stretch, found in hours.items() if not found_in.isdisjoint(found)]


def _hours(stretch: TimeRange) -> Iterator[datetime]:
    """Yield the starts of the UTC hours that a range with both ends meets."""
    if stretch.start is not None and stretch.end is not None:
        hour = floor(stretch.start, HOUR)
        while hour < stretch.end:
            yield hour
            hour += HOUR
