"""The chart of requests and tokens against request time, drawn on the server as SVG.

Bars stand in inner drawings that stretch (one unit wide per bucket, two high per pixel); text and lines are
placed in per cent and pixels, so that nothing is distorted at any width. Each track is one path: a thousand
minutes weigh a few kilobytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext as _

from logs.rollups.buckets import Bucket, Peak
from logs.rollups.traffic import Traffic, origin
from routescope.data.ranges import DAY, HOUR, MINUTE
from routescope.text.formatting import minute, month_day

_GAPS_UP_TO = 150  # more bars than this stand without a gap
_STEPS = re.compile(r"(?:h1){2,}")  # equal bars side by side
_MOST_TICKS = 8
_MOST_ROWS = 26
_TICKS = tuple(
    timedelta(minutes=minutes)
    for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7 * 1440, 14 * 1440, 28 * 1440)
)


@dataclass(frozen=True, slots=True)
class Track:
    """Where a track stands in the drawing, in pixels from its top, and the value at its upper edge."""

    top: int
    height: int
    most: int

    @property
    def bottom(self) -> int:
        return self.top + self.height

    @property
    def middle(self) -> int:
        return self.top + self.height // 2

    @property
    def half(self) -> int | float:
        return self.most // 2 if self.most % 2 == 0 else self.most / 2

    @property
    def units(self) -> int:
        """The height of the track's own stretched drawing: half a pixel each."""
        return 2 * self.height

    def pixel(self, value: float) -> float:
        """Return the height of a value in the drawing, in pixels from its top."""
        return round(self.bottom - min(value / self.most, 1) * self.height, 1)

    def unit(self, value: float) -> int:
        """Return the height of a value in the track's own stretched drawing."""
        return self.units - round(min(value / self.most, 1) * self.units)


@dataclass(frozen=True, slots=True)
class Tick:
    """A label under the chart: a round time in the person's zone. ``major`` ones stay on a narrow screen."""

    at: str
    anchor: str
    label: str
    major: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """The busiest minute's label, where it is."""

    at: str
    anchor: str
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class ChartRow:
    """A line of the table that says the same as the chart."""

    start: datetime
    end: datetime
    requests: int
    errors: int
    rate_limited: int
    tokens: int
    peak_rpm: int
    peak_tpm: int


class Chart:
    """What the template draws. ``rpm_limit`` and ``tpm_limit`` are those of the one token filtered for."""

    def __init__(self, traffic: Traffic, rpm_limit: int | None = None, tpm_limit: int | None = None) -> None:
        self.traffic = traffic
        self.rpm_limit = rpm_limit
        self.tpm_limit = tpm_limit
        self.zone = get_current_timezone()
        start, end = traffic.chosen.start, traffic.chosen.end
        if start is None or end is None:
            raise ValueError("A chart needs a range with both ends.")
        self.start = origin(traffic.chosen, traffic.step)
        self.end = end
        self.count = max(1, math.ceil((end - self.start) / traffic.step))
        peak_rpm = traffic.peak_rpm.value if traffic.peak_rpm else 0
        peak_tpm = traffic.peak_tpm.value if traffic.peak_tpm else 0
        self.requests = Track(14, 40, nice(max(peak_rpm, rpm_limit or 0)))
        self.tokens = Track(66, 16, nice(max(peak_tpm, tpm_limit or 0)))
        # Drawn here, not when the template asks: as deep in calls as it is, Python 3.11 may allocate a piece
        # of stack for each further call, and take ten times as long.
        minutes = self.step_minutes
        self.requests_path = self._path(self.requests, lambda bucket: bucket.requests / minutes)
        self.errors_path = self._path(self.requests, lambda bucket: bucket.errors / minutes)
        self.limited_path = self._path(self.requests, lambda bucket: bucket.rate_limited / minutes)
        self.tokens_path = self._path(self.tokens, lambda bucket: bucket.tokens / minutes)
        # The busiest minute inside each bucket; nothing where a bucket is a minute.
        self.peaks_path = self.token_peaks_path = ""
        if not self.is_by_minute:
            self.peaks_path = self._path(self.requests, lambda bucket: bucket.peak_rpm.value)
            self.token_peaks_path = self._path(self.tokens, lambda bucket: bucket.peak_tpm.value)
        # The buckets that hold a minute over a limit: their bars, and a mark under each.
        self.over = [bucket for bucket in traffic.buckets if self._is_over(bucket)]
        self.over_path = self.token_over_path = ""
        if rpm_limit is not None:
            self.over_path = self._path(
                self.requests, lambda bucket: bucket.peak_rpm.value * (bucket.peak_rpm.value > rpm_limit)
            )
        if tpm_limit is not None:
            self.token_over_path = self._path(
                self.tokens, lambda bucket: bucket.peak_tpm.value * (bucket.peak_tpm.value > tpm_limit)
            )
        self.over_marks = self._marks(self.over)

    @property
    def is_by_minute(self) -> bool:
        return self.traffic.step == MINUTE

    @property
    def step_label(self) -> str:
        minutes = self.traffic.step // MINUTE
        if minutes < 60:
            return _("%(n)s min") % {"n": minutes}
        return (
            _("%(n)s h") % {"n": minutes // 60} if minutes < 1440 else _("%(n)s d") % {"n": minutes // 1440}
        )

    @property
    def step_minutes(self) -> float:
        return self.traffic.step / MINUTE

    @property
    def limit_lines(self) -> list[tuple[float, str]]:
        """The limits as lines: their heights in pixels, and their labels."""
        lines = []
        if self.rpm_limit is not None:
            label = _("limit %(limit)s RPM") % {"limit": f"{self.rpm_limit:,}"}
            lines.append((self.requests.pixel(self.rpm_limit), label))
        if self.tpm_limit is not None:
            label = _("limit %(limit)s TPM") % {"limit": f"{self.tpm_limit:,}"}
            lines.append((self.tokens.pixel(self.tpm_limit), label))
        return lines

    @property
    def ticks(self) -> list[Tick]:
        moments = list(_round_times(self.start, self.end, self.zone))
        return [
            Tick(
                self._percent(moment),
                # A label that would leave the drawing stands before its tick.
                "end" if (self.end - moment) / (self.end - self.start) < 0.13 else "start",
                _tick_label(moment, self.zone, moments),
                index % 2 == 0,
            )
            for index, moment in enumerate(moments)
        ]

    @property
    def peak(self) -> Mark | None:
        peak = self.traffic.peak_rpm
        if peak is None:
            return None
        place = (peak.at - self.start) / (self.end - self.start)
        # The words are half of a phone's plot.
        anchor = "start" if place < 0.3 else "end" if place > 0.7 else "middle"
        label = _("peak %(value)s RPM at %(time)s") % {
            "value": f"{peak.value:,}",
            "time": minute(peak.at),
        }
        return Mark(self._percent(peak.at + MINUTE / 2), anchor, self.requests.pixel(peak.value), label)

    @property
    def rows(self) -> list[ChartRow]:
        """The chart as at most 26 lines: buckets folded together, those without a call left out."""
        size = math.ceil(self.count / _MOST_ROWS)
        folded: dict[int, list[Bucket]] = {}
        for bucket in self.traffic.buckets:
            folded.setdefault(self._index(bucket) // size, []).append(bucket)
        length = size * self.traffic.step
        chosen = self.traffic.chosen
        return [
            ChartRow(
                start=max(self.start + index * length, chosen.start or self.start),
                end=min(self.start + (index + 1) * length, self.end),
                requests=sum(bucket.requests for bucket in buckets),
                errors=sum(bucket.errors for bucket in buckets),
                rate_limited=sum(bucket.rate_limited for bucket in buckets),
                tokens=sum(bucket.tokens for bucket in buckets),
                peak_rpm=max(bucket.peak_rpm.value for bucket in buckets),
                peak_tpm=max(bucket.peak_tpm.value for bucket in buckets),
            )
            for index, buckets in sorted(folded.items())
        ]

    @property
    def words(self) -> dict[str, str]:
        """What the tooltip calls its figures."""
        return {
            "requests": _("Requests"),
            "errors": _("Errors"),
            "limited": _("Rate limited"),
            "tokens": _("Tokens"),
            "peak_rpm": _("Peak RPM"),
            "peak_tpm": _("Peak TPM"),
            "cursor": _("Time on the chart"),
            "none": _("no requests"),
        }

    @property
    def data(self) -> dict[str, object]:
        """What the tooltip shows: per bucket its place, counts and peaks with their epoch seconds."""

        def place(peak: Peak) -> int:
            return int(peak.at.timestamp())

        return {
            "buckets": [
                [
                    self._index(bucket),
                    bucket.requests,
                    bucket.errors,
                    bucket.rate_limited,
                    bucket.tokens,
                    bucket.peak_rpm.value,
                    place(bucket.peak_rpm),
                    bucket.peak_tpm.value,
                    place(bucket.peak_tpm),
                ]
                for bucket in self.traffic.buckets
            ]
        }

    def _is_over(self, bucket: Bucket) -> bool:
        return (self.rpm_limit is not None and bucket.peak_rpm.value > self.rpm_limit) or (
            self.tpm_limit is not None and bucket.peak_tpm.value > self.tpm_limit
        )

    def _marks(self, buckets: Sequence[Bucket]) -> str:
        """Return a line along each run of buckets: drawn with square ends, it is seen however short."""
        runs: list[list[int]] = []
        for bucket in buckets:
            index = self._index(bucket)
            if runs and runs[-1][1] == index:
                runs[-1][1] = index + 1
            else:
                runs.append([index, index + 1])
        return "".join(f"M{first} 0H{end}" for first, end in runs)

    def _index(self, bucket: Bucket) -> int:
        return (bucket.start - self.start) // self.traffic.step

    def _percent(self, moment: datetime) -> str:
        # Against the whole buckets, the last of which may reach beyond the range.
        share = (moment - self.start) / (self.count * self.traffic.step)
        return f"{min(max(share, 0), 1) * 100:.3f}%"

    def _path(self, track: Track, value: Callable[[Bucket], float]) -> str:
        """Return one closed path of all the bars: a step up, along and down for each."""
        gap = self.count <= _GAPS_UP_TO
        ground = track.units
        parts = [f"M0 {ground}"]
        at: float = 0
        level = ground
        for bucket in self.traffic.buckets:
            unit = track.unit(value(bucket))
            if unit == ground:
                continue
            index = self._index(bucket)
            if index > at:
                parts.append(f"{_level(level, ground)}H{index}")
                level = ground
            parts.append(f"{_level(level, unit)}h{'.8' if gap else '1'}")
            level = unit
            if gap:
                parts.append(f"V{ground}h.2")
                level = ground
            at = index + 1
        if at == 0:
            return ""
        path = "".join(parts) + f"{_level(level, ground)}z"
        return _STEPS.sub(lambda run: f"h{len(run[0]) // 2}", path)


def nice(value: float) -> int:
    """Return the next round number from ``value`` on, at least 2: the top of a scale that people can read."""
    power = 10 ** math.floor(math.log10(max(value, 1)))
    steps = (step * power for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10))
    return next(int(step) for step in steps if step >= max(value, 2) and step == int(step))


def _level(level: int, wanted: int) -> str:
    return "" if level == wanted else min(f"V{wanted}", f"v{wanted - level}", key=len)


def _round_times(start: datetime, end: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield the round local times in a range that label its axis, at most eight or nine."""
    length = end - start
    interval = next((step for step in _TICKS if length / step <= _MOST_TICKS), _TICKS[-1])
    local = start.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if interval < DAY:
        # On the wall clock: a clock change shifts no label off its hour.
        wall = midnight.replace(tzinfo=None)
        while (moment := wall.replace(tzinfo=zone)) < end:
            # What the clock jumps over does not exist, and would come out as another time.
            exists = moment.astimezone(start.tzinfo).astimezone(zone).replace(tzinfo=None) == wall
            if moment >= start and exists:
                yield moment
            wall += interval
        return
    day = midnight
    while day < end:
        if day >= start:
            yield day
        day = (day.replace(tzinfo=None) + interval).replace(tzinfo=zone)


def _tick_label(moment: datetime, zone: tzinfo, moments: Sequence[datetime]) -> str:
    local = moment.astimezone(zone)
    by_day = len(moments) > 1 and moments[1] - moments[0] >= 23 * HOUR
    if by_day or (local.hour, local.minute) == (0, 0):
        return month_day(local)
    return f"{local:%H:%M}"
