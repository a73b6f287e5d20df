"""Whether the rollups say what the records say."""

from __future__ import annotations

from typing import Any

from django.db import connection

from logs.maintenance import retention
from logs.rollups import pending

_KEY = "coalesce(token_id, 0), coalesce(model_id, 0), coalesce(group_id, 0), type, status, cause"
_SUMS = (
    "count(*), count(*) FILTER (WHERE cost IS NULL), sum(input_tokens), sum(output_tokens),"
    " sum(cached_tokens), coalesce(sum(cost), 0)"
)
_KEPT = "sum(records), sum(unpriced), sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(cost)"


def check_rollups() -> None:
    """Compare every rollup with the records, row by row: while sums wait to be folded in, and then."""
    _compare()
    pending.fold()
    assert _rows("SELECT count(*) FROM usage_pending") == [(0,)]
    _compare()
    for name in retention.SUMS:
        assert _rows(f"SELECT count(*) FROM {name} WHERE records = 0") == [(0,)], name


def _compare() -> None:
    for period in ("hour", "day"):
        start = f"date_trunc('{period}', created_at, 'UTC')"
        by_user = _rows(
            f"SELECT user_id, {start}, {_KEY}, {_SUMS} FROM usage_record GROUP BY 1,2,3,4,5,6,7,8"
        )
        kept = _rows(
            "SELECT user_id, start, token_id, model_id, group_id, type, status, cause,"
            f" {_KEPT} FROM usage_{period} GROUP BY 1,2,3,4,5,6,7,8 HAVING sum(records) <> 0"
        )
        assert kept == by_user, f"usage_{period}"
        total = _rows(
            f"SELECT {start}, coalesce(model_id, 0), coalesce(group_id, 0), type, status, cause, {_SUMS}"
            " FROM usage_record GROUP BY 1,2,3,4,5,6"
        )
        kept = _rows(
            f"SELECT start, model_id, group_id, type, status, cause, {_KEPT} FROM usage_total_{period}"
            " GROUP BY 1,2,3,4,5,6 HAVING sum(records) <> 0"
        )
        assert kept == total, f"usage_total_{period}"
    minutes = _rows(
        f"SELECT date_trunc('minute', created_at, 'UTC'), type, status, cause, {_SUMS} FROM usage_record"
        " GROUP BY 1,2,3,4"
    )
    kept = _rows(
        f"SELECT start, type, status, cause, {_KEPT} FROM usage_total_minute"
        " GROUP BY 1,2,3,4 HAVING sum(records) <> 0"
    )
    assert kept == minutes, "usage_total_minute"


def _rows(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return sorted(cursor.fetchall())
