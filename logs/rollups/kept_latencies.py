"""Which hours and days of a range are kept as sketches and hold, and what is left to be read from records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import connection

from logs.models import PeriodUnit
from logs.rollups import sources
from logs.rollups.latencies import EVERYONE, LENGTHS
from routescope.data.ids import EPOCH
from routescope.data.ranges import Cover, TimeRange
from routescope.data.scopes import Scope

_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


class Period(NamedTuple):
    """A user's (or everybody's) hour or day: as ``usage_latency`` is keyed."""

    user_id: int
    unit: int
    start: datetime


class Stretch(NamedTuple):
    """A range of time of a user, or of everybody."""

    user_id: int
    first: datetime
    past: datetime


def held(scope: Scope, chosen: TimeRange, parts: Cover) -> tuple[list[Period], list[Stretch]]:
    """Return the periods of a cover that are kept, and the stretches that are not: two queries at most."""
    meant = list(_meant(scope, chosen, parts))
    days = [one for ids, cover in meant for one in _stretches(ids, cover.days)]
    hours = [one for ids, cover in meant for one in _stretches(ids, cover.hours)]
    raw = [one for ids, cover in meant for one in _stretches(ids, cover.raw)]
    kept_days, open_days = _kept(PeriodUnit.DAY, days)
    kept_hours, open_hours = _kept(PeriodUnit.HOUR, [*hours, *open_days])
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


def _kept(unit: PeriodUnit, stretches: Sequence[Stretch]) -> tuple[list[Period], list[Stretch]]:
    if not stretches:
        return [], []
    users, firsts, pasts = zip(*stretches, strict=True)
    waits_for = "day" if unit is PeriodUnit.DAY else "start"
    # Everybody's period does not hold while anybody's record waits for it.
    whose = "" if users[0] == EVERYONE else " AND waiting.user_id = kept.user_id"
    with connection.cursor() as cursor:
        # Lateral, and fenced by OFFSET: one look into the key's index for each stretch.
        cursor.execute(
            "SELECT number, kept.start"  # noqa: S608
            " FROM unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY"
            " AS meant (owner, first, past, number)"
            " CROSS JOIN LATERAL (SELECT user_id, start FROM usage_latency"
            " WHERE user_id = owner AND unit = %s AND start >= first AND start < past"
            " AND NOT is_stale OFFSET 0) AS kept"
            " WHERE NOT EXISTS (SELECT FROM usage_pending AS waiting"
            f" WHERE waiting.{waits_for} = kept.start{whose})"
            " ORDER BY number, kept.start",
            [list(users), list(firsts), list(pasts), unit.value],
        )
        starts: dict[int, list[datetime]] = {}
        for number, start in cursor.fetchall():
            starts.setdefault(number, []).append(start)
    periods: list[Period] = []
    between: list[Stretch] = []
    for number, (user_id, first, past) in enumerate(stretches, 1):
        at = first
        for start in starts.get(number, ()):
            if start > at:
                between.append(Stretch(user_id, at, start))
            periods.append(Period(user_id, unit.value, start))
            at = start + LENGTHS[unit]
        if at < past:
            between.append(Stretch(user_id, at, past))
    return periods, between
