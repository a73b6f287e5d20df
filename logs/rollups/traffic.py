"""Requests and tokens per minute: now, on average, at their peak, and as buckets of a chart.

Minutes are counted from the key's index, which includes every column needed, so they are exact under any
filter. Without a filter, busy hours that are over are counted once (`logs.rollups.busy_hours`): a month of a
heavy user takes no longer than one of a light user. A minute is a calendar minute; `crossings` knows the
sliding one, any 60 seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter

from django.db.models import Count, Q, Sum

from logs.models import (
    CALLS,
    UsageDay,
    UsageRecord,
    querysets,
)
from logs.models.querysets import UsageRecordQuerySet
from logs.rollups import kept_hours, minute_sums, traffic_slices
from logs.rollups.buckets import Bucket, Peak, in_buckets, summed
from logs.rollups.kept_hours import EVERYONE
from logs.rollups.minutes import bounded, minutes_apart, minutes_looked_at, minutes_of
from logs.selection import conditions, lookback
from logs.selection.chosen import Selection
from routescope.data.ids import EPOCH
from routescope.data.ranges import DAY, HOUR, MINUTE, TimeRange, floor
from routescope.data.scopes import Scope

MOST_BUCKETS = 400
MOST_COUNTED = 1_000_000
"""Records whose minutes are counted for one chart: from the index alone, in some 0.3 s."""
MOST_OF_MANY = 200_000
"""The same where they are many users': each is looked up, for a page that is to be as fast."""
MOST_MINUTES = 31 * DAY
"""Everybody's minutes that are read for one chart, where no hours are counted."""
FEW_STRETCHES = 8
"""Of the index that are read with one condition; more of one user are read one by one."""
MINUTES_UP_TO = 2 * DAY
"""Ranges up to this are drawn minute by minute."""
_STEPS = tuple(
    timedelta(minutes=minutes) for minutes in (10, 15, 30, 60, 120, 180, 360, 720, 1440, 10080, 40320)
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests and tokens against time. ``step`` is a bucket's length; buckets without a call are left out.

    Averages are over the whole minutes of the range; of a range without bound, from the first record on.
    ``is_part``: it begins later than what was chosen, where that has more records than `MOST_COUNTED`;
    ``whole`` is what was chosen, with both ends.
    """

    chosen: TimeRange
    whole: TimeRange
    step: timedelta
    buckets: Sequence[Bucket]
    now_rpm: int
    now_tpm: int
    is_part: bool = False

    @property
    def is_within_a_day(self) -> bool:
        """Whether a time of the day tells which minute is meant."""
        return self.chosen.length is not None and self.chosen.length <= DAY

    @property
    def peak_rpm(self) -> Peak | None:
        # Of equals the first: buckets follow each other in time.
        return max((bucket.peak_rpm for bucket in self.buckets), key=_value, default=None)

    @property
    def peak_tpm(self) -> Peak | None:
        return max((bucket.peak_tpm for bucket in self.buckets), key=_value, default=None)

    @property
    def avg_rpm(self) -> Decimal:
        return self._average(sum(bucket.requests for bucket in self.buckets))

    @property
    def avg_tpm(self) -> Decimal:
        return self._average(sum(bucket.tokens for bucket in self.buckets))

    def _average(self, amount: int) -> Decimal:
        minutes = (self.chosen.length or timedelta()) / MINUTE
        return Decimal(amount) / Decimal(minutes) if minutes else Decimal(0)


def step_of(chosen: TimeRange) -> timedelta:
    """Return how long a bucket of a range is: a minute up to two days, then as coarse as the chart needs."""
    length = chosen.length or timedelta()
    if length <= MINUTES_UP_TO:
        return MINUTE
    return next((step for step in _STEPS if length / step <= MOST_BUCKETS), _STEPS[-1])


def traffic(
    scope: Scope,
    selection: Selection,
    now: datetime,
    records: int | None = None,
    steps: Callable[[TimeRange], timedelta] = step_of,
) -> Traffic:
    """Return the traffic of the scope's records in a selection: seven queries at most.

    With bounds: of the newest records alone (`logs.selection.lookback.newest`), over the time that they span.
    ``records`` is how many there are, where the header's sums have told; ``steps`` says how long a bucket of
    a range is.
    """
    selection = lookback.newest(scope, selection)
    whole = chosen = bounded(scope, selection, now)
    busy, stretches = kept(scope, selection, chosen, steps(chosen), origin(chosen, steps(chosen)))
    counted_for = scope if busy else _found_in(scope, selection, chosen)
    is_part = False
    # Under a filter the index holds more than the header's sums say.
    is_small = not selection.is_filtered and records is not None and records <= MOST_COUNTED
    if not busy and selection.looked is None and not (is_small and counted_for.is_of_few):
        chosen = _within_reach(counted_for, selection, chosen)
        stretches, is_part = [chosen], chosen != whole
    step = steps(chosen)
    recent = UsageRecord.objects.visible_to(scope).within(
        TimeRange(now - MINUTE, now + timedelta(milliseconds=1))
    )
    last = recent.filter(selection.condition, CALLS).aggregate(
        requests=Count("*"), tokens=Sum(querysets.TOKENS)
    )
    return Traffic(
        chosen,
        whole,
        step,
        _buckets(counted_for, selection, chosen, step, busy, stretches),
        is_part=is_part,
        now_rpm=last["requests"],
        now_tpm=int(last["tokens"] or 0),
    )


def kept(
    scope: Scope, selection: Selection, chosen: TimeRange, step: timedelta, first: datetime
) -> tuple[list[Bucket], list[TimeRange]]:
    """Return the buckets of the hours that are counted already, and the stretches that are not. ``first`` is
    where the buckets begin.
    """
    part = traffic_slices.slice_of(selection, is_everyone=scope.is_everyone)
    if part is not None and chosen.length and step % HOUR == first - floor(first, HOUR) == timedelta():
        if scope.is_everyone:
            return kept_hours.kept(EVERYONE, part, chosen, step, first)
        # Of several users that are one the busiest minutes do not add up.
        if scope.is_whole and len(scope.ids) == 1:
            return kept_hours.kept(scope.ids[0], part, chosen, step, first)
    return [], [chosen]


def _found_in(scope: Scope, selection: Selection, chosen: TimeRange) -> Scope:
    """Return the scope in whose index the minutes are counted.

    Everybody's minutes are kept, but not by model and group: those of the users who have any are counted.
    """
    if not scope.is_everyone or selection.looked is not None or minute_sums.knows(selection):
        return scope
    rows = UsageDay.objects.filter(selection.dimensions, start__gte=floor(chosen.start or EPOCH, DAY))
    if chosen.end is not None:
        rows = rows.filter(start__lt=chosen.end)
    return scope.narrowed(rows.order_by("user_id").values_list("user_id", flat=True).distinct())


def _within_reach(scope: Scope, selection: Selection, chosen: TimeRange) -> TimeRange:
    """Return the newest part of a range of which the minutes can be counted at a bounded cost."""
    if chosen.start is None or chosen.end is None or chosen.end <= chosen.start:
        return chosen
    most = MOST_COUNTED if scope.is_of_few else MOST_OF_MANY
    if scope.is_everyone and minute_sums.knows(selection):
        minutes, _rest = minute_sums.split([chosen])
        if minutes:
            return TimeRange(max(chosen.start, chosen.end - MOST_MINUTES), chosen.end)
    return TimeRange(lookback.within_reach(scope, chosen.start, chosen.end, most), chosen.end)


def _buckets(
    scope: Scope,
    selection: Selection,
    chosen: TimeRange,
    step: timedelta,
    busy: list[Bucket],
    stretches: list[TimeRange],
) -> list[Bucket]:
    if chosen.start is None or not chosen.length:
        return []
    first = origin(chosen, step)
    mine = UsageRecord.objects.visible_to(scope)
    if selection.looked is not None:
        return _bucketed(minutes_looked_at(scope, selection, selection.looked), step, first)
    if scope.is_everyone:
        rest = _bucketed(_minutes_of_everyone(mine, selection, stretches), step, first)
    else:
        rest = (
            counted(mine, selection, stretches, step, first)
            if len(stretches) <= FEW_STRETCHES
            else (_bucketed(minutes_apart(scope.ids[0], selection, stretches), step, first))
        )
    if not busy:
        return rest
    together: dict[datetime, list[Bucket]] = {}
    for bucket in (*busy, *rest):
        together.setdefault(bucket.start, []).append(bucket)
    return [
        buckets[0] if len(buckets) == 1 else summed(start, buckets)
        for start, buckets in sorted(together.items())
    ]


def _minutes_of_everyone(
    mine: UsageRecordQuerySet[UsageRecord], selection: Selection, stretches: Sequence[TimeRange]
) -> conditions.Sql | None:
    """Return the query of everybody's minutes: those that are kept, and at the edges from the records."""
    minutes: list[TimeRange] = []
    rest = list(stretches)
    if stretches and minute_sums.knows(selection):
        minutes, rest = minute_sums.split(stretches)
    found = [minute_sums.table(selection, minutes)] if minutes else []
    if rest and (counts := minutes_of(mine.filter(_at_any(rest)), selection, rest)):
        found.append(counts)
    if not found:
        return None
    return " UNION ALL ".join(sql for sql, _ in found), [value for _, values in found for value in values]


def _at_any(stretches: Sequence[TimeRange]) -> Q:
    """Return the condition that a record's time is in one of the ranges, for the index on it."""
    condition = Q()
    for stretch in stretches:
        condition |= querysets.time_range(stretch)
    return condition


def counted(
    mine: UsageRecordQuerySet[UsageRecord],
    selection: Selection,
    stretches: Sequence[TimeRange],
    step: timedelta,
    first: datetime,
) -> list[Bucket]:
    """Count the buckets of some stretches from the records' index. ``first`` is where the buckets begin."""
    return _bucketed(minutes_of(mine, selection, stretches), step, first)


def counted_of_everyone(stretch: TimeRange, step: timedelta) -> list[Bucket]:
    """Count the buckets of a stretch of whole minutes from everybody's. They are known."""
    if stretch.start is None:
        raise ValueError("Buckets are counted from the start of a range.")
    return _bucketed(minute_sums.table(Selection(), [stretch]), step, stretch.start)


def _bucketed(minutes: conditions.Sql | None, step: timedelta, first: datetime) -> list[Bucket]:
    """Put minutes, counted by a query, into buckets."""
    if minutes is None:
        return []
    return in_buckets(minutes, "minute", {"requests": "minute", "tokens": "minute"}, step, first)


def origin(chosen: TimeRange, step: timedelta) -> datetime:
    """Return where the buckets of a range are counted from: so that theirs are round times in UTC."""
    if chosen.start is None:
        return datetime(2000, 1, 1, tzinfo=UTC)
    return floor(chosen.start, step if step <= DAY else DAY)


_value = attrgetter("value")
