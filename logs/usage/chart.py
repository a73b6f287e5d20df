"""The chart of one metric against request time, drawn on the server as SVG.

Bars and lines stand in an inner drawing that stretches (`logs.usage.chart_paths`); text and marks are placed
in per cent and pixels, so that nothing is distorted at any width. The labels of the scale stand beside it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext as _

from logs.rollups.metrics import METRICS, Metric, Percentiles, Unit
from logs.rollups.own_sums import Totals
from logs.rollups.traffic import Bucket, Peak, Traffic, origin
from logs.usage import chart_paths
from logs.usage.chart_scale import Number, Tick, Track, is_uneven, nice, percent, ticks
from routescope.data.ranges import MINUTE, TimeRange
from routescope.filters.address import Address
from routescope.filters.filter_set import Link
from routescope.text import formatting
from routescope.text.formatting import minute

TOP, HEIGHT = 16, 58
Amount = int | Decimal
"""Of a bar: requests or tokens, or USD."""
_MOST_ROWS = 26
_MOST_CELLS = 160
_WRITTEN: Mapping[Unit, Callable[[Number | None], str]] = {
    Unit.COUNT: formatting.tokens,
    Unit.MONEY: formatting.money,
    Unit.DURATION: formatting.duration,
    Unit.RATE: formatting.rate,
}
_ON_THE_AXIS: Mapping[Unit, Callable[[Number | None], str]] = {
    **_WRITTEN,
    Unit.COUNT: formatting.compact,
    Unit.MONEY: formatting.money_round,
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A part of every bar, by its place. ``look`` names its colour; ``address`` leads to its records."""

    look: str
    label: str
    values: Mapping[int, Amount]
    address: Address | None = None

    @property
    def total(self) -> Amount:
        return sum(self.values.values(), start=Decimal(0))

    def within(self, indices: Iterable[int]) -> Amount:
        """Return what it holds of some bars."""
        return sum((self.values.get(index, 0) for index in indices), start=Decimal(0))


@dataclass(frozen=True, slots=True)
class Before:
    """The period of the same length just before the range, and its sums."""

    chosen: TimeRange
    totals: Totals


@dataclass(frozen=True, slots=True)
class Plotted:
    """What is drawn: ``layers`` of bars from below, or the ``lines`` of percentiles. ``step`` is a bar's
    length; ``ghost`` has the bars' whole in the period ``before``, by the same places.
    """

    metric: str
    step: timedelta
    layers: Sequence[Layer] = ()
    lines: Sequence[Percentiles] = ()
    ghost: Mapping[int, Amount] = field(default_factory=dict)
    before: Before | None = None
    is_stacked: bool = False


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways from a chart: ``here`` is the view, ``data`` the figures of just these bars, ``metrics`` and
    ``stacks`` are what may be chosen, ``zoomed_out`` is a range twice as long.
    """

    here: Address
    data: Address
    metrics: Sequence[Link]
    stacks: Sequence[Link]
    zoomed_out: Address | None


@dataclass(frozen=True, slots=True)
class Mark:
    """The busiest minute's label, where it is. ``anchor`` says on which side of the place it stands."""

    at: str
    anchor: str
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class ChartRow:
    """A line of the table that says the same as the chart."""

    start: datetime
    end: datetime
    cells: Sequence[str]


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
        start, end = traffic.whole.start, traffic.whole.end
        if start is None or end is None:
            raise ValueError("A chart needs a range with both ends.")
        self.begins, self.end, self.step = start, end, plotted.step
        self.start = origin(traffic.whole, plotted.step)
        self.count = max(1, math.ceil((end - self.start) / plotted.step))
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
            whole = {index: plotted.ghost.get(index, 0) for index in range(self.count)}
            self.ghost_path = chart_paths.line(self.track, whole)
        self.over_path = ""
        if self.limit is not None and self.metric.peak:
            over = {index: value for index, value in self.totals.items() if value > self.limit}
            self.over_path = chart_paths.bars(self.track, over)
        # The bars that hold a minute over a limit have a mark under each.
        self.over_marks = chart_paths.runs(
            {self._index(bucket.start) for bucket in traffic.buckets if self._is_over(bucket)}
        )

    @property
    def metric(self) -> Metric:
        return METRICS[self.plotted.metric]

    @property
    def before(self) -> Before | None:
        return self.plotted.before

    @property
    def is_by_minute(self) -> bool:
        return self.step == MINUTE

    @property
    def step_label(self) -> str:
        minutes = self.step // MINUTE
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
        return self.step // MINUTE

    @property
    def axis(self) -> list[tuple[float, str]]:
        """The labels of the scale: top, middle and nothing, each at its true height in pixels."""
        written = _ON_THE_AXIS[self.metric.unit]
        track = self.track
        zero = "0" if self.metric.unit in (Unit.COUNT, Unit.RATE) else written(0)
        return [
            (track.top, written(track.most)),
            (track.pixel(track.half), written(track.half)),
            (track.bottom, "0" if self.metric.unit is Unit.MONEY else zero),
        ]

    @property
    def legend(self) -> list[tuple[Layer, str, str]]:
        """The parts of the bars with their sums, short and exact, where these say anything: maxima do not add
        up.
        """
        if self.metric.of is None:
            return [(layer, "", "") for layer in self.plotted.layers]
        if self.metric.unit is Unit.MONEY:
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
        return ticks(self.start, self.end, self.zone, self.count * self.step)

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
        index = self._index(peak.at)
        # The words are half of a phone's plot.
        anchor = "start" if place < 0.3 else "end" if place > 0.7 else "middle"
        written = formatting.exact if self.plotted.metric in ("requests", "rpm") else formatting.tokens
        return Mark(
            # In the middle of a bar, which leaves a fifth of its place to the gap.
            percent((index + 0.4) / self.count),
            anchor,
            self.track.pixel(self.totals.get(index, 0)),
            label % {"value": written(peak.value), "time": minute(peak.at)},
        )

    @property
    def columns(self) -> list[str]:
        """The headings of the table's figures."""
        if self._is_of_traffic:
            return [_("Requests"), _("Errors"), "429", _("Tokens"), _("Peak RPM"), _("Peak TPM")]
        if self.metric.over_time:
            return [_("Highest p50"), _("Highest p95"), _("Highest p99"), _("Calls")]
        layers = [layer.label for layer in self.plotted.layers]
        return [str(self.metric.label), *(layers if len(layers) > 1 else ())]

    @property
    def rows(self) -> list[ChartRow]:
        """The chart as at most 26 lines: bars folded together, those that hold nothing left out."""
        # As many cells however many parts the bars have, or the page grows heavy.
        size = math.ceil(self.count / min(_MOST_ROWS, _MOST_CELLS // len(self.columns)))
        length = size * self.step
        return [
            ChartRow(
                start=max(self.start + index * length, self.begins),
                end=min(self.start + (index + 1) * length, self.end),
                cells=cells,
            )
            for index, cells in sorted(self._folded(size).items())
        ]

    @property
    def words(self) -> dict[str, object]:
        """What the tooltip calls its figures."""
        return {
            "total": str(self.metric.label),
            "before": _("Period before"),
            "tokens": _("Tokens"),
            "peak_rpm": _("Peak RPM"),
            "peak_tpm": _("Peak TPM"),
            "calls": _("Calls"),
            "cursor": _("Time on the chart"),
            "none": _("nothing"),
            "selected": _("Selected"),
            "adds": self.metric.of is not None,
            "is_lines": self.metric.over_time is not None,
            "units": [_("d"), _("h"), _("min")],
        }

    @property
    def data(self) -> dict[str, object]:
        """What the tooltip shows. Per bar: its place, whole and parts, the whole in the period before; where
        it is counted by the minute, its tokens and its peaks with their epoch seconds.
        """
        if self.metric.over_time:
            shown = [
                [self._index(start), calls, [float(p50), float(p95), float(p99)], None, None]
                for start, p50, p95, p99, calls in self.plotted.lines
            ]
            return {"unit": self.metric.unit, "layers": ["p50", "p95", "p99"], "buckets": shown}
        further = {}
        if self._is_of_traffic or self.plotted.metric == "requests":
            further = {self._index(bucket.start): _further(bucket) for bucket in self.traffic.buckets}
        layers = self.plotted.layers
        held = sorted({*self.totals, *self.plotted.ghost} | {one for layer in layers for one in layer.values})
        return {
            "unit": self.metric.unit,
            "layers": [layer.label for layer in layers],
            "buckets": [
                [
                    index,
                    _json(sum(layer.values.get(index, 0) for layer in layers)),
                    [_json(layer.values.get(index, 0)) for layer in layers],
                    _json(self.plotted.ghost.get(index, 0)) if self.plotted.ghost else None,
                    further.get(index),
                ]
                for index in held
            ],
        }

    @property
    def _is_of_traffic(self) -> bool:
        """Whether the buckets that are counted by the minute are the bars."""
        if self.traffic.is_part or self.step != self.traffic.step or self.plotted.is_stacked:
            return False
        return self.plotted.metric == "requests" or self.metric.peak is not None

    def _scale(self) -> Track:
        lines = self.plotted.lines
        # Of percentiles the highest of each bar.
        held: list[Number] = [one[3] for one in lines] or list(self.totals.values())
        most = max(held, default=0)
        # Drawn up to twice as high as the range's own bars: one of the period before may be far above them.
        ghost = min(max(self.plotted.ghost.values(), default=0), 2 * Decimal(str(most)))
        whole = self.metric.unit in (Unit.COUNT, Unit.DURATION)
        top = nice(max(float(most), float(ghost), float(self.limit or 0)), whole=whole)
        return Track(TOP, HEIGHT, top, is_root=is_uneven(held))

    def _lines(self) -> list[tuple[str, str]]:
        found = []
        lines = {self._index(start): (p99, p95, p50) for start, p50, p95, p99, _n in self.plotted.lines}
        for number, look in enumerate(("p99", "p95", "p50") if lines else ()):
            values = {index: one[number] for index, one in lines.items()}
            found.append((look, chart_paths.line(self.track, values)))
        return found

    def _folded(self, size: int) -> dict[int, list[str]]:
        if self._is_of_traffic:
            buckets: dict[int, list[Bucket]] = defaultdict(list)
            for bucket in self.traffic.buckets:
                buckets[self._index(bucket.start) // size].append(bucket)
            return {fold: _cells_of(found) for fold, found in buckets.items()}
        written = _WRITTEN[self.metric.unit]
        if self.metric.over_time:
            lines: dict[int, list[Percentiles]] = defaultdict(list)
            for line in self.plotted.lines:
                lines[self._index(line[0]) // size].append(line)
            return {
                fold: [
                    written(max(one[1] for one in found)),
                    written(max(one[2] for one in found)),
                    written(max(one[3] for one in found)),
                    formatting.exact(sum(one[4] for one in found)),
                ]
                for fold, found in lines.items()
            }
        if self.metric.unit is Unit.COUNT:
            written = formatting.exact
        layers = self.plotted.layers
        held: dict[int, set[int]] = defaultdict(set)
        for index in {index for layer in layers for index in layer.values}:
            held[index // size].add(index)
        cells: dict[int, list[str]] = {}
        for fold, indices in held.items():
            parts = [layer.within(indices) for layer in layers]
            cells[fold] = [written(sum(parts)), *(map(written, parts) if len(parts) > 1 else ())]
        return cells

    def _is_over(self, bucket: Bucket) -> bool:
        return (self.rpm_limit is not None and bucket.peak_rpm.value > self.rpm_limit) or (
            self.tpm_limit is not None and bucket.peak_tpm.value > self.tpm_limit
        )

    def _index(self, moment: datetime) -> int:
        return min(max((moment - self.start) // self.step, 0), self.count - 1)

    def _place(self, moment: datetime) -> float:
        return (moment - self.start) / (self.count * self.step)


def _stacked(layers: Sequence[Layer]) -> Iterator[dict[int, Amount]]:
    """Yield up to where each layer reaches. What is below nothing, a refund, has no height."""
    tops: dict[int, Amount] = {}
    for layer in layers:
        tops = dict(tops)
        for index, value in layer.values.items():
            tops[index] = tops.get(index, 0) + max(value, 0)
        yield tops


def _cells_of(buckets: Sequence[Bucket]) -> list[str]:
    figures = (
        sum(bucket.requests for bucket in buckets),
        sum(bucket.errors for bucket in buckets),
        sum(bucket.rate_limited for bucket in buckets),
        sum(bucket.tokens for bucket in buckets),
        max(bucket.peak_rpm.value for bucket in buckets),
        max(bucket.peak_tpm.value for bucket in buckets),
    )
    return [formatting.exact(figure) for figure in figures]


def _further(bucket: Bucket) -> list[int]:
    def place(peak: Peak) -> list[int]:
        return [peak.value, int(peak.at.timestamp())]

    return [bucket.tokens, *place(bucket.peak_rpm), *place(bucket.peak_tpm)]


def _json(value: Amount) -> int | float:
    return float(value) if isinstance(value, Decimal) else value
