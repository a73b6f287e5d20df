"""The busy hours of a range that are counted already, as buckets of a chart, and what lies between them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Exists, OuterRef

from logs.models import Slices, TrafficHour, UsagePending
from logs.rollups import traffic_slices
from logs.rollups.buckets import Bucket, in_buckets
from logs.rollups.traffic_slices import Slice
from routescope.data.ranges import HOUR, TimeRange

EVERYONE = 0
"""The user under whom everybody's busy hours stand."""
MOST_STRETCHES = 500
"""Between hours that are kept: each is a look into the index."""


def kept(
    user_id: int, of: Slice, chosen: TimeRange, step: timedelta, first: datetime
) -> tuple[list[Bucket], list[TimeRange]]:
    """Return the buckets of the kept hours of a range, as far as a slice of them goes, and the stretches that
    are not kept. Without any the whole range is such a stretch.
    """
    waiting = UsagePending.objects.filter(start=OuterRef("start"))
    if user_id != EVERYONE:
        waiting = waiting.filter(user_id=OuterRef("user_id"))
    hours = TrafficHour.objects.filter(
        ~Exists(waiting), user_id=user_id, is_stale=False, start__gte=chosen.start
    )
    if chosen.end is not None:
        hours = hours.filter(start__lte=chosen.end - HOUR)
    if of != traffic_slices.WHOLE:
        hours = hours.filter(slices=Slices.KEPT)
    sql, params = hours.query.sql_with_params()
    values = list(params)
    with connection.cursor() as cursor:
        # Hours that follow each other have the same distance from their number.
        cursor.execute(
            "SELECT min(start), max(start)"  # noqa: S608
            " FROM (SELECT start, start - row_number() OVER (ORDER BY start) * interval '1 hour' AS island"
            f" FROM ({sql}) AS hours) AS numbered GROUP BY island ORDER BY 1",
            values,
        )
        islands = cursor.fetchall()
    stretches = _between(islands, chosen)
    if not islands or len(stretches) > MOST_STRETCHES:
        return [], [chosen]
    if of != traffic_slices.WHOLE:
        # The key's order: one slice's hours lie side by side.
        sql = (
            f"SELECT part.* FROM ({sql}) AS hours JOIN usage_traffic_slice AS part USING (user_id, start)"  # noqa: S608
            " WHERE part.user_id = %s AND part.token_id = %s AND part.model_id = %s AND part.status = %s"
        )
        values += [user_id, *of]
    peaks = {name: f"start + {name}_minute * interval '1 minute'" for name in ("peak_rpm", "peak_tpm")}
    return in_buckets((sql, values), "start", peaks, step, first), stretches


def _between(islands: Sequence[tuple[datetime, datetime]], chosen: TimeRange) -> list[TimeRange]:
    """Return what of a range lies outside of hours: given are the first and the last of those in a row."""
    stretches: list[TimeRange] = []
    at = chosen.start
    for begins, last in islands:
        if at is not None and begins > at:
            stretches.append(TimeRange(at, begins))
        at = last + HOUR
    if chosen.end is None or at is None or at < chosen.end:
        stretches.append(TimeRange(at, chosen.end))
    return stretches
