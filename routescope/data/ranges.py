"""Ranges of time: what a person chose, as UTC, and how rollups cover it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from django.db import models
from django.utils.translation import gettext_lazy as _

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


class Preset(models.TextChoices):
    HOUR = "1h", _("Last hour")
    DAY = "24h", _("Last 24 hours")
    WEEK = "7d", _("Last 7 days")
    MONTH = "30d", _("Last 30 days")
    QUARTER = "90d", _("Last 90 days")
    TODAY = "today", _("Today")
    YESTERDAY = "yesterday", _("Yesterday")
    THIS_MONTH = "month", _("This month")
    ALL = "all", _("All time")


_LENGTHS = {
    Preset.HOUR: HOUR,
    Preset.DAY: DAY,
    Preset.WEEK: 7 * DAY,
    Preset.MONTH: 30 * DAY,
    Preset.QUARTER: 90 * DAY,
}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A half-open range of UTC time, ``start <= t < end``. None is without bound on that side."""

    start: datetime | None = None
    end: datetime | None = None

    def __contains__(self, moment: datetime) -> bool:
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)

    @property
    def length(self) -> timedelta | None:
        """The range's length; None where a side is open."""
        return None if self.start is None or self.end is None else max(self.end - self.start, timedelta())

    def clipped(self, within: TimeRange) -> TimeRange:
        """Return the part of this range that lies in ``within``."""
        starts = [bound for bound in (self.start, within.start) if bound is not None]
        ends = [bound for bound in (self.end, within.end) if bound is not None]
        return TimeRange(max(starts, default=None), min(ends, default=None))


def floor(moment: datetime, unit: timedelta) -> datetime:
    """Return the start of the UTC hour, day or minute (``unit``) that holds ``moment``."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return moment.astimezone(UTC) - (moment - epoch) % unit


def ceil(moment: datetime, unit: timedelta) -> datetime:
    """Return ``moment``, or the next start of a UTC hour, day or minute (``unit``) after it."""
    start = floor(moment, unit)
    return start if start == moment else start + unit


def preset_range(preset: str, now: datetime, zone: tzinfo) -> TimeRange:
    """Return the range that a preset means at ``now`` for a person whose time zone is ``zone``.

    Ranges end with the running minute, so that a record of this second is inside. Calendar presets follow
    the person's own midnight. Raises KeyError for a word that is no preset.
    """
    chosen = Preset(preset)
    end = floor(now, MINUTE) + MINUTE
    if chosen is Preset.ALL:
        return TimeRange(None, None)
    if chosen in _LENGTHS:
        return TimeRange(end - _LENGTHS[chosen], end)
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if chosen is Preset.TODAY:
        return TimeRange(midnight.astimezone(UTC), end)
    if chosen is Preset.YESTERDAY:
        # Subtract on the local clock: a day with a clock change has 23 or 25 hours.
        return TimeRange((midnight - DAY).astimezone(UTC), midnight.astimezone(UTC))
    return TimeRange(midnight.replace(day=1).astimezone(UTC), end)


@dataclass(frozen=True, slots=True)
class Cover:
    """A range as whole UTC days, whole UTC hours and the stretches at its edges that need raw records.

    The parts never overlap and together are exactly the range.
    """

    days: list[TimeRange]
    hours: list[TimeRange]
    raw: list[TimeRange]


def cover(chosen: TimeRange) -> Cover:
    """Split a range so that sums are read from the coarsest rollup that is exact."""
    hours, raw = _inner(chosen, HOUR)
    days: list[TimeRange] = []
    edges: list[TimeRange] = []
    for stretch in hours:
        inner, outer = _inner(stretch, DAY)
        days += inner
        edges += outer
    return Cover(days, edges, raw)


def _inner(chosen: TimeRange, unit: timedelta) -> tuple[list[TimeRange], list[TimeRange]]:
    """Split into the stretch of whole units (none or one) and what is left before and after it."""
    start = None if chosen.start is None else ceil(chosen.start, unit)
    end = None if chosen.end is None else floor(chosen.end, unit)
    if start is not None and end is not None and start >= end:
        return [], ([chosen] if chosen.length else [])
    edges = []
    if chosen.start is not None and start is not None and chosen.start < start:
        edges.append(TimeRange(chosen.start, start))
    if chosen.end is not None and end is not None and end < chosen.end:
        edges.append(TimeRange(end, chosen.end))
    return [TimeRange(start, end)], edges
