"""What the chart says besides its picture: the table below it, and the figures of its tooltip."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from logs.rollups.buckets import Bucket, Peak
from logs.rollups.metrics import MetricUnit, Spread
from logs.rollups.traffic import Traffic
from logs.usage.chart_parts import Amount, Grid, Plotted
from logs.usage.chart_scale import Number
from routescope.text import formatting

_MOST_ROWS = 20
_MOST_CELLS = 160
WRITTEN: Mapping[MetricUnit, Callable[[Number | None], str]] = {
    MetricUnit.COUNT: formatting.tokens,
    MetricUnit.MONEY: formatting.money,
    MetricUnit.DURATION: formatting.duration,
    MetricUnit.RATE: formatting.rate,
}


@dataclass(frozen=True, slots=True)
class ChartRow:
    """A line of the table that says the same as the chart."""

    start: datetime
    end: datetime
    cells: Sequence[str]


def columns(traffic: Traffic, plotted: Plotted) -> list[str]:
    """The headings of the table's figures."""
    if plotted.is_of(traffic):
        return [_("Requests"), _("Errors"), "429", _("Tokens"), _("Peak RPM"), _("Peak TPM")]
    if plotted.drawn.over_time:
        return [_("Highest p50"), _("Highest p95"), _("Highest p99"), _("Calls")]
    layers = [layer.label for layer in plotted.layers]
    return [str(plotted.drawn.label), *(layers if len(layers) > 1 else ())]


def rows(traffic: Traffic, plotted: Plotted, grid: Grid) -> list[ChartRow]:
    """The chart as at most 26 lines: bars folded together, those that hold nothing left out."""
    # As many cells however many parts the bars have, or the page grows heavy.
    size = math.ceil(grid.count / min(_MOST_ROWS, _MOST_CELLS // len(columns(traffic, plotted))))
    length = size * grid.step
    return [
        ChartRow(
            start=max(grid.start + index * length, grid.begins),
            end=min(grid.start + (index + 1) * length, grid.end),
            cells=cells,
        )
        for index, cells in sorted(_folded(traffic, plotted, grid, size).items())
    ]


def words(plotted: Plotted) -> dict[str, object]:
    """What the tooltip calls its figures."""
    return {
        "total": str(plotted.drawn.label),
        "before": _("Period before"),
        "tokens": _("Tokens"),
        "peak_rpm": _("Peak RPM"),
        "peak_tpm": _("Peak TPM"),
        "calls": _("Calls"),
        "cursor": _("Time on the chart"),
        "none": _("nothing"),
        "selected": _("Selected"),
        "adds": plotted.drawn.of is not None,
        "is_lines": plotted.drawn.over_time is not None,
        "units": [_("d"), _("h"), _("min")],
    }


def data(traffic: Traffic, plotted: Plotted, grid: Grid) -> dict[str, object]:
    """What the tooltip shows. Per bar: its place, whole and parts, the whole in the period before; where
    it is counted by the minute, its tokens and its peaks with their epoch seconds.
    """
    if plotted.drawn.over_time:
        shown = [
            [grid.index(start), calls, [float(p50), float(p95), float(p99)], None, None]
            for start, p50, p95, p99, calls in plotted.lines
        ]
        return {"unit": plotted.drawn.unit, "layers": ["p50", "p95", "p99"], "buckets": shown}
    further = {}
    is_counted = plotted.metric == "requests" or plotted.drawn.peak is not None
    if is_counted and grid.step == traffic.step and not traffic.is_part:
        further = {grid.index(bucket.start): _further(bucket) for bucket in traffic.buckets}
    layers = plotted.layers
    held = sorted({*plotted.ghost} | {index for layer in layers for index in layer.values})
    return {
        "unit": plotted.drawn.unit,
        "layers": [layer.label for layer in layers],
        "buckets": [
            [
                index,
                _json(sum(layer.values.get(index, 0) for layer in layers)),
                [_json(layer.values.get(index, 0)) for layer in layers],
                _json(plotted.ghost.get(index, 0)) if plotted.ghost else None,
                further.get(index),
            ]
            for index in held
        ],
    }


def _folded(traffic: Traffic, plotted: Plotted, grid: Grid, size: int) -> dict[int, list[str]]:
    if plotted.is_of(traffic):
        buckets: dict[int, list[Bucket]] = defaultdict(list)
        for bucket in traffic.buckets:
            buckets[grid.index(bucket.start) // size].append(bucket)
        return {fold: _cells_of(found) for fold, found in buckets.items()}
    written = WRITTEN[plotted.drawn.unit]
    if plotted.drawn.over_time:
        lines: dict[int, list[Spread]] = defaultdict(list)
        for line in plotted.lines:
            lines[grid.index(line[0]) // size].append(line)
        return {
            fold: [
                written(max(one[1] for one in found)),
                written(max(one[2] for one in found)),
                written(max(one[3] for one in found)),
                formatting.exact(sum(one[4] for one in found)),
            ]
            for fold, found in lines.items()
        }
    if plotted.drawn.unit is MetricUnit.COUNT:
        written = formatting.exact
    layers = plotted.layers
    held: dict[int, set[int]] = defaultdict(set)
    for index in {index for layer in layers for index in layer.values}:
        held[index // size].add(index)
    cells: dict[int, list[str]] = {}
    for fold, indices in held.items():
        parts = [layer.within(indices) for layer in layers]
        cells[fold] = [written(sum(parts)), *(map(written, parts) if len(parts) > 1 else ())]
    return cells


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
