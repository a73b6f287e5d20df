"""The busiest minutes of each of a person's tokens, against its limits: counted from the records' index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from accounts.models import ApiToken
from logs.models import REQUEST_TYPES
from logs.rollups.buckets import Peak
from logs.selection import lookback
from routescope.data.ids import first_id
from routescope.data.ranges import MINUTE, TimeRange
from routescope.data.scopes import Scope

MOST_COUNTED = 150_000
"""Records whose minutes are counted for one page: from the index alone, in some 0.1 s."""
NEAR = 80
"""From how many per cent of a limit on a peak is near it."""
_COUNTED = """
    SELECT token_id, date_bin('1 minute', created_at, '2000-01-01 00:00+00') AS minute,
        count(*) AS requests, sum(input_tokens) + sum(output_tokens) AS tokens
    FROM usage_record
    WHERE user_id = ANY(%s) AND id >= %s AND id < %s AND type = ANY(%s) AND token_id IS NOT NULL
    GROUP BY token_id, minute OFFSET 0
"""
"""Fenced by OFFSET: the index is read once, by itself, whatever the planner thinks of the tokens."""
_TOKENS = "unnest(%s::integer[], %s::integer[], %s::bigint[], %s::bigint[]) AS token (id, head, rpm, tpm)"
_MINUTES = f"""
    SELECT token.head, minute, requests, tokens, rpm, tpm
    FROM ({_COUNTED}) AS counted JOIN {_TOKENS} ON token.id = token_id
"""  # noqa: S608
_MERGED_MINUTES = f"""
    SELECT head, minute, sum(requests)::bigint AS requests, sum(tokens)::bigint AS tokens,
        min(rpm) AS rpm, min(tpm) AS tpm
    FROM ({_MINUTES}) AS apart GROUP BY head, minute
"""  # noqa: S608
_PEAKS = """
    WITH minutes AS MATERIALIZED ({minutes}), most AS (
        SELECT head, max(requests) AS requests, max(tokens) AS tokens,
            count(*) FILTER (WHERE requests > rpm OR tokens > tpm) AS over
        FROM minutes GROUP BY head
    )
    SELECT most.head, most.requests, min(minute) FILTER (WHERE minutes.requests = most.requests),
        most.tokens, min(minute) FILTER (WHERE minutes.tokens = most.tokens), most.over
    FROM most JOIN minutes USING (head) GROUP BY most.head, most.requests, most.tokens, most.over
"""
_Peaks = tuple[Peak, Peak, int]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A token's peak minute against its limit. ``limit`` None: there is none, or nobody told it."""

    peak: Peak | None
    limit: int | None
    now: int = 0

    @property
    def value(self) -> int:
        return self.peak.value if self.peak else 0

    @property
    def percent(self) -> int | None:
        """The peak in whole per cent of the limit, rounded down: 100 is not said of 99.9."""
        return self.value * 100 // self.limit if self.limit else None

    @property
    def over(self) -> int:
        """How much of the peak was more than the limit."""
        return max(self.value - self.limit, 0) if self.limit is not None else 0

    @property
    def headroom(self) -> int | None:
        """What was left of the limit at the peak; None without a limit."""
        return None if self.limit is None else max(self.limit - self.value, 0)

    @property
    def kind(self) -> str:
        """``over`` the limit, ``near`` it, or ``ok``; ``free`` without one."""
        if self.limit is None:
            return "free"
        if self.over:
            return "over"
        return "near" if (self.percent or 0) >= NEAR else "ok"

    @property
    def filled(self) -> float:
        """How much of the bar, in per cent of its length, is the peak up to the limit."""
        return self._share(min(self.value, self.limit or 0))

    @property
    def beyond(self) -> float:
        """How much of the bar is the peak's part over the limit."""
        return self._share(self.over)

    def _share(self, value: int) -> float:
        whole = max(self.value, self.limit or 0)
        return round(100 * value / whole, 1) if whole else 0.0


@dataclass(frozen=True, slots=True)
class TokenPeaks:
    """A token's busiest minutes in a range, and in how many calendar minutes it was over a limit."""

    rpm: Gauge
    tpm: Gauge
    minutes_over: int = 0


def reach(scope: Scope, chosen: TimeRange, records: int | None = None) -> TimeRange:
    """Return the newest part of a range with both ends of which the minutes may be counted.

    That is all of it where it has no more than `MOST_COUNTED` records, which ``records`` may tell.
    """
    if chosen.start is None or chosen.end is None or (records is not None and records <= MOST_COUNTED):
        return chosen
    return TimeRange(lookback.within_reach(scope, chosen.start, chosen.end, MOST_COUNTED), chosen.end)


def peaks(
    scope: Scope, tokens: Iterable[ApiToken], chosen: TimeRange, now: datetime
) -> Mapping[int, TokenPeaks]:
    """Return the peaks of the scope's tokens in a range with both ends, by the ids of what they are now.

    ``tokens`` are all of theirs, merged ones too, whose calls count as those of what they are now.
    """
    mine = list(tokens)
    heads = {token.pk: token for token in mine if token.merged_into_id is None}
    minutes = _MINUTES if len(heads) == len(mine) else _MERGED_MINUTES
    found: dict[int, _Peaks] = {}
    current: dict[int, tuple[int, int]] = {}
    if mine and chosen.start is not None and chosen.end is not None and chosen.start < chosen.end:
        with connection.cursor() as cursor:
            cursor.execute(_PEAKS.format(minutes=minutes), _parameters(scope, mine, heads, chosen))
            for head, requests, busiest, amount, heaviest, over in cursor.fetchall():
                found[head] = Peak(requests, busiest), Peak(amount, heaviest), over
            lately = TimeRange(now - MINUTE, now + timedelta(milliseconds=1))
            cursor.execute(
                f"SELECT head, sum(requests)::bigint, sum(tokens)::bigint FROM ({minutes}) AS counted"  # noqa: S608
                " GROUP BY head",
                _parameters(scope, mine, heads, lately),
            )
            current = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
    return {head: _peaks(token, found.get(head), current.get(head, (0, 0))) for head, token in heads.items()}


def _peaks(token: ApiToken, found: _Peaks | None, now: tuple[int, int]) -> TokenPeaks:
    rpm, tpm, over = found or (None, None, 0)
    return TokenPeaks(Gauge(rpm, token.rpm_limit, now[0]), Gauge(tpm, token.tpm_limit, now[1]), over)


def _parameters(
    scope: Scope, mine: list[ApiToken], heads: Mapping[int, ApiToken], chosen: TimeRange
) -> list[Any]:
    now_it_is = [token.merged_into_id or token.pk for token in mine]
    limited = [heads.get(head) for head in now_it_is]
    if chosen.start is None or chosen.end is None:
        raise ValueError("Minutes are counted in a range with both ends.")
    return [
        list(scope.ids),
        first_id(chosen.start),
        first_id(chosen.end),
        [kind.value for kind in REQUEST_TYPES],
        [token.pk for token in mine],
        now_it_is,
        [token.rpm_limit if token else None for token in limited],
        [token.tpm_limit if token else None for token in limited],
    ]
