"""The chart of one metric against request time, drawn on the server as SVG.

Bars and lines stand in an inner drawing that stretches (`logs.usage.chart_paths`); text and marks are placed
in per cent and pixels, so that nothing is distorted at any width. The labels of the scale stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext as _

from logs.rollups.buckets import Bucket
from logs.rollups.metrics import Metric, MetricUnit
from logs.rollups.traffic import Traffic
from logs.usage import chart_paths, chart_told
from logs.usage.chart_parts import Amount, Before, Grid, Layer, Plotted, Ways
from logs.usage.chart_scale import Number, Tick, Track, is_uneven, nice, percent, ticks
from routescope.data.ranges import MINUTE
from routescope.text import formatting
from routescope.text.formatting import minute

TOP, HEIGHT = 15, 56
_ON_THE_AXIS: Mapping[MetricUnit, Callable[[Number | None], str]] = {
    **chart_told.WRITTEN,
    MetricUnit.COUNT: formatting.count_round,
    MetricUnit.MONEY: formatting.money_round,
    MetricUnit.DURATION: formatting.duration_round,
}


@dataclass(frozen=True, slots=True)
class Mark:
    """The busiest minute's label, where it is. ``anchor`` says on which side of the place it stands."""

    at: str
    anchor: str
    y: float
    label: str


class Chart:
    """What the template draws. ``rpm_limit`` and ``tpm_limit`` are those of the one token filtered for."""

    def __init__(
        self,
        traffic: Traffic,
        plotted: Plotted,
        rpm_limit: int | None = None,
        tpm_limit: int | None = None,
        ways: Ways | None = None,
    ) -> None:
        self.traffic, self.plotted, self.ways = traffic, plotted, ways
        self.rpm_limit, self.tpm_limit = rpm_limit, tpm_limit
        self.zone = get_current_timezone()
        self.grid = Grid.of(traffic.whole, plotted.step)
        # Drawn here, not when the template asks: as deep in calls as it is, Python 3.11 may allocate a piece
        # of stack for each further call, and take ten times as long.
        stacked = list(_stacked(plotted.layers))
        self.totals: Mapping[int, Amount] = stacked[-1] if stacked else {}
        self.track = self._scale()
        # The whole bars first, and before them what they begin with: each part is seen down to the next.
        self.paths = [
            (layer.look, chart_paths.bars(self.track, tops))
            for layer, tops in reversed(list(zip(plotted.layers, stacked, strict=True)))
        ]
        self.lines = self._lines()
        self.ghost_path = ""
        if plotted.ghost:
            whole = {index: plotted.ghost.get(index, 0) for index in range(self.grid.count)}
            self.ghost_path = chart_paths.line(self.track, whole)
        self.over_path = ""
        if self.limit is not None and self.metric.peak:
            over = {index: value for index, value in self.totals.items() if value > self.limit}
            self.over_path = chart_paths.bars(self.track, over)
        # The bars that hold a minute over a limit have a mark under each.
        self.over_marks = chart_paths.runs({self.grid.index(bucket.start) for bucket in self.over})

    @property
    def metric(self) -> Metric:
        return self.plotted.drawn

    @property
    def before(self) -> Before | None:
        return self.plotted.before

    @property
    def is_by_minute(self) -> bool:
        return self.grid.step == MINUTE

    @property
    def step_label(self) -> str:
        minutes = self.grid.step // MINUTE
        if minutes < 60:
            return _("%(n)s min") % {"n": minutes}
        return (
            _("%(n)s h") % {"n": minutes // 60} if minutes < 1440 else _("%(n)s d") % {"n": minutes // 1440}
        )

    @property
    def scale_note(self) -> str:
        """What a bar is of, and how high it is, where that is not as its value."""
        length = _("minute") if self.is_by_minute else self.step_label
        note = _("per %(length)s") % {"length": length}
        if self.metric.peak and not self.is_by_minute:
            note = _("busiest minute in %(length)s") % {"length": length}
        return f"{note}, {_('square-root scale')}" if self.track.is_root else note

    @property
    def step_minutes(self) -> int:
        return self.grid.step // MINUTE

    @property
    def axis(self) -> list[tuple[float, str]]:
        """The labels of the scale: top, middle and nothing, each at its true height in pixels."""
        written = _ON_THE_AXIS[self.metric.unit]
        track = self.track
        zero = "0" if self.metric.unit in (MetricUnit.COUNT, MetricUnit.RATE) else written(0)
        return [
            (track.top, written(track.most)),
            (track.pixel(track.middle), written(track.middle)),
            (track.bottom, "0" if self.metric.unit is MetricUnit.MONEY else zero),
        ]

    @property
    def legend(self) -> list[tuple[Layer, str, str]]:
        """The parts of the bars with their sums, short and exact, where these say anything: maxima do not add
        up.
        """
        if self.metric.of is None:
            return [(layer, "", "") for layer in self.plotted.layers]
        if self.metric.unit is MetricUnit.MONEY:
            return [
                (layer, formatting.money_average(layer.total), formatting.money_exact(layer.total))
                for layer in self.plotted.layers
            ]
        return [
            (layer, formatting.tokens(layer.total), formatting.exact(layer.total))
            for layer in self.plotted.layers
        ]

    @property
    def limit(self) -> int | None:
        """The limit that the bars can be held against: that of what one minute, or the busiest, holds."""
        if self.plotted.metric == "rpm" or (self.plotted.metric == "requests" and self.is_by_minute):
            return self.rpm_limit
        if self.plotted.metric == "tpm" or (self.plotted.metric == "tokens" and self.is_by_minute):
            return self.tpm_limit
        return None

    @property
    def limit_line(self) -> Mark | None:
        """The limit as a line: its height, and its label, away from the peak's."""
        if self.limit is None:
            return None
        is_of_requests = self.plotted.metric in ("rpm", "requests")
        label = _("limit %(limit)s RPM") if is_of_requests else _("limit %(limit)s TPM")
        peak = self.traffic.peak_rpm if is_of_requests else self.traffic.peak_tpm
        is_left = peak is not None and self._place(peak.at) > 0.5
        at, anchor = ("0", "start") if is_left else ("100%", "end")
        return Mark(at, anchor, self.track.pixel(self.limit), label % {"limit": f"{self.limit:,}"})

    @property
    def ticks(self) -> list[Tick]:
        return ticks(self.grid.start, self.grid.end, self.zone, self.grid.length)

    @property
    def peak(self) -> Mark | None:
        """The busiest minute, at the top of its bar."""
        peak, label = self.traffic.peak_rpm, _("peak %(value)s RPM at %(time)s")
        if self.plotted.metric in ("tokens", "tpm"):
            peak, label = self.traffic.peak_tpm, _("peak %(value)s TPM at %(time)s")
        elif self.plotted.metric not in ("requests", "rpm"):
            return None
        if peak is None:
            return None
        place = self._place(peak.at)
        index = self.grid.index(peak.at)
        # The words are half of a phone's plot.
        anchor = "start" if place < 0.3 else "end" if place > 0.7 else "middle"
        written = formatting.exact if self.plotted.metric in ("requests", "rpm") else formatting.tokens
        return Mark(
            # In the middle of a bar, which leaves a fifth of its place to the gap.
            percent((index + 0.4) / self.grid.count),
            anchor,
            self.track.pixel(self.totals.get(index, 0)),
            label % {"value": written(peak.value), "time": minute(peak.at)},
        )

    @property
    def over(self) -> list[Bucket]:
        """The stretches that hold a minute over a limit."""
        return [bucket for bucket in self.traffic.buckets if self._is_over(bucket)]

    @property
    def columns(self) -> list[str]:
        return chart_told.columns(self.traffic, self.plotted)

    @property
    def rows(self) -> list[chart_told.ChartRow]:
        return chart_told.rows(self.traffic, self.plotted, self.grid)

    @property
    def words(self) -> dict[str, object]:
        return chart_told.words(self.plotted)

    @property
    def data(self) -> dict[str, object]:
        return chart_told.data(self.traffic, self.plotted, self.grid)

    def _scale(self) -> Track:
        lines = self.plotted.lines
        # Of percentiles the highest of each bar.
        held: list[Number] = [one[3] for one in lines] or list(self.totals.values())
        most = max(held, default=0)
        # Drawn up to twice as high as the range's own bars: one of the period before may be far above them.
        ghost = min(max(self.plotted.ghost.values(), default=0), 2 * Decimal(str(most)))
        whole = self.metric.unit in (MetricUnit.COUNT, MetricUnit.DURATION)
        top = nice(max(float(most), float(ghost), float(self.limit or 0)), whole=whole)
        # Of percentiles, where the slowest are far above what is usual.
        usual = [*(one[1] for one in lines), most] if lines else held
        return Track(TOP, HEIGHT, top, is_root=is_uneven(usual))

    def _lines(self) -> list[tuple[str, str]]:
        found = []
        lines = {self.grid.index(start): (p99, p95, p50) for start, p50, p95, p99, _n in self.plotted.lines}
        for number, look in enumerate(("p99", "p95", "p50") if lines else ()):
            values = {index: one[number] for index, one in lines.items()}
            found.append((look, chart_paths.line(self.track, values)))
        return found

    def _is_over(self, bucket: Bucket) -> bool:
        return (self.rpm_limit is not None and bucket.peak_rpm.value > self.rpm_limit) or (
            self.tpm_limit is not None and bucket.peak_tpm.value > self.tpm_limit
        )

    def _place(self, moment: datetime) -> float:
        return (moment - self.grid.start) / self.grid.length


def _stacked(layers: Sequence[Layer]) -> Iterator[dict[int, Amount]]:
    """Yield up to where each layer reaches. What is below nothing, a refund, has no height."""
    tops: dict[int, Amount] = {}
    for layer in layers:
        tops = dict(tops)
        for index, value in layer.values.items():
            tops[index] = tops.get(index, 0) + max(value, 0)
        yield tops
