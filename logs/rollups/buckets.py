"""Counted minutes put together to the buckets of a chart, each with its busiest minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from logs.selection import conditions
from routescope.data.ranges import MINUTE

# A minute's count and the minute itself in one number: the largest is the peak, the earliest of equals.
_PACK = 10**8
_MOST_PACKED = 90_000_000_000
"""What such a number has room for as a bigint. Where a count reaches it (tokens of a minute), all are counted
again as numeric, which takes a quarter longer."""
_LATER = "99999999 - (date_part('epoch', {time}) / 60)::bigint"
_PACKED = f"least({{count}}, {_MOST_PACKED}) * 100000000 + {_LATER}"
_PACKED_WHOLE = f"{{count}}::numeric * 100000000 + {_LATER}"


@dataclass(frozen=True, slots=True)
class Peak:
    """The busiest minute: how much, and when it began (UTC)."""

    value: int
    at: datetime

    @property
    def end(self) -> datetime:
        return self.at + MINUTE


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stretch of the chart. ``requests`` includes the errors, and these the rate-limited ones."""

    start: datetime
    requests: int
    errors: int
    rate_limited: int
    tokens: int
    peak_rpm: Peak
    peak_tpm: Peak


def in_buckets(
    counted: conditions.Sql, time: str, peaks: Mapping[str, str], step: timedelta, first: datetime
) -> list[Bucket]:
    """Add up counts by their ``time``. ``peaks`` are columns of which the largest counts, with its minute."""
    sql, params = counted
    for packed in (_PACKED, _PACKED_WHOLE):
        largest = ", ".join(f"max({packed.format(count=count, time=at)})" for count, at in peaks.items())
        values: list[Any] = [step, first, *params]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT date_bin(%s, {time}, %s) AS bucket, sum(requests), sum(errors), sum(rate_limited),"  # noqa: S608
                f" sum(tokens), {largest} FROM ({sql}) AS counted GROUP BY bucket ORDER BY bucket",
                values,
            )
            rows = cursor.fetchall()
        if all(value // _PACK < _MOST_PACKED for row in rows for value in row[-2:]):
            break
    return [_bucket(row) for row in rows]


def _bucket(row: tuple[Any, ...]) -> Bucket:
    start, requests, errors, rate_limited, tokens, busiest, heaviest = row
    return Bucket(
        start,
        int(requests),
        int(errors),
        int(rate_limited),
        int(tokens),
        _unpacked(int(busiest)),
        _unpacked(int(heaviest)),
    )


def summed(start: datetime, buckets: list[Bucket]) -> Bucket:
    return Bucket(
        start,
        sum(bucket.requests for bucket in buckets),
        sum(bucket.errors for bucket in buckets),
        sum(bucket.rate_limited for bucket in buckets),
        sum(bucket.tokens for bucket in buckets),
        max((bucket.peak_rpm for bucket in buckets), key=_largest_then_earliest),
        max((bucket.peak_tpm for bucket in buckets), key=_largest_then_earliest),
    )


def _unpacked(packed: int) -> Peak:
    value, later = divmod(packed, _PACK)
    return Peak(value, datetime.fromtimestamp((_PACK - 1 - later) * 60, UTC))


def _largest_then_earliest(peak: Peak) -> tuple[int, float]:
    return peak.value, -peak.at.timestamp()
