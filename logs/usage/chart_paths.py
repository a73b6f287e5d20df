"""What the chart draws, as paths of SVG: one unit wide for each bar, in a drawing that stretches.

All bars of a kind are one path without gaps, which a mask cuts into it: hundreds of bars weigh a kilobyte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from logs.usage.chart_scale import Number, Track

_STEPS = re.compile(r"(?:h1){2,}")  # equal bars side by side


def bars(track: Track, values: Mapping[int, Number]) -> str:
    """Return one closed path of bars, by their place: a step up or down and along for each."""
    ground = track.units
    parts = [f"M0 {ground}"]
    at = 0
    level = ground
    for index, value in sorted(values.items()):
        unit = track.unit(value)
        if unit == ground:
            continue
        if index > at:
            parts.append(f"{_level(level, ground)}H{index}")
            level = ground
        parts.append(f"{_level(level, unit)}h1")
        level = unit
        at = index + 1
    if at == 0:
        return ""
    path = "".join(parts) + f"{_level(level, ground)}z"
    return _STEPS.sub(lambda run: f"h{len(run[0]) // 2}", path)


def line(track: Track, values: Mapping[int, Number]) -> str:
    """Return a line of steps over the bars that have a value, broken where none has: one alone is a dash."""
    parts: list[str] = []
    at = level = -1
    for index, value in sorted(values.items()):
        unit = track.unit(value)
        parts.append(f"M{index} {unit}h1" if index != at else f"{_level(level, unit)}h1")
        at, level = index + 1, unit
    return _STEPS.sub(lambda run: f"h{len(run[0]) // 2}", "".join(parts))


def runs(places: Iterable[int]) -> str:
    """Return a line along each run of bars: drawn with square ends, it is seen however short."""
    found: list[list[int]] = []
    for index in sorted(places):
        if found and found[-1][1] == index:
            found[-1][1] = index + 1
        else:
            found.append([index, index + 1])
    return "".join(f"M{first} 0H{end}" for first, end in found)


def _level(level: int, wanted: int) -> str:
    return "" if level == wanted else min(f"V{wanted}", f"v{wanted - level}", key=len)
