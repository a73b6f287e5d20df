"""How long calls took, as counts of buckets that can be added up: percentiles are made of them.

A value stands in the bucket of its logarithm, as in DDSketch (Masson, Rim, Lee: "DDSketch: A Fast and
Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", 2019). Counts are exact, so a percentile is
that of the very records that were chosen, told with a relative error of `ERROR` at most. A sketch is an array
of integers: a bucket and how many values it holds in each. The same bucket may stand there more than once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import ceil, log

from logs.models import UsageRecord

ERROR = 0.02
_GAMMA = (1 + ERROR) / (1 - ERROR)
_WIDTH = log(_GAMMA)
_BITS = 20
MOST_OF_ONE = 2**_BITS - 1
"""Values that one element of a sketch counts at most; of more there are several."""


class Measure(Enum):
    """What is measured of a call: the column of its sketch, and the value of a record, a whole number in SQL.

    A call without the value is left out. Speed is output tokens a second after the first token where that
    time is known (`logs.models.records.UsageRecord.tokens_per_second`), in hundredths.
    """

    DURATION = ("durations", "duration_ms")
    TTFT = ("ttfts", "ttft_ms")
    SPEED = (
        "speeds",
        "CASE WHEN output_tokens > 0 AND duration_ms > coalesce(ttft_ms, 0)"
        " THEN least(output_tokens::bigint * 100000 / (duration_ms - coalesce(ttft_ms, 0)), 2147483647)"
        "::integer END",
    )

    @property
    def column(self) -> str:
        return self.value[0]

    @property
    def sql(self) -> str:
        return self.value[1]


def value_in(record: UsageRecord, measure: Measure) -> int | None:
    """Return the same value of a record in hand; None where it has none."""
    if measure is Measure.DURATION:
        return record.duration_ms
    if measure is Measure.TTFT:
        return record.ttft_ms
    speed = record.tokens_per_second
    return None if speed is None else min(int(speed * 100), 2**31 - 1)


COLUMNS = ("duration_ms", "ttft_ms", "output_tokens")
"""The columns of a record that measures are made of."""


def bucket_sql(value: str) -> str:
    """Return the bucket of a whole number of 0 or more, in SQL. 0 has one of its own."""
    return f"(CASE WHEN {value} < 1 THEN 0 ELSE 1 + ceil(ln({value}::float8) / {_WIDTH!r})::integer END)"


BUCKET_OF = f"code >> {_BITS}"
COUNT_OF = f"code & {MOST_OF_ONE}"
"""The two parts of an element, in SQL."""
ELEMENT = f"(bucket << {_BITS}) | least(n - part * {MOST_OF_ONE}::bigint, {MOST_OF_ONE})::integer"
"""An element of a bucket that holds ``n``, in SQL: of its ``part``, from 0."""
OF_ALL = ", ".join(
    f"coalesce(array_agg({ELEMENT} ORDER BY bucket) FILTER (WHERE measure = {number}), '{{}}')"
    for number, _measure in enumerate(Measure)
)
"""The sketches of all measures in their order, of rows of measure, bucket and ``n``, in SQL."""
PARTS = f"generate_series(0, (n - 1) / {MOST_OF_ONE}) AS part"


def bucket(value: int) -> int:
    """Return the same as `bucket_sql`."""
    return 0 if value < 1 else 1 + ceil(log(value) / _WIDTH)


def value_of(bucket: int) -> float:
    """Return what stands for the values of a bucket: none is further from it than `ERROR` of itself."""
    return 0 if bucket == 0 else 2 * _GAMMA ** (bucket - 1) / (_GAMMA + 1)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Half, 95 and 99 of a hundred values are no larger than these. ``count`` is how many values there are.

    Milliseconds, or for speed output tokens a second.
    """

    count: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, measure: Measure, count: int, *buckets: int) -> Percentiles:
        """Return them of their buckets, the 50th's first."""
        unit = 100 if measure is Measure.SPEED else 1
        return cls(count, *(value_of(one) / unit for one in buckets))
