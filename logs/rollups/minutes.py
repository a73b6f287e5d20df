"""The minutes of records: counted in the database, and the range that is counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from django.core.exceptions import EmptyResultSet
from django.db.models import Count, DateTimeField, F, Func, Q, Sum, Value

from logs.models import CALLS, FAILED, REQUEST_TYPES, Cause, Status, UsageRecord, querysets
from logs.models.querysets import UsageRecordQuerySet
from logs.selection import conditions, lookback, periods
from logs.selection.chosen import Looked, Selection
from routescope.data.ids import first_id
from routescope.data.owned import any_range
from routescope.data.ranges import HOUR, MINUTE, TimeRange, ceil, floor
from routescope.data.scopes import Scope

_COUNTS = (
    "SELECT date_bin('1 minute', created_at, '2000-01-01 00:00+00') AS minute, count(*) AS requests,"
    " count(*) FILTER (WHERE status = %s) AS errors, count(*) FILTER (WHERE cause = %s) AS rate_limited,"
    " sum(input_tokens::bigint + output_tokens) AS tokens"
)
_COUNTED = (Status.ERROR.value, Cause.RATE_LIMIT.value)


def minutes_of(
    mine: UsageRecordQuerySet[UsageRecord], selection: Selection, stretches: Sequence[TimeRange]
) -> conditions.Sql | None:
    """Return the query that counts each minute with a call, and its parameters; None where none can be."""
    minute = Func(
        Value(MINUTE),
        F("created_at"),
        Value(datetime(2000, 1, 1, tzinfo=UTC)),
        function="date_bin",
        output_field=DateTimeField(),
    )
    rows = mine.filter(any_range(stretches), selection.condition, CALLS)
    counts = (
        rows.order_by()
        .annotate(minute=minute)
        .values("minute")
        .annotate(
            requests=Count("*"),
            errors=Count("id", filter=FAILED),
            rate_limited=Count("id", filter=Q(cause=Cause.RATE_LIMIT)),
            tokens=Sum(querysets.TOKENS),
        )
    )
    try:
        sql, params = counts.query.sql_with_params()
    except EmptyResultSet:
        return None
    return sql, list(params)


def minutes_apart(user_id: int, selection: Selection, stretches: Sequence[TimeRange]) -> conditions.Sql:
    """Return the same query for many stretches with both ends of one user, without bounds.

    Lateral on purpose, and fenced by OFFSET: each is a look into the index, and costs no planning.
    """
    if any(one.start is None or one.end is None for one in stretches):
        raise ValueError("Stretches between hours have both ends.")
    dimensions, values = conditions.dimensions(selection)
    return (
        f"{_COUNTS} FROM unnest(%s::uuid[], %s::uuid[]) AS meant (head, tail)"  # noqa: S608
        " CROSS JOIN LATERAL (SELECT created_at, status, cause, input_tokens, output_tokens FROM usage_record"
        f" WHERE user_id = %s AND id >= head AND id < tail AND type = ANY(%s){dimensions} OFFSET 0) AS one"
        " GROUP BY minute",
        [
            *_COUNTED,
            [first_id(one.start) for one in stretches if one.start],
            [first_id(one.end) for one in stretches if one.end],
            user_id,
            [kind.value for kind in REQUEST_TYPES],
            *values,
        ],
    )


def minutes_looked_at(scope: Scope, selection: Selection, looked: Looked) -> conditions.Sql | None:
    """Return the same query over the records among those looked at that meet all filters."""
    columns = ("created_at", "type", "status", "cause", "input_tokens", "output_tokens")
    try:
        sql, params = lookback.table(scope, selection, looked, columns)
    except EmptyResultSet:
        # A threshold beyond what its column can hold: Django knows without asking that nothing meets it.
        return None
    return (
        f"{_COUNTS} FROM ({sql}) AS found WHERE type = ANY(%s) GROUP BY minute",
        [*_COUNTED, *params, [kind.value for kind in REQUEST_TYPES]],
    )


def bounded(scope: Scope, selection: Selection, now: datetime) -> TimeRange:
    """Return the range with both ends: an open start is the first hour of a record, an open end is now."""
    chosen = selection.covered
    start, end = chosen.start, chosen.end
    if start is None:
        hours = periods.hours(scope).filter(selection.dimensions).order_by("start")
        start = hours.values_list("start", flat=True).first() or floor(now, HOUR)
    return TimeRange(start, ceil(now, MINUTE) if end is None else end)
