"""Percentiles of how long calls took: of a selection, by what it is compared by, and over time.

They come from the same cover of a range as its sums do (`logs.rollups.own_sums`): of whole days and hours
from what is kept as sketches (`logs.rollups.kept_latencies`), and of all else from the records, up to
`MOST_RECORDS`. So they are of the very calls that were chosen, under any filter, within the error of a sketch
(`logs.rollups.sketches.ERROR`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from django.core.exceptions import EmptyResultSet
from django.db import connection
from psycopg.types.json import Jsonb

from accounts.models import ApiToken
from logs.models import REQUEST_TYPES, UsageRecord
from logs.rollups import kept_latencies, sketches
from logs.rollups.kept_latencies import Period, Stretch
from logs.rollups.latency_periods import EVERYONE, EVERYONE_BY
from logs.rollups.sketches import Measure, Percentiles
from logs.selection import conditions, lookback
from logs.selection.chosen import Looked, Selection
from logs.selection.conditions import Sql
from routescope.data.ids import first_id, moment_of
from routescope.data.ranges import DAY, HOUR, Cover, cover, floor
from routescope.data.scopes import Scope

MOST_RECORDS = 50_000
"""Records that are read for what is not kept as sketches: warm, some 60 ms. Of more nothing is told."""
MOST_PEOPLE = 50
"""Users of whom sketches are added up."""
HEADER = (Measure.DURATION, Measure.TTFT)
Counted = Counter[tuple[Measure, int]]
"""How many values stand in each bucket of a measure."""
_RANKS = (50, 95, 99)
_TOO_MUCH = -1
_BY = frozenset(("token_id", "model_id", "group_id", "user_id", "cause"))
_READ = (
    "created_at", "user_id", "token_id", "model_id", "group_id", "type", "status", "cause", *sketches.COLUMNS
)  # fmt: skip

Found = dict[tuple[int, Measure], Percentiles]
"""By line (0 where there is one alone) and measure. What has no value is left out."""


@dataclass(frozen=True, slots=True)
class _Lines:
    """What there is a line for: nothing, a column's values, or stretches of time."""

    by: str | None
    starts: Sequence[datetime]
    merged: Mapping[int, int]

    def sql(self, time: str) -> Sql:
        """Return the number of a row's line; ``time`` is its column that says when."""
        if self.starts:
            return f"width_bucket({time}, %s::timestamptz[])", [list(self.starts)]
        if self.by is None:
            return "0", []
        if not self.merged:
            return f"coalesce({self.by}, 0)", []
        return f"coalesce((%s::jsonb ->> {self.by}::text)::integer, {self.by}, 0)", [Jsonb(dict(self.merged))]


def overall(
    scope: Scope, selection: Selection, measures: Sequence[Measure] = HEADER
) -> dict[Measure, Percentiles] | None:
    """Return the percentiles of a selection's calls: three queries. None where there is too much to read.

    With bounds: of the newest records alone, as all of the page (`logs.selection.lookback.newest`).
    """
    found = grouped(scope, selection, measures=measures)
    return None if found is None else {measure: one for (_line, measure), one in found.items()}


def grouped(
    scope: Scope,
    selection: Selection,
    by: str | None = None,
    *,
    measures: Sequence[Measure] = HEADER,
    parts: Cover | None = None,
    starts: Sequence[datetime] = (),
    merged: Mapping[int, int] | None = None,
) -> Found | None:
    """Return the percentiles of each line: of a token, model, group, user or cause, by their column.

    With ``starts``, moments in order, a line is a number from 1: of the last of them that a call is not
    before. No day or hour of ``parts`` (by default the coarsest cover of the range) may then hold one in its
    midst. ``merged``: the lines of some ids are those of others. None where there is too much to read.
    """
    if by is not None and by not in _BY:
        raise ValueError(f"No latencies are kept by {by}.")
    selection = lookback.newest(scope, selection)
    lines = _Lines(by, starts, merged or {})
    if selection.looked is not None:
        try:
            records = lookback.table(scope, selection, selection.looked, _READ)
        except EmptyResultSet:
            return {}
        sql, values = records
        looked = f"SELECT *, false AS is_too_much FROM ({sql}) AS looked", values  # noqa: S608
        return _added(measures, [_of_records(looked, measures, lines)])
    readable = _readable(scope, selection, by)
    if readable is None:
        return None
    periods, rest = kept_latencies.held(readable, selection.chosen, parts or cover(selection.chosen), starts)
    found: list[Sql] = []
    if periods:
        found.append(_of_periods(selection, measures, lines, periods))
    if rest:
        found.append(_of_records(_left(selection, rest), measures, lines))
    return _added(measures, found)


def over_time(
    scope: Scope, selection: Selection, measure: Measure, step: timedelta, first: datetime
) -> list[tuple[datetime, Percentiles]] | None:
    """Return the percentiles of each stretch that is so long, from ``first`` on, with when it begins.

    ``first`` is not after the range begins. Stretches without a value are left out. None where there is too
    much to read.
    """
    chosen = selection.covered
    if chosen.start is None or chosen.end is None or chosen.start >= chosen.end:
        return []
    starts = [first]
    while starts[-1] + step < chosen.end:
        starts.append(starts[-1] + step)
    whole = cover(chosen)
    if step % DAY == timedelta() and first == floor(first, DAY):
        parts = whole
    elif step % HOUR == timedelta() and first == floor(first, HOUR):
        parts = Cover([], [*whole.days, *whole.hours], whole.raw)
    else:
        parts = Cover([], [], [chosen])
    found = grouped(scope, selection, measures=(measure,), parts=parts, starts=starts)
    if found is None:
        return None
    return sorted((starts[line - 1], one) for (line, _measure), one in found.items())


def counted(scope: Scope, selection: Selection, looked: Looked, measures: Sequence[Measure]) -> Counted:
    """Count the buckets of the calls among those looked at that meet all filters.

    Counts of several looks can be added.
    """
    try:
        sql, values = lookback.table(scope, selection, looked, _READ)
    except EmptyResultSet:
        return Counter()
    read = f"SELECT *, false AS is_too_much FROM ({sql}) AS looked", values  # noqa: S608
    buckets, bucket_values = _of_records(read, measures, _Lines(None, (), {}))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT measure, bucket, count(*) FROM ({buckets}) AS found GROUP BY measure, bucket",  # noqa: S608
            bucket_values,
        )
        return Counter({(measures[number], bucket): count for number, bucket, count in cursor.fetchall()})


def counted_of(records: Iterable[UsageRecord], measures: Sequence[Measure]) -> Counted:
    """Count the buckets of records in hand, by the same rules as `counted`."""
    return Counter(
        (measure, sketches.bucket(value))
        for record in records
        if record.type in REQUEST_TYPES
        for measure in measures
        if (value := sketches.value_in(record, measure)) is not None
    )


def of_counted(buckets: Counted) -> dict[Measure, Percentiles]:
    """Return the percentiles of what was counted. What has no value is left out."""
    found = {}
    for measure in dict.fromkeys(measure for measure, _bucket in buckets):
        held = sorted((bucket, n) for (of, bucket), n in buckets.items() if of is measure and n)
        found[measure] = _ranked(measure, held)
    return found


def _readable(scope: Scope, selection: Selection, by: str | None) -> Scope | None:
    """Return the scope whose sketches answer; None where none do.

    Everybody's know no token: those of the tokens' owners do.
    """
    if scope.is_everyone:
        if by in ("token_id", "user_id"):
            return None
        if not selection.tokens:
            return scope
        owners = ApiToken.objects.filter(pk__in=selection.tokens).values_list("owner", flat=True)
        scope = scope.narrowed(sorted(set(owners)))
    return scope if len(scope.windows or ()) <= MOST_PEOPLE else None


def _of_periods(
    selection: Selection, measures: Sequence[Measure], lines: _Lines, periods: Sequence[Period]
) -> Sql:
    """Return the query of the counted buckets of kept periods: line, measure, bucket, how many."""
    is_whole = not selection.is_filtered and lines.by is None
    table = "usage_latency" if is_whole else "usage_latency_part"
    line, line_values = lines.sql("start")
    chosen, chosen_values = conditions.dimensions(selection)
    sketched = ", ".join(f"({number}, kept.{measure.column})" for number, measure in enumerate(measures))
    users, units, begins = (list(column) for column in zip(*periods, strict=True))
    divided_by = {name for name, _ids in selection.chosen_values} | ({lines.by} if lines.by else set())
    if users[0] == EVERYONE and len(divided_by) == 1 and Measure.SPEED not in measures:
        users = [EVERYONE_BY.get(divided_by.pop(), EVERYONE)] * len(users)
    return (
        f"SELECT line, measure, {sketches.BUCKET_OF} AS bucket, {sketches.COUNT_OF} AS n"  # noqa: S608
        " FROM (SELECT line, measure, unnest(codes) AS code"
        " FROM unnest(%s::integer[], %s::smallint[], %s::timestamptz[]) AS meant (owner, length, begins)"
        f" CROSS JOIN LATERAL (SELECT *, {line} AS line FROM {table}"
        f" WHERE user_id = owner AND unit = length AND start = begins{chosen} OFFSET 0) AS kept"
        f" CROSS JOIN LATERAL (VALUES {sketched}) AS sketched (measure, codes)) AS elements",
        [users, units, begins, *line_values, *chosen_values],
    )


def _left(selection: Selection, rest: Sequence[Stretch]) -> Sql:
    """Return the query of the records of some stretches that are chosen.

    The bound is of what is read, whatever is found among it: one record more than it tells that it was met.
    """
    users, firsts, pasts = zip(*rest, strict=True)
    heads, tails = ([first_id(moment) for moment in moments] for moments in (firsts, pasts))
    where = "user_id = owner AND id >= head AND id < tail"
    if users[0] == EVERYONE:
        where = "created_at >= first AND created_at < past AND id >= head AND id < tail"
    chosen, chosen_values = conditions.dimensions(selection)
    return (
        f"SELECT * FROM (SELECT one.*, row_number() OVER () > {MOST_RECORDS} AS is_too_much"  # noqa: S608
        " FROM unnest(%s::integer[], %s::uuid[], %s::uuid[], %s::timestamptz[], %s::timestamptz[])"
        " AS meant (owner, head, tail, first, past)"
        f" CROSS JOIN LATERAL (SELECT {', '.join(_READ)} FROM usage_record WHERE {where} OFFSET 0) AS one"
        f" LIMIT {MOST_RECORDS + 1}) AS read WHERE is_too_much OR (true{chosen})",
        [
            list(users), heads, tails, [moment_of(one) for one in heads], [moment_of(one) for one in tails],
            *chosen_values,
        ],
    )  # fmt: skip


def _of_records(records: Sql, measures: Sequence[Measure], lines: _Lines) -> Sql:
    """Return the same of records. A row of `_TOO_MUCH` says that not all of them were read."""
    sql, values = records
    line, line_values = lines.sql("created_at")
    measured = ", ".join(f"({number}, {measure.sql})" for number, measure in enumerate(measures))
    return (
        f"SELECT {line} AS line, measure, {sketches.bucket_sql('value')} AS bucket, 1 AS n"  # noqa: S608
        f" FROM ({sql}) AS read"
        f" CROSS JOIN LATERAL (VALUES {measured}, ({_TOO_MUCH}, CASE WHEN is_too_much THEN 0 END))"
        f" AS measured (measure, value) WHERE value IS NOT NULL"
        f" AND (type = ANY(%s) OR measure = {_TOO_MUCH})",
        [*line_values, *values, [kind.value for kind in REQUEST_TYPES]],
    )


def _added(measures: Sequence[Measure], counted: Sequence[Sql]) -> Found | None:
    """Add up counted buckets, and find the percentiles in them."""
    if not counted:
        return {}
    with connection.cursor() as cursor:
        # A few hundred buckets of a line are put in order here in half the time that windows take for it.
        cursor.execute(
            "SELECT line, measure, array_agg(bucket), array_agg(n) FROM (SELECT line, measure, bucket,"  # noqa: S608
            f" sum(n)::bigint AS n FROM ({' UNION ALL '.join(sql for sql, _ in counted)}) AS counted"
            " GROUP BY line, measure, bucket) AS counts GROUP BY line, measure",
            [value for _, values in counted for value in values],
        )
        found: Found = {}
        for line, number, buckets, counts in cursor.fetchall():
            if number == _TOO_MUCH:
                return None
            measure = measures[number]
            found[line, measure] = _ranked(measure, sorted(zip(buckets, counts, strict=True)))
        return found


def _ranked(measure: Measure, held: Sequence[tuple[int, int]]) -> Percentiles:
    """Return the percentiles of buckets in order, and how many values each holds."""
    upto = list(accumulate(count for _bucket, count in held))
    places = (bisect_left(upto, -(-upto[-1] * rank // 100)) for rank in _RANKS)
    return Percentiles.of(measure, upto[-1], *(held[place][0] for place in places))
