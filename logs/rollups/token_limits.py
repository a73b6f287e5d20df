"""A token against its limits: the minutes over them, and the calls that crossed them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection

from accounts.models import ApiToken
from logs.models import REQUEST_TYPES, UsageRecord
from logs.rollups.minutes import bounded, minutes_looked_at
from logs.selection import lookback
from logs.selection.chosen import Selection
from routescope.data.ranges import MINUTE, TimeRange
from routescope.data.scopes import Scope

MOST_CALLS = 100_000
"""Records that are held against a token's limits: read from the index alone, in some 100 ms."""
MOST_MINUTES = 500
"""Minutes over a limit that are named."""
MOST_CROSSINGS = 100
"""Calls that are named."""


def minutes_over(
    scope: Scope, selection: Selection, token: ApiToken, now: datetime, most: int = MOST_MINUTES
) -> list[Over]:
    """Return the minutes of the selection, oldest first, in which ``token`` was over one of its limits.

    Of the newest `MOST_CALLS` of its records.
    """
    limits = []
    values: list[int] = []
    if token.rpm_limit is not None:
        limits.append("requests > %s")
        values.append(token.rpm_limit)
    if token.tpm_limit is not None:
        limits.append("tokens > %s")
        values.append(token.tpm_limit)
    if not limits:
        return []
    selection = lookback.newest(scope, replace(selection, chosen=bounded(scope, selection, now)), MOST_CALLS)
    minutes = minutes_looked_at(scope, selection, selection.looked) if selection.looked else None
    if minutes is None:
        return []
    sql, params = minutes
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT minute, requests, tokens FROM ({sql}) AS counted"  # noqa: S608
            f" WHERE {' OR '.join(limits)} ORDER BY minute LIMIT %s",
            [*params, *values, most],
        )
        return [Over(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Over:
    """A calendar minute over a limit."""

    minute: datetime
    requests: int
    tokens: int

    @property
    def end(self) -> datetime:
        return self.minute + MINUTE


@dataclass(frozen=True, slots=True)
class Crossing:
    """A call that made the 60 seconds up to it exceed a limit: what these held, itself included."""

    id: UUID
    request_id: str
    created_at: datetime
    requests: int
    tokens: int


def crossings(
    scope: Scope, selection: Selection, token: ApiToken, now: datetime, most: int = MOST_CROSSINGS
) -> list[Crossing]:
    """Return the calls that crossed a limit of ``token``: over it with them, not over it before them.

    The window slides: any 60 seconds, as rate limiters count, not only calendar minutes. Of the newest
    `MOST_CALLS` of the selection's records.
    """
    chosen = bounded(scope, selection, now)
    if chosen.start is None or (token.rpm_limit is None and token.tpm_limit is None):
        return []
    # The first minute's windows reach back before the range, or else begin where looking stopped.
    wider = replace(selection, chosen=TimeRange(chosen.start - MINUTE, chosen.end), looked=None)
    looked = lookback.look(scope, wider, most=MOST_CALLS)
    judged_from = chosen.start if looked.back_to is None else max(chosen.start, looked.back_to + MINUTE)
    try:
        columns = ("id", "created_at", "type", "input_tokens", "output_tokens")
        sql, params = lookback.table(scope, wider, looked, columns)
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH counted AS (
                SELECT id, created_at, count(*) OVER sliding AS requests, sum(amount) OVER sliding AS tokens,
                    count(*) OVER same_time AS own_requests, sum(amount) OVER same_time AS own_tokens
                FROM (
                    SELECT id, created_at, input_tokens::bigint + output_tokens AS amount
                    FROM ({sql}) AS found WHERE type = ANY(%s)
                ) AS calls
                WINDOW same_time AS (PARTITION BY created_at), sliding AS (
                    ORDER BY created_at RANGE BETWEEN '59.999999 seconds' PRECEDING AND CURRENT ROW
                )
            )
            SELECT id, created_at, requests, tokens FROM counted
            WHERE created_at >= %s
                AND (requests > %s AND requests - own_requests <= %s
                    OR tokens > %s AND tokens - own_tokens <= %s)
            ORDER BY created_at, id LIMIT %s
            """,  # noqa: S608
            [
                *params,
                [kind.value for kind in REQUEST_TYPES],
                judged_from,
                *[token.rpm_limit] * 2,
                *[token.tpm_limit] * 2,
                most,
            ],
        )
        found = cursor.fetchall()
    names = UsageRecord.objects.visible_to(scope).in_bulk([row[0] for row in found])
    return [Crossing(row[0], names[row[0]].request_id, *row[1:]) for row in found]
