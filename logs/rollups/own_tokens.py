"""A person's API tokens at the gateway: what each is, its peaks and limits, what it cost, its last use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.db import connection
from django.utils import timezone

from accounts.models import ApiToken, Group
from logs.models import Cause
from logs.rollups import own_sums, token_peaks
from logs.rollups.minutes import bounded
from logs.rollups.own_sums import NOTHING, Totals
from logs.rollups.token_peaks import TokenPeaks
from logs.selection.chosen import Selection
from routescope.data.ids import first_id
from routescope.data.ranges import HOUR, Preset, TimeRange, preset_range
from routescope.data.scopes import Scope

KINDS = {
    ApiToken.Status.ACTIVE: "success",
    ApiToken.Status.DISABLED: "neutral",
    ApiToken.Status.EXPIRED: "limit",
    ApiToken.Status.EXHAUSTED: "error",
}
MOST_SHOWN = 500
"""Tokens on one page, the last used first: a name that nobody sends with can own ten thousand."""
_SOME_MODELS = 3


@dataclass(frozen=True, slots=True)
class TokenFace:
    """What a token is and may do, for a page: as the gateway told, or an admin set."""

    token: ApiToken

    @property
    def kind(self) -> str:
        return KINDS[ApiToken.Status(self.status)]

    @property
    def status(self) -> str:
        """Its status; one whose time is over is expired, whatever was said last."""
        token, now = self.token, timezone.now()
        if token.status == ApiToken.Status.ACTIVE and token.expires_at and token.expires_at <= now:
            return ApiToken.Status.EXPIRED.value
        return str(token.status)

    @property
    def status_label(self) -> str:
        return str(ApiToken.Status(self.status).label)

    @property
    def group(self) -> Group | None:
        """What its group is now."""
        group = self.token.group
        return cast("Group | None", group.merged_into) or group if group else None

    @property
    def models(self) -> Sequence[str]:
        return self.token.allowed_models or ()

    @property
    def some_models(self) -> Sequence[str]:
        """The first of its models, where one line has no room for all."""
        return self.models[:_SOME_MODELS]

    @property
    def further_models(self) -> int:
        return max(len(self.models) - _SOME_MODELS, 0)

    @property
    def any_model(self) -> bool:
        """Whether it was said that it may call all models."""
        return self.token.allowed_models == []

    @property
    def is_told(self) -> bool:
        """Whether a gateway told any of it."""
        return self.token.told_at is not None

    @property
    def is_set(self) -> Mapping[str, bool]:
        """Which of its facts an admin set."""
        return dict.fromkeys(self.token.set_by_admin, True)


@dataclass(frozen=True, slots=True)
class OwnToken:
    """A token with its sums of the range chosen, of today and of this month, and its peaks in the range.

    ``refused`` counts the calls of the range that a rate limit failed. ``last_used_at`` None: never.
    """

    face: TokenFace
    chosen: Totals
    today: Totals
    month: Totals
    refused: int
    peaks: TokenPeaks
    last_used_at: datetime | None

    @property
    def token(self) -> ApiToken:
        return self.face.token


@dataclass(frozen=True, slots=True)
class OwnTokens:
    """The rows, the last used first; ``all`` is how many tokens there are.

    ``counted`` is the part of the range of which the peaks are; ``is_part``: it begins later than chosen.
    """

    rows: Sequence[OwnToken]
    all: int
    counted: TimeRange
    is_part: bool

    @property
    def is_cut(self) -> bool:
        return self.all > len(self.rows)


def own_tokens(scope: Scope, range_: TimeRange, now: datetime) -> OwnTokens:
    """Return the scope's tokens: ten queries at most, however many records."""
    mine = list(
        ApiToken.objects.filter(owner__in=scope.ids)
        .select_related("group__merged_into")
        .order_by("name", "id")
    )
    heads = {token.pk: token.merged_into_id or token.pk for token in mine}
    zone = timezone.get_current_timezone()
    chosen = _Sums.of(scope, range_, heads)
    today, month = (
        _Sums.of(scope, preset_range(preset, now, zone), heads)
        for preset in (Preset.TODAY, Preset.THIS_MONTH)
    )
    whole = bounded(scope, Selection(range_), now) if mine else range_
    counted = token_peaks.reach(scope, whole, chosen.records)
    peaks = token_peaks.peaks(scope, mine, counted, now)
    used = _last_used(scope, heads)
    rows = [
        OwnToken(
            TokenFace(token),
            chosen.totals.get(token.pk, NOTHING),
            today.totals.get(token.pk, NOTHING),
            month.totals.get(token.pk, NOTHING),
            chosen.refused.get(token.pk, 0),
            peaks[token.pk],
            used.get(token.pk),
        )
        for token in mine
        if token.merged_into_id is None
    ]
    rows.sort(key=lambda row: -(row.last_used_at.timestamp() if row.last_used_at else 0))
    return OwnTokens(rows[:MOST_SHOWN], len(rows), counted, is_part=counted != whole)


@dataclass(frozen=True, slots=True)
class _Sums:
    """The sums of a range by token, with how many calls a limit refused; ``records`` in all."""

    totals: Mapping[int, Totals]
    refused: Mapping[int, int]
    records: int

    @classmethod
    def of(cls, scope: Scope, chosen: TimeRange, heads: Mapping[int, int]) -> _Sums:
        by_token: dict[int, list[dict[str, Any]]] = defaultdict(list)
        records = 0
        for row in own_sums.grouped(scope, Selection(chosen), "token_id", "cause"):
            records += row["sum_records"]
            if row["token_id"]:
                by_token[heads.get(row["token_id"], row["token_id"])].append(row)
        return cls(
            {token_id: own_sums.added(rows) for token_id, rows in by_token.items()},
            {token_id: _refused(rows) for token_id, rows in by_token.items()},
            records,
        )


def _refused(rows: Iterable[dict[str, Any]]) -> int:
    return sum(row["sum_records"] for row in rows if row["cause"] == Cause.RATE_LIMIT)


_LAST_HOURS = """
    SELECT day.token_id, hour.start FROM (
        SELECT token_id, max(start) AS start FROM usage_day
        WHERE user_id = ANY(%s) AND token_id > 0 GROUP BY token_id
    ) AS day CROSS JOIN LATERAL (
        SELECT max(start) AS start FROM usage_hour
        WHERE user_id = ANY(%s) AND start >= day.start AND start < day.start + interval '1 day'
            AND token_id = day.token_id OFFSET 0
    ) AS hour WHERE hour.start IS NOT NULL
"""
_LAST_CALLS = """
    SELECT used.token_id, found.at
    FROM unnest(%s::integer[], %s::uuid[], %s::uuid[]) AS used (token_id, first, last)
    CROSS JOIN LATERAL (
        SELECT max(created_at) AS at FROM usage_record
        WHERE user_id = ANY(%s) AND id >= used.first AND id < used.last AND token_id = used.token_id OFFSET 0
    ) AS found WHERE found.at IS NOT NULL
"""


def _last_used(scope: Scope, heads: Mapping[int, int]) -> Mapping[int, datetime]:
    """Return when each token was last used: the day and the hour from the sums, the moment from that hour."""
    mine = list(scope.ids)
    last: dict[int, datetime] = {}
    with connection.cursor() as cursor:
        cursor.execute(_LAST_HOURS, [mine, mine])
        hours = cursor.fetchall()
        if not hours:
            return last
        first = [first_id(start) for _, start in hours]
        end = [first_id(start + HOUR) for _, start in hours]
        cursor.execute(_LAST_CALLS, [[token_id for token_id, _ in hours], first, end, mine])
        for token_id, at in cursor.fetchall():
            head = heads.get(token_id, token_id)
            last[head] = max(at, last.get(head, at))
    return last
