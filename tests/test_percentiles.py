"""Percentiles are those of the records themselves, within the error of a sketch, whatever is kept of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import chain, pairwise, product
from math import ceil
from random import Random
from time import monotonic

import pytest
from django.db import connection
from django.db.models import Q
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import AIModel, Gateway, User
from logs.models import CALLS, Latencies, LatencyPart, PeriodUnit, RecordType, Status, UsageRecord
from logs.models.events import UsageEvent
from logs.rollups import latencies, latency_blocks, latency_periods, pending, percentiles, sketches
from logs.rollups.latency_periods import EVERYONE
from logs.rollups.sketches import ERROR, Measure, Percentiles
from logs.selection.chosen import Selection
from routescope.data.ranges import DAY, HOUR, TimeRange
from routescope.data.scopes import Scope, ScopeKind, Viewer, Window, of_users
from tests.cast import NOON, event, store

SPAN = timedelta(days=14)
LATER = NOON + SPAN + DAY
LONG = timedelta(hours=1)
MOMENTS = st.integers(-3600, int(SPAN.total_seconds()) + 3600).map(
    lambda seconds: NOON + timedelta(seconds=seconds)
)
ROUND = st.integers(-13, 15 * 24).map(lambda hours: NOON + timedelta(hours=hours))
BOUNDS = st.none() | MOMENTS | ROUND
MODELS = ("m0", "m1", "m2")


def calls(seed: int, count: int, user: str) -> list[UsageEvent]:
    random = Random(seed)
    return [
        event(
            user,
            created_at=NOON
            + timedelta(
                seconds=random.choice(
                    [0, 3600, random.randrange(12 * 3600), random.randrange(int(SPAN.total_seconds()))]
                )
            ),
            token=random.choice(["", "t0", "t1"]),
            model=random.choice(["", *MODELS]),
            group=random.choice(["", "g0", "g1"]),
            type=random.choices(list(RecordType), [90, 4, 4, 2])[0],
            status=random.choices(list(Status), [8, 2])[0],
            duration_ms=random.choice([None, 0, 1, 25, random.randrange(100_000), random.randrange(10**9)]),
            ttft_ms=random.choice([None, random.randrange(5_000)]),
            output_tokens=random.randrange(3_000),
        )
        for _ in range(count)
    ]


def value(record: UsageRecord, measure: Measure) -> float | None:
    if measure is Measure.DURATION:
        return record.duration_ms
    if measure is Measure.TTFT:
        return record.ttft_ms
    speed = record.tokens_per_second
    return None if speed is None else float(speed)


def check(found: Percentiles | None, records: Iterable[UsageRecord], measure: Measure) -> None:
    values = sorted(one for record in records if (one := value(record, measure)) is not None)
    assert (found.count if found else 0) == len(values)
    if found:
        for rank, told in ((50, found.p50), (95, found.p95), (99, found.p99)):
            exact = values[ceil(len(values) * rank / 100) - 1]
            # Speeds are counted in hundredths.
            slack = 0.0101 if measure is Measure.SPEED else 1e-9
            assert abs(told - exact) <= ERROR * exact * 1.000001 + slack, (measure, rank)


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few records make a period that is kept."""
    monkeypatch.setattr(latencies, "BUSY", 4)


@pytest.fixture
def world(alice: User, bob: User, gateway: Gateway, busy: None) -> list[UsageRecord]:
    """Records of two people: some periods kept, some stale, some waiting, some never counted."""
    store(gateway, *calls(1, 700, "alice@example.com"), *calls(2, 200, "bob@example.com"), ties=True)
    assert latencies.count(LONG, LATER) > 30
    assert {unit for (unit,) in Latencies.objects.values_list("unit")} == set(PeriodUnit)
    late = calls(3, 12, "alice@example.com")
    store(gateway, *late[:6], ties=True)
    pending.fold()
    assert Latencies.objects.filter(is_stale=True).exists()
    # These wait: neither folded in nor counted.
    store(gateway, *late[6:], ties=True)
    return list(UsageRecord.objects.filter(CALLS))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    whose=st.sampled_from(["own", "everyone", "both", "windows"]),
    start=BOUNDS,
    end=BOUNDS,
    by=st.sampled_from([None, "model_id", "group_id", "token_id", "cause", "user_id"]),
    models=st.sets(st.sampled_from(MODELS), max_size=2),
    statuses=st.sets(st.sampled_from(Status), max_size=1),
    is_without_token=st.booleans(),
    slow=st.none() | st.integers(1, 50_000),
)
def test_percentiles_are_those_of_the_records(
    world: list[UsageRecord],
    alice: User,
    bob: User,
    whose: str,
    start: datetime | None,
    end: datetime | None,
    by: str | None,
    models: set[str],
    statuses: set[Status],
    is_without_token: bool,
    slow: int | None,
) -> None:
    names = dict(AIModel.objects.values_list("name", "pk"))
    came = TimeRange(NOON + timedelta(hours=30), NOON + timedelta(hours=70, minutes=20))
    scope = {
        "own": Scope.own(alice),
        "everyone": Scope(Viewer.of(alice), None, ScopeKind.EVERYONE),
        "both": Scope(Viewer.of(alice), of_users([alice.pk, bob.pk]), ScopeKind.TEAM),
        "windows": Scope(Viewer.of(alice), (Window(alice.pk), Window(bob.pk, came)), ScopeKind.TEAM),
    }[whose]
    chosen = TimeRange(start, end)
    selection = Selection(
        chosen,
        models=tuple(names[name] for name in models),
        statuses=tuple(int(status) for status in statuses),
        tokens=(0,) if is_without_token and whose != "everyone" else (),
        bounds=Q() if slow is None else Q(duration_ms__gte=slow),
    )

    def is_meant(record: UsageRecord) -> bool:
        if whose == "own" and record.user_id != alice.pk:
            return False
        if whose == "windows" and record.user_id == bob.pk and record.created_at not in came:
            return False
        return (
            record.created_at in chosen
            and (not selection.models or record.model_id in selection.models)
            and (not statuses or record.status in statuses)
            and (not selection.tokens or record.token_id is None)
            and (slow is None or (record.duration_ms is not None and record.duration_ms >= slow))
        )

    meant = [record for record in world if is_meant(record)]
    found = percentiles.grouped(scope, selection, by, measures=list(Measure))
    if whose == "everyone" and by in ("token_id", "user_id") and slow is None:
        assert found is None
        return
    assert found is not None
    lines: dict[int, list[UsageRecord]] = {}
    for record in meant:
        lines.setdefault(getattr(record, by) or 0 if by else 0, []).append(record)
    for line in {*lines, *(line for line, _measure in found)}:
        for measure in Measure:
            check(found.get((line, measure)), lines.get(line, []), measure)


def test_over_time_each_stretch_has_its_own(world: list[UsageRecord], alice: User) -> None:
    chosen = TimeRange(NOON + timedelta(minutes=7), NOON + SPAN - timedelta(minutes=50))
    model = next(record.model_id for record in world if record.model_id)
    mine = [record for record in world if record.user_id == alice.pk and record.created_at in chosen]
    for step, models in product((DAY, 3 * HOUR, HOUR, timedelta(minutes=10)), ((), (model,))):
        meant = [record for record in mine if not models or record.model_id == model]
        first = NOON.replace(hour=0) if step == DAY else NOON
        selection = Selection(chosen, models=models)
        found = percentiles.over_time(Scope.own(alice), selection, Measure.DURATION, step, first)
        assert found is not None
        stretches = dict(found)
        assert len(stretches) > 3
        for begins, ends in pairwise(first + number * step for number in range(int(SPAN / step) + 3)):
            records = [record for record in meant if record.created_at in TimeRange(begins, ends)]
            check(stretches.pop(begins, None), records, Measure.DURATION)
        assert not stretches


def test_what_is_kept_follows_the_records(world: list[UsageRecord], alice: User) -> None:
    assert latencies.count(LONG, LATER) > 0
    assert not Latencies.objects.filter(is_stale=True).exists()
    assert latencies.count(LONG, LATER) == 0
    for unit, length in latency_periods.LENGTHS.items():
        for kept in Latencies.objects.filter(unit=unit):
            within = TimeRange(kept.start, kept.start + length)
            records = [
                record
                for record in world
                if record.created_at in within and kept.user_id in (EVERYONE, record.user_id)
            ]
            parts = LatencyPart.objects.filter(user_id=kept.user_id, unit=unit, start=kept.start)
            for measure in Measure:
                values = [one for record in records if (one := value(record, measure)) is not None]
                column = [getattr(kept, measure.column), *(getattr(part, measure.column) for part in parts)]
                counts = [sum(code & sketches.MOST_OF_ONE for code in codes) for codes in column]
                assert counts[0] == sum(counts[1:]) == len(values)
                if measure is Measure.SPEED or kept.user_id != EVERYONE:
                    continue
                for owner in latency_periods.EVERYONE_BY.values():
                    by_one = LatencyPart.objects.filter(user_id=owner, unit=unit, start=kept.start)
                    codes = chain.from_iterable(getattr(part, measure.column) for part in by_one)
                    assert sum(code & sketches.MOST_OF_ONE for code in codes) == len(values)


def test_what_is_longer_is_made_of_what_holds_and_only_of_that(world: list[UsageRecord]) -> None:
    latencies.count(LONG, LATER)
    week = Latencies.objects.get(user_id=EVERYONE, unit=PeriodUnit.WEEK)
    day = Latencies.objects.get(user_id=EVERYONE, unit=PeriodUnit.DAY, start=week.start + 2 * DAY)
    Latencies.objects.filter(pk__in=[week.pk]).update(is_stale=True)
    Latencies.objects.filter(pk__in=[day.pk]).update(is_stale=True)
    assert latency_blocks.add_up([day.start], monotonic() + 60) == 0
    assert Latencies.objects.get(pk=week.pk).is_stale
    Latencies.objects.filter(pk__in=[day.pk]).update(is_stale=False)
    assert latency_blocks.add_up([day.start], monotonic()) == 0
    assert latency_blocks.add_up([day.start], monotonic() + 60) == 1
    assert not Latencies.objects.get(pk=week.pk).is_stale
    assert Latencies.objects.get(pk=week.pk).durations == week.durations


def test_a_period_that_is_counted_with_more_of_one_value_than_an_element_holds(
    world: list[UsageRecord], alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would be with millions of calls: an element's bound is lowered to two."""
    monkeypatch.setattr(latencies, "_SKETCH", latencies._SKETCH.replace(str(sketches.MOST_OF_ONE), "2"))
    Latencies.objects.all().delete()
    LatencyPart.objects.all().delete()
    assert latencies.count(LONG, LATER) > 0
    assert max(len(kept.durations) for kept in Latencies.objects.all()) > 2
    found = percentiles.overall(Scope.own(alice), Selection())
    assert found is not None
    check(
        found[Measure.DURATION],
        [record for record in world if record.user_id == alice.pk],
        Measure.DURATION,
    )


def test_where_there_is_too_much_to_read_nothing_is_told(
    alice: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(gateway, *calls(1, 30, "alice@example.com"), ties=True)
    monkeypatch.setattr(percentiles, "MOST_RECORDS", 30)
    assert percentiles.overall(Scope.own(alice), Selection()) is not None
    monkeypatch.setattr(percentiles, "MOST_RECORDS", 29)
    assert percentiles.overall(Scope.own(alice), Selection()) is None
    many = Scope(Viewer.of(alice), of_users(range(1, 60)), ScopeKind.TEAM)
    assert percentiles.overall(many, Selection()) is None


def test_the_bucket_of_a_value_is_the_same_in_both(db: None) -> None:
    values = [0, 1, 2, 3, 24, 25, 26, 999, 1000, 10**6, 2**31 - 1]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {sketches.bucket_sql('value')} FROM unnest(%s::integer[]) AS value", [values])
        assert [bucket for (bucket,) in cursor.fetchall()] == [sketches.bucket(one) for one in values]
    for one in values:
        assert abs(sketches.value_of(sketches.bucket(one)) - one) <= ERROR * one * 1.000001
    # Buckets have room in an element.
    assert sketches.bucket(2**31 - 1) < 2**11
