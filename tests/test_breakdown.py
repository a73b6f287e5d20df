"""Every breakdown adds up to the header, and each of its lines to plain Python's sum."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db.models import Q
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Gateway, User
from logs.models import REQUEST_TYPES, RecordType, Status
from logs.models.events import UsageEvent
from logs.rollups import own_sums
from logs.rollups.breakdown import By, breakdown, days
from logs.rollups.own_sums import Totals
from logs.selection.chosen import Selection
from routescope.data.ranges import TimeRange
from routescope.data.scopes import Scope
from tests.cast import NOON, event, store
from tests.test_agreement import BOUNDS, GROUPS, MODELS, TOKENS, World, world

__all__ = ["world"]

ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/New_York",  # summer time begins on 8 March 2026, before NOON; no whole day of it is in the span
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
)


def plain_sums(records: list[UsageEvent]) -> Totals:
    calls = [record for record in records if record.type in REQUEST_TYPES]
    return Totals(
        records=len(records),
        requests=len(calls),
        errors=sum(record.status == Status.ERROR for record in calls),
        unpriced=sum(record.cost is None for record in records),
        input_tokens=sum(record.input_tokens for record in records),
        output_tokens=sum(record.output_tokens for record in records),
        cached_tokens=sum(record.cached_tokens for record in records),
        cost=sum((record.cost or Decimal(0) for record in records), Decimal(0)),
        refunds=sum(
            (record.cost or Decimal(0) for record in records if record.type == RecordType.REFUND), Decimal(0)
        ),
        refund_records=sum(record.type == RecordType.REFUND for record in records),
        adjustments=sum(
            (record.cost or Decimal(0) for record in records if record.type == RecordType.ADJUSTMENT),
            Decimal(0),
        ),
        adjustment_records=sum(record.type == RecordType.ADJUSTMENT for record in records),
    )


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    by=st.sampled_from(By),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    start=BOUNDS,
    end=BOUNDS,
    tokens=st.sets(st.sampled_from(TOKENS), max_size=2),
    models=st.sets(st.sampled_from(MODELS), max_size=2),
    groups=st.sets(st.sampled_from(GROUPS), max_size=1),
    statuses=st.sets(st.sampled_from(Status), max_size=1),
    least_cost=st.none() | st.just(Decimal("0.0005")),
)
def test_a_breakdown_is_plain_python_line_by_line_and_adds_up_to_the_header(
    world: World,
    by: By,
    zone: ZoneInfo,
    start: datetime | None,
    end: datetime | None,
    tokens: set[str],
    models: set[str],
    groups: set[str],
    statuses: set[Status],
    least_cost: Decimal | None,
) -> None:
    wanted = [
        record
        for record in world.events
        if record.created_at in TimeRange(start, end)
        and (not tokens or record.token in tokens)
        and (not models or record.model in models)
        and (not groups or record.group in groups)
        and (not statuses or record.status in statuses)
        and (least_cost is None or (record.cost is not None and record.cost >= least_cost))
    ]
    selection = Selection(
        TimeRange(start, end),
        tokens=tuple(world.tokens[name] for name in tokens),
        models=tuple(world.models[name] for name in models),
        groups=tuple(world.groups[name] for name in groups),
        statuses=tuple(int(status) for status in statuses),
        bounds=Q() if least_cost is None else Q(cost__gte=least_cost),
    )
    with timezone.override(zone):
        lines = breakdown(Scope.own(world.alice), selection, by)
    value_of: dict[By, Callable[[UsageEvent], int | date]] = {
        By.MODEL: lambda record: world.models.get(record.model, 0),
        By.TOKEN: lambda record: world.tokens.get(record.token, 0),
        By.GROUP: lambda record: world.groups.get(record.group, 0),
        By.DAY: lambda record: record.created_at.astimezone(zone).date(),
    }
    if by in value_of:
        expected: dict[int | date, list[UsageEvent]] = defaultdict(list)
        for record in wanted:
            expected[value_of[by](record)].append(record)
        assert {line.value: line.totals for line in lines} == {
            value: plain_sums(records) for value, records in expected.items()
        }
    assert len({line.value for line in lines}) == len(lines)
    added = sum((line.totals for line in lines), own_sums.NOTHING)
    assert added == own_sums.totals(Scope.own(world.alice), selection) == plain_sums(wanted)


@pytest.mark.parametrize("zone", ZONES)
def test_a_days_stretch_selects_exactly_its_line(world: World, zone: str) -> None:
    chosen = TimeRange(NOON + timedelta(minutes=7), NOON + timedelta(days=3, minutes=50))
    with timezone.override(ZoneInfo(zone)):
        for line in breakdown(Scope.own(world.alice), Selection(chosen), By.DAY):
            assert line.stretch is not None
            assert own_sums.totals(Scope.own(world.alice), Selection(line.stretch)) == line.totals


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Africa/Cairo", date(2026, 4, 24), 23),  # its clocks skip midnight itself
        ("America/Havana", date(2026, 11, 1), 25),  # its midnight comes twice
    ],
)
def test_a_day_of_a_clock_change_is_as_long_as_it_is(zone: str, day: date, hours: float) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    starts = {
        value: start
        for start, value in days(noon - timedelta(days=2), noon + timedelta(days=2), ZoneInfo(zone)).items()
    }
    assert starts[day + timedelta(days=1)] - starts[day] == timedelta(hours=hours)
    assert starts[day].astimezone(ZoneInfo(zone)).date() == day
    assert (starts[day] - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() < day


def test_a_long_range_in_a_half_hour_zone_reads_few_queries(
    alice: User, gateway: Gateway, django_assert_max_num_queries: pytest.FixtureRequest
) -> None:
    store(gateway, *(event(minutes=day * 1440 + minute) for day in range(200) for minute in (0, 385, 395)))
    with timezone.override(ZoneInfo("Asia/Kolkata")), django_assert_max_num_queries(8):  # type: ignore[operator]
        lines = breakdown(Scope.own(alice), Selection(), By.DAY)
    # 18:25 UTC is 23:55 there, and 18:35 five minutes past midnight.
    assert [line.totals.requests for line in lines] == [2, *[3] * 199, 1]
