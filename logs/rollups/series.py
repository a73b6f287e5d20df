"""The sums of a selection over time, in bars of equal length, and by one dimension: the chart's.

They add up to the header's sums (`logs.rollups.own_sums`). Bars of whole hours and days are read from the
rollups, and the edges of the range from the records. Shorter bars are read from the records: requests and
tokens from the key's index, which includes their columns, the cost from the records themselves. So how many
may be read is bounded; where a range holds more, its bars are hours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain

from django.core.exceptions import EmptyResultSet
from django.db import connection

from logs.models import REQUEST_TYPES, Cause, Status
from logs.rollups import minute_sums, sources, traffic
from logs.selection import conditions, lookback
from logs.selection.chosen import Looked, Selection
from routescope.data.ranges import DAY, HOUR, Cover, TimeRange, cover, floor
from routescope.data.scopes import Scope

MOST_BARS = 184
"""At 1440 px a bar and the gap after it are then 6 px wide."""
MINUTES_UP_TO = 2 * DAY
"""Longer ranges have bars of whole hours."""
MOST_OF_USERS = 20_000
"""Hours times users of which the sums are read for bars of hours; of more, for bars of days."""
_STEPS = tuple(
    timedelta(minutes=minutes)
    for minutes in (1, 2, 5, 10, 15, 20, 60, 120, 180, 240, 360, 1440, 7 * 1440, 28 * 1440)
)
_CALLS = ", ".join(str(kind.value) for kind in REQUEST_TYPES)
_IS_CALL = f"type IN ({_CALLS})"
_IS_ERROR = f"{_IS_CALL} AND status = {Status.ERROR.value}"
_IS_LIMITED = f"{_IS_CALL} AND cause = {Cause.RATE_LIMIT.value}"


@dataclass(frozen=True, slots=True)
class Sum:
    """What one bar holds of one value. ``value`` is the id of the model, token or group, 0 for records
    without one and where the bars are not divided. ``cost`` is USD, refunds netted.
    """

    start: datetime
    value: int
    requests: int
    errors: int
    rate_limited: int
    tokens: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Series:
    """Sums in the order of time, then of values. ``first`` is where the bars of length ``step`` begin."""

    step: timedelta
    first: datetime
    sums: Sequence[Sum]


def step_of(chosen: TimeRange, least: timedelta = timedelta()) -> timedelta:
    """Return how long a bar of a range is: as short as leaves it 6 px wide, hours beyond two days."""
    length = chosen.length or timedelta()
    if length > MINUTES_UP_TO:
        least = max(least, HOUR)
    return next((step for step in _STEPS if step >= least and length / step <= MOST_BARS), _STEPS[-1])


def step_of_lines(chosen: TimeRange) -> timedelta:
    """Return how long a stretch of a line over time is: six hours where a bar would be three or four, as
    these are kept added up (`logs.rollups.latency_blocks`).
    """
    step = step_of(chosen)
    return 6 * HOUR if 3 * HOUR <= step < 6 * HOUR else step


def series(
    scope: Scope,
    selection: Selection,
    chosen: TimeRange,
    column: str = "",
    *,
    has_cost: bool = False,
    records: int | None = None,
) -> Series:
    """Return the sums of a selection in bars over a range with both ends, divided by a column where one is
    named: two queries more than the sums at most.

    ``records`` is how many it selects, where that is known. Without ``has_cost`` no cost is read. With bounds
    they are the sums of the records that were looked at (`logs.selection.lookback.newest`).
    """
    step = step_of(chosen, least_step(scope, selection, chosen, column, has_cost=has_cost, records=records))
    first = traffic.origin(chosen, step)
    return Series(step, first, sums(scope, selection, [chosen], step, first, column, has_cost=has_cost))


def requests(
    scope: Scope, selection: Selection, chosen: TimeRange, step: timedelta, first: datetime
) -> dict[datetime, int]:
    """Return how many requests each bar holds: of busy hours as they were counted, which takes no longer for
    everybody than for one person. Three queries.
    """
    found: dict[datetime, int] = defaultdict(int)
    buckets, stretches = traffic.kept(scope, selection, chosen, step, first)
    for bucket in buckets:
        found[bucket.start] += bucket.requests
    for one in sums(scope, selection, stretches, step, first):
        found[one.start] += one.requests
    return found


def least_step(
    scope: Scope,
    selection: Selection,
    chosen: TimeRange,
    column: str = "",
    *,
    has_cost: bool = False,
    records: int | None = None,
) -> timedelta:
    """Return how short a bar may be, so that what is read for it stays within bounds."""
    if selection.looked is not None or chosen.length is None:
        return timedelta()
    by = (column,) if column else ()
    if chosen.length <= MINUTES_UP_TO:
        is_much = _holds_too_many(scope, selection, chosen, by, has_cost, records)
        return HOUR if is_much else timedelta()
    if scope.is_everyone:
        return DAY if sources.needs_users(selection, by) else HOUR
    return HOUR if len(scope.ids) * (chosen.length / HOUR) <= MOST_OF_USERS else DAY


def _holds_too_many(
    scope: Scope,
    selection: Selection,
    chosen: TimeRange,
    by: Sequence[str],
    has_cost: bool,
    records: int | None,
) -> bool:
    """Say whether a range holds more records than may be read."""
    if chosen.start is None or chosen.end is None or chosen.start >= chosen.end:
        return False
    if scope.is_everyone and minute_sums.knows(selection, by) and minute_sums.split([chosen])[0]:
        return False
    most = traffic.MOST_COUNTED if scope.is_of_few and not has_cost else traffic.MOST_OF_MANY
    if records is not None and not selection.is_filtered:
        return records > most
    # Under a filter as many are read as without.
    return lookback.within_reach(scope, chosen.start, chosen.end, most) > chosen.start


def sums(
    scope: Scope,
    selection: Selection,
    stretches: Sequence[TimeRange],
    step: timedelta,
    first: datetime,
    column: str = "",
    *,
    has_cost: bool = False,
) -> list[Sum]:
    """Return the same of stretches of a range, in bars that are counted from ``first`` on: one query."""
    stretches = [one for one in stretches if one.length]
    if not stretches:
        return []
    if selection.looked is not None:
        selects = [_of_looked(scope, selection, selection.looked, step, first, column)]
    else:
        selects = _of_parts(scope, selection, _parts(stretches, step, first), step, first, column, has_cost)
    found = [select for select in selects if select is not None]
    if not found:
        return []
    together = " UNION ALL ".join(sql for sql, _values in found)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT bar, value, sum(requests)::bigint, sum(errors)::bigint, sum(limited)::bigint,"  # noqa: S608
            f" sum(tokens)::bigint, sum(cost) FROM ({together}) AS parts"
            " GROUP BY bar, value ORDER BY bar, value",
            [value for _sql, values in found for value in values],
        )
        return [Sum(*row) for row in cursor.fetchall()]


def _parts(stretches: Sequence[TimeRange], step: timedelta, first: datetime) -> Cover:
    """Cover stretches with the coarsest sums of which none reaches from one bar into the next."""
    parts = [cover(one) for one in stretches]
    days, hours, raw = (
        list(chain.from_iterable(found))
        for found in zip(*((one.days, one.hours, one.raw) for one in parts), strict=True)
    )
    if not step % DAY and first == floor(first, DAY):
        return Cover(days, hours, raw)
    if not step % HOUR and first == floor(first, HOUR):
        return Cover([], [*days, *hours], raw)
    return Cover([], [], list(stretches))


def _of_parts(
    scope: Scope,
    selection: Selection,
    parts: Cover,
    step: timedelta,
    first: datetime,
    column: str,
    has_cost: bool,
) -> list[conditions.Sql | None]:
    dimensions, dimension_values = conditions.dimensions(selection)
    selects: list[conditions.Sql | None] = []
    for arm in sources.arms(scope, selection, (column,) if column else (), (), parts):
        is_raw = arm.table == "usage_record"
        selects.append(
            (
                _select(is_raw, column, has_cost) + f" FROM {arm.rows}{dimensions} GROUP BY bar, value",
                [step, first, *arm.values, *dimension_values],
            )
        )
    return selects


def _of_looked(
    scope: Scope, selection: Selection, looked: Looked, step: timedelta, first: datetime, column: str
) -> conditions.Sql | None:
    columns = ["created_at", "type", "status", "cause", "input_tokens", "output_tokens", "cost"]
    try:
        sql, values = lookback.table(scope, selection, looked, [*columns, column] if column else columns)
    except EmptyResultSet:
        return None
    return (
        f"{_select(True, column, True)} FROM ({sql}) AS found GROUP BY bar, value",
        [step, first, *values],
    )


def _select(is_raw: bool, column: str, has_cost: bool) -> str:
    """Return what is selected of records, or of sums: two values, the length of a bar and the first."""
    value = f"coalesce({column}, 0)" if column else "0"
    time, count, tokens = (
        "start",
        "coalesce(sum(records) FILTER (WHERE {}), 0)",
        "input_tokens + output_tokens",
    )
    cost = "sum(cost)"
    if is_raw:
        time, count, tokens = (
            "created_at",
            "count(*) FILTER (WHERE {})",
            "input_tokens::bigint + output_tokens",
        )
        cost = "coalesce(sum(cost), 0)"
    return (
        f"SELECT date_bin(%s, {time}, %s) AS bar, {value} AS value,"
        f" {count.format(_IS_CALL)} AS requests, {count.format(_IS_ERROR)} AS errors,"
        f" {count.format(_IS_LIMITED)} AS limited, sum({tokens}) AS tokens,"
        f" {cost if has_cost else '0::numeric'} AS cost"
    )
