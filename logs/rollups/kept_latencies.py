"""Which periods of a range are kept as sketches and hold, and what is left to be read from records."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import connection

from logs.models import PeriodUnit
from logs.rollups import sources
from logs.rollups.latency_periods import EVERYONE, LENGTHS, MONDAY
from routescope.data.ids import EPOCH
from routescope.data.ranges import Cover, TimeRange
from routescope.data.scopes import Scope

_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_PERIOD_OF_WAITING = {
    PeriodUnit.HOUR: "waiting.start",
    PeriodUnit.SIX_HOURS: f"date_bin('6 hours', waiting.start, '{MONDAY.isoformat()}')",
    PeriodUnit.DAY: "waiting.day",
    PeriodUnit.WEEK: f"date_bin('7 days', waiting.day, '{MONDAY.isoformat()}')",
}
"""When the period begins that a record waits for, in SQL."""


class Period(NamedTuple):
    """A user's (or everybody's) period: as ``usage_latency`` is keyed."""

    user_id: int
    unit: int
    start: datetime


class Stretch(NamedTuple):
    """A range of time of a user, or of everybody."""

    user_id: int
    first: datetime
    past: datetime


def held(
    scope: Scope, chosen: TimeRange, parts: Cover, starts: Sequence[datetime] = ()
) -> tuple[list[Period], list[Stretch]]:
    """Return the periods of a cover that are kept, and the stretches that are not: two queries at most.

    None of them has one of ``starts``, moments in order, in its midst.
    """
    meant = list(_meant(scope, chosen, parts))
    days = [one for ids, cover in meant for one in _stretches(ids, cover.days)]
    hours = [one for ids, cover in meant for one in _stretches(ids, cover.hours)]
    raw = [one for ids, cover in meant for one in _stretches(ids, cover.raw)]
    kept_days, open_days = _kept((PeriodUnit.WEEK, PeriodUnit.DAY), days, starts)
    kept_hours, open_hours = _kept((PeriodUnit.SIX_HOURS, PeriodUnit.HOUR), [*hours, *open_days], starts)
    return [*kept_days, *kept_hours], [*raw, *open_hours]


def _meant(scope: Scope, chosen: TimeRange, parts: Cover) -> Iterator[tuple[Sequence[int], Cover]]:
    if scope.is_everyone:
        yield (EVERYONE,), parts
        return
    for share in scope.shares(chosen):
        yield share.ids, parts if share.within == chosen else sources.clipped(parts, share.within)


def _stretches(ids: Sequence[int], ranges: Sequence[TimeRange]) -> Iterator[Stretch]:
    for user_id in ids:
        for one in ranges:
            yield Stretch(user_id, one.start or EPOCH, one.end or _LATEST)


def _kept(
    units: Sequence[PeriodUnit], stretches: Sequence[Stretch], starts: Sequence[datetime]
) -> tuple[list[Period], list[Stretch]]:
    """Cover stretches with the kept periods of some units, the longer first; return what is left between."""
    if not stretches:
        return [], []
    users, firsts, pasts = zip(*stretches, strict=True)
    # Everybody's period does not hold while anybody's record waits for it.
    whose = "" if users[0] == EVERYONE else " AND waiting.user_id = kept.user_id"
    waits_for = ", ".join(f"({unit.value}, {_PERIOD_OF_WAITING[unit]})" for unit in units)
    with connection.cursor() as cursor:
        # Lateral, and fenced by OFFSET: one look into the key's index for each stretch.
        cursor.execute(
            "SELECT number, kept.start, kept.unit"  # noqa: S608
            " FROM unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY"
            " AS meant (owner, first, past, number)"
            " CROSS JOIN LATERAL (SELECT user_id, unit, start FROM usage_latency"
            " WHERE user_id = owner AND unit = ANY(%s) AND start >= first AND start < past"
            " AND NOT is_stale OFFSET 0) AS kept"
            " WHERE NOT EXISTS (SELECT FROM usage_pending AS waiting"
            f" CROSS JOIN LATERAL (VALUES {waits_for}) AS period (unit, start)"
            f" WHERE period.unit = kept.unit AND period.start = kept.start{whose})"
            " ORDER BY number, kept.start",
            [list(users), list(firsts), list(pasts), [unit.value for unit in units]],
        )
        found: dict[int, list[tuple[datetime, PeriodUnit]]] = {}
        for number, start, unit in cursor.fetchall():
            found.setdefault(number, []).append((start, PeriodUnit(unit)))
    periods: list[Period] = []
    between: list[Stretch] = []
    for number, (user_id, first, past) in enumerate(stretches, 1):
        at = first
        # Of those that begin together the longest.
        for start, unit in sorted(found.get(number, ()), key=lambda one: (one[0], -LENGTHS[one[1]])):
            ends = start + LENGTHS[unit]
            if start < at or ends > past or _divides(starts, start, ends):
                continue
            if start > at:
                between.append(Stretch(user_id, at, start))
            periods.append(Period(user_id, unit.value, start))
            at = ends
        if at < past:
            between.append(Stretch(user_id, at, past))
    return periods, between


def _divides(moments: Sequence[datetime], first: datetime, past: datetime) -> bool:
    """Say whether one of some moments in order lies in the midst of a stretch."""
    return bisect_right(moments, first) < bisect_left(moments, past)
