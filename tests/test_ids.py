"""Derived, time-ordered ids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routescope.data.ids import EPOCH, derived_id, first_id, milliseconds, moment_of

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, st.text(), st.integers())
def test_the_same_event_has_the_same_id_and_it_is_a_valid_uuid_8(
    moment: datetime, text: str, number: int
) -> None:
    identifier = derived_id(moment, number, text)
    assert identifier == derived_id(moment, number, text)
    assert identifier.version == 8
    assert identifier.variant == "specified in RFC 4122"


@given(MOMENTS, MOMENTS)
def test_ids_order_as_their_times_do(one: datetime, other: datetime) -> None:
    if milliseconds(one) < milliseconds(other):
        assert derived_id(one, "x") < first_id(other) < derived_id(other, "x")


@given(MOMENTS)
def test_an_id_tells_its_time_to_the_millisecond(moment: datetime) -> None:
    assert timedelta() <= moment - moment_of(derived_id(moment, "x")) < timedelta(milliseconds=1)


def test_parts_do_not_run_into_each_other() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert derived_id(moment, "ab", "c") != derived_id(moment, "a", "bc")
    assert derived_id(moment, 1, "x") != derived_id(moment, 2, "x")


def test_a_time_before_1970_is_refused() -> None:
    with pytest.raises(ValueError, match="1970"):
        derived_id(datetime(1969, 12, 31, tzinfo=UTC), "x")


def test_a_range_that_begins_before_1970_begins_with_the_first_id() -> None:
    assert first_id(datetime(1, 1, 1, tzinfo=UTC)) == first_id(EPOCH) == UUID(int=0)
