"""Ranges of time and how rollups cover them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routescope.data.ranges import DAY, HOUR, Preset, TimeRange, ceil, cover, floor, preset_range

NOW = datetime(2026, 3, 29, 10, 17, 42, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2023, 1, 1), datetime(2023, 1, 8), timezones=st.just(UTC))
BOUNDS = (
    st.none()
    | MOMENTS
    | MOMENTS.map(lambda moment: floor(moment, HOUR))
    | MOMENTS.map(lambda moment: floor(moment, DAY))
)


@given(BOUNDS, BOUNDS)
def test_the_parts_of_a_cover_are_whole_disjoint_and_together_the_range(
    start: datetime | None, end: datetime | None
) -> None:
    chosen = TimeRange(start, end)
    parts = cover(chosen)
    assert len(parts.days) <= 1 and len(parts.hours) <= 2 and len(parts.raw) <= 2
    for unit, stretches in ((DAY, parts.days), (HOUR, parts.hours)):
        for stretch in stretches:
            assert all(bound is None or floor(bound, unit) == bound for bound in (stretch.start, stretch.end))
    if start and end and start >= end:
        assert not (parts.days or parts.hours or parts.raw)
        return
    far_past, far_future = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
    bounds = sorted(
        (part.start or far_past, part.end or far_future) for part in (*parts.days, *parts.hours, *parts.raw)
    )
    bounds = [(first, last) for first, last in bounds if first < last]
    assert bounds[0][0] == (start or far_past)
    assert bounds[-1][1] == (end or far_future)
    assert all(before[1] == after[0] for before, after in pairwise(bounds))


def test_only_the_edges_of_a_long_range_need_raw_records() -> None:
    parts = cover(TimeRange(datetime(2026, 1, 1, 10, 20, tzinfo=UTC), datetime(2026, 3, 1, 9, 5, tzinfo=UTC)))
    assert sum((part.length or timedelta() for part in parts.raw), timedelta()) == timedelta(minutes=45)
    assert parts.days == [TimeRange(datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))]


def test_a_preset_ends_with_the_running_minute() -> None:
    assert preset_range("24h", NOW, UTC) == TimeRange(
        datetime(2026, 3, 28, 10, 18, tzinfo=UTC), datetime(2026, 3, 29, 10, 18, tzinfo=UTC)
    )


def test_today_starts_at_the_persons_own_midnight() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    assert preset_range("today", NOW, kolkata).start == datetime(2026, 3, 28, 18, 30, tzinfo=UTC)


def test_yesterday_has_23_hours_where_the_clock_went_forward() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    after = datetime(2026, 3, 30, 8, 0, tzinfo=UTC)
    yesterday = preset_range("yesterday", after, berlin)
    assert yesterday.length == timedelta(hours=23)
    assert yesterday.end == datetime(2026, 3, 29, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize("preset", Preset.values)
def test_every_preset_is_a_range_that_holds_this_second_or_lies_before_it(preset: str) -> None:
    chosen = preset_range(preset, NOW, UTC)
    assert (NOW in chosen) != (preset == Preset.YESTERDAY)


def test_a_word_that_is_no_preset_is_refused() -> None:
    with pytest.raises(ValueError):
        preset_range("fortnight", NOW, UTC)


def test_floor_and_ceil_agree_on_a_boundary() -> None:
    boundary = datetime(2026, 1, 1, 5, tzinfo=UTC)
    assert floor(boundary, HOUR) == ceil(boundary, HOUR) == boundary
    assert ceil(boundary + timedelta(microseconds=1), HOUR) == boundary + HOUR
