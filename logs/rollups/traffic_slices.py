"""What the most common filters leave of busy hours, kept beside them: the chart under a token or a model.

A filter leaves a part of what the index holds, which all has to be read to be counted. So of an hour that is
kept (`logs.rollups.busy_hours`) each token's, each model's and each pair's calls are kept too, and those that
failed, with the busiest minutes of each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import connection

from logs.models import REQUEST_TYPES, Cause, Slices, Status, TrafficHour, TrafficSlice
from logs.selection.chosen import Selection
from routescope.data.ids import first_id
from routescope.data.ranges import TimeRange

MOST_OF_AN_HOUR = 1_000
"""Slices of an hour that are kept: an hour with more keeps none."""
CALLS_OF_EACH = 4
"""An hour that has fewer calls than this for each of its slices keeps none: they would take more room."""

_SQL = (Path(__file__).parent / "sql" / "slices.sql").read_text()
_OF_USER = _SQL.format(
    of="CASE grouping(token) WHEN 0 THEN token ELSE -1 END",
    mine="user_id = %(user)s",
    sets="(minute, token), (minute, token, model), ",
)
_OF_EVERYONE = _SQL.format(of="-1", mine="true", sets="")
_COLUMNS = (
    "user_id, start, token_id, model_id, status, requests, errors, rate_limited, tokens, peak_rpm, peak_tpm,"
    " peak_rpm_minute, peak_tpm_minute"
)

Slice = tuple[int, int, int]
"""Token, model and status that are filtered by, `TrafficSlice.ANY` for none."""
WHOLE: Slice = (TrafficSlice.ANY, TrafficSlice.ANY, TrafficSlice.ANY)


def slice_of(selection: Selection, *, is_everyone: bool) -> Slice | None:
    """Return which slice holds what a selection chooses; None where none does."""
    chosen = dict(selection.chosen_values)
    if selection.needs_records or selection.looked or any(len(values) != 1 for values in chosen.values()):
        return None
    named = {column: values[0] for column, values in chosen.items()}
    if not named:
        return WHOLE
    if named == {"status": Status.ERROR.value}:
        return TrafficSlice.ANY, TrafficSlice.ANY, Status.ERROR.value
    if set(named) <= ({"model_id"} if is_everyone else {"token_id", "model_id"}):
        return (
            named.get("token_id", TrafficSlice.ANY),
            named.get("model_id", TrafficSlice.ANY),
            TrafficSlice.ANY,
        )
    return None


def count(user_id: int, stretch: TimeRange, *, is_everyone: bool) -> None:
    """Count the slices of hours that were counted just now, in the caller's transaction."""
    if stretch.start is None or stretch.end is None:
        raise ValueError("Hours have both ends.")
    within = {"user_id": user_id, "start__gte": stretch.start, "start__lt": stretch.end}
    TrafficSlice.objects.filter(**within).delete()
    values: dict[str, Any] = {
        "user": user_id,
        "error": Status.ERROR.value,
        "limited": Cause.RATE_LIMIT.value,
        "calls": [kind.value for kind in REQUEST_TYPES],
        "begin": stretch.start,
        "end": stretch.end,
        "first": first_id(stretch.start),
        "last": first_id(stretch.end),
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH found AS ({_OF_EVERYONE if is_everyone else _OF_USER}),"  # noqa: S608
            " kept AS (SELECT start FROM usage_traffic_hour JOIN (SELECT start, count(*) AS parts FROM found"
            " GROUP BY start) AS numbers USING (start) WHERE user_id = %(user)s AND parts <= %(most)s"
            " AND requests >= parts * %(each)s)"
            f" INSERT INTO usage_traffic_slice ({_COLUMNS})"
            " SELECT %(user)s, found.* FROM found JOIN kept USING (start) RETURNING start",
            {**values, "most": MOST_OF_AN_HOUR, "each": CALLS_OF_EACH},
        )
        kept = {start for (start,) in cursor.fetchall()}
    hours = TrafficHour.objects.filter(**within)
    hours.filter(start__in=kept).update(slices=Slices.KEPT)
    hours.exclude(start__in=kept).update(slices=Slices.TOO_MANY)
