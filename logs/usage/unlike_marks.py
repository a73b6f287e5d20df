"""Where the chart marks what was unlike usual: under the bars of each stretch, in the metric it speaks of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from logs.models import UnusualHour
from logs.usage.chart import Chart
from logs.usage.chart_scale import percent
from logs.usage.unlike_usual import Unlike

_METRICS = {
    UnusualHour.What.COST.value: "cost",
    UnusualHour.What.ERRORS.value: "requests",
    UnusualHour.What.REQUESTS.value: "requests",
}
"""In which metric the chart shows what."""


@dataclass(frozen=True, slots=True)
class UnlikeMark:
    """A mark: ``path`` is the line under its bars, one unit each, and ``at`` its middle along the drawing.

    ``anchor`` says where what is pressed stands to the middle, so that none of it is cut off at an edge.
    """

    unlike: Unlike
    path: str
    at: str
    anchor: Literal["start", "middle", "end"]


def marks(chart: Chart, found: Sequence[Unlike]) -> list[UnlikeMark]:
    """Return the marks of those stretches that the chart's metric shows, the newest first.

    Those of the same bars, requests and errors of one hour, are one: their words follow each other.
    """
    marked: dict[tuple[int, int], Unlike] = {}
    grid = chart.grid
    for one in found:
        if _METRICS[one.what] != chart.plotted.metric or one.end <= grid.begins or one.start >= grid.end:
            continue
        bars = grid.index(one.start), grid.index(one.end - (one.end - one.start) / 1_000_000)
        marked[bars] = marked[bars].beside(one) if bars in marked else one
    return [_mark(unlike, *bars, grid.count) for bars, unlike in marked.items()]


def _mark(unlike: Unlike, first: int, last: int, count: int) -> UnlikeMark:
    # A bar leaves a fifth of its place to the gap.
    middle = (first + last + 0.8) / 2 / count
    anchor: Literal["start", "middle", "end"] = (
        "start" if middle < 0.02 else "end" if middle > 0.96 else "middle"
    )
    return UnlikeMark(unlike, f"M{first} 0H{last + 0.8:g}", percent(middle), anchor)
