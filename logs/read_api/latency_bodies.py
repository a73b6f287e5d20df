"""How long calls took, as the read API tells it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from logs.rollups.breakdown import Latency
from logs.rollups.sketches import ERROR, Measure, Percentiles

_Milliseconds = Annotated[
    int, msgspec.Meta(description=f"In ms, with an error of {ERROR:.0%} at most.", ge=0)
]


class PercentilesBody(msgspec.Struct, frozen=True):
    """So many of a hundred calls took no longer. ``count`` is how many calls have such a time."""

    count: int
    p50: _Milliseconds
    p95: _Milliseconds
    p99: _Milliseconds


class LatencyBody(msgspec.Struct, frozen=True):
    """How long calls took. Null where no call has such a time."""

    duration: PercentilesBody | None
    ttft: Annotated[PercentilesBody | None, msgspec.Meta(description="Until the first token came.")]


Took = Annotated[
    LatencyBody | None,
    msgspec.Meta(description="How long the calls took; null where that takes too much to read."),
]


def latency(found: Latency | None) -> LatencyBody | None:
    """Return percentiles, in ms; None where they are not known."""
    if found is None:
        return None
    return LatencyBody(_of(found.get(Measure.DURATION)), _of(found.get(Measure.TTFT)))


def _of(found: Percentiles | None) -> PercentilesBody | None:
    if found is None:
        return None
    return PercentilesBody(found.count, round(found.p50), round(found.p95), round(found.p99))
