"""The way from a page of rows to the next one."""

from __future__ import annotations

from datetime import datetime

from routescope.data.keyset import Cursor
from routescope.data.ranges import TimeRange
from routescope.filters.filter_set import RangeFilterSet
from routescope.rest.answers import utc


def next_url(path: str, filters: RangeFilterSet, chosen: TimeRange, size: int, onward: Cursor) -> str | None:
    """Return the URL of the page after this one; None at the end.

    Presets move with the clock: the pages that follow are of the same range of time as the first.
    """
    if onward.older is None:
        return None
    address = filters.address
    if chosen.start is not None and chosen.end is not None:
        address = address.with_(range="", start=_written(chosen.start), end=_written(chosen.end))
    return address.with_(limit=str(size)).at(onward).of(path)


def _written(moment: datetime) -> str:
    return utc(moment).isoformat().replace("+00:00", "Z")
