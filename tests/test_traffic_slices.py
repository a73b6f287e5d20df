"""The chart under a filter is that of plain Python, whatever of its hours is kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import product
from random import Random

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from accounts.models import AIModel, ApiToken, Gateway, User
from logs.models import CALLS, Slices, Status, TrafficHour, TrafficSlice, UsageRecord
from logs.models.events import UsageEvent
from logs.rollups import busy_hours, kept_hours, pending, traffic, traffic_slices
from logs.rollups.buckets import Bucket, Peak
from logs.selection.chosen import Looked, Selection
from routescope.data.ranges import DAY, HOUR, MINUTE, TimeRange, floor
from routescope.data.scopes import Scope, ScopeKind, Viewer
from tests.cast import NOON, event, store

SPAN = 12 * DAY
WEEKS = TimeRange(NOON + timedelta(minutes=25), NOON + SPAN - timedelta(minutes=10))
LATER = NOON + SPAN + DAY


def calls(seed: int, count: int, user: str) -> list[UsageEvent]:
    random = Random(seed)
    # Crowded in some hours and within these in some minutes.
    hours = [random.randrange(int(SPAN / HOUR)) for _ in range(20)]
    return [
        event(
            user,
            created_at=NOON
            + random.choice(hours) * HOUR
            + timedelta(seconds=random.choice([0, 60, 300, random.randrange(3600)])),
            token=random.choice(["", "t0", "t1"]),
            model=random.choice(["", "m0", "m1", "m2"]),
            group=random.choice(["", "g0"]),
            status=random.choices(list(Status), [7, 3])[0],
            http_status=random.choice([None, 429]),
            input_tokens=random.randrange(500),
            output_tokens=random.randrange(50),
        )
        for _ in range(count)
    ]


@pytest.fixture
def world(alice: User, bob: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[UsageRecord]:
    """Records of two people: hours kept, stale, waiting and never counted."""
    monkeypatch.setattr(busy_hours, "BUSY", 8)
    monkeypatch.setattr(traffic_slices, "CALLS_OF_EACH", 1)
    store(gateway, *calls(1, 400, "alice@example.com"), *calls(2, 200, "bob@example.com"), ties=True)
    busy_hours.count(LATER, everything=True)
    assert set(TrafficHour.objects.values_list("slices", flat=True)) == {Slices.KEPT, Slices.TOO_MANY}
    late = [
        event("alice@example.com", created_at=one.created_at + MINUTE)
        for one in calls(1, 6, "alice@example.com")
    ]
    store(gateway, *late[:3], ties=True)
    pending.fold()
    store(gateway, *late[3:], ties=True)
    assert TrafficHour.objects.filter(is_stale=True).exists()
    return list(UsageRecord.objects.filter(CALLS))


def plain(records: list[UsageRecord], step: timedelta) -> list[Bucket]:
    found = []
    for start in sorted({floor(record.created_at, step) for record in records}):
        within = [record for record in records if floor(record.created_at, step) == start]
        requests = Counter(floor(record.created_at, MINUTE) for record in within)
        tokens: Counter[object] = Counter()
        for record in within:
            tokens[floor(record.created_at, MINUTE)] += record.input_tokens + record.output_tokens
        peaks = [
            Peak(max(counts.values()), min(at for at in requests if counts[at] == max(counts.values())))
            for counts in (requests, tokens)
        ]
        found.append(
            Bucket(
                start,
                len(within),
                sum(record.is_error for record in within),
                sum(record.cause == 4 for record in within),
                sum(record.input_tokens + record.output_tokens for record in within),
                *peaks,
            )
        )
    return found


FILTERS = ((), ("token",), ("model",), ("token", "model"), ("status",), ("group",))


def test_the_chart_under_a_filter_counts_what_it_leaves(world: list[UsageRecord], alice: User) -> None:
    first = ApiToken.objects.get(owner=alice, name="t0").pk, AIModel.objects.get(name="m1").pk
    everyone = Scope(Viewer.of(alice), None, ScopeKind.EVERYONE)
    for scope, named, (token, model) in product((Scope.own(alice), everyone), FILTERS, (first, (0, 0))):
        selection = Selection(
            WEEKS,
            tokens=(token,) if "token" in named else (),
            models=(model,) if "model" in named else (),
            statuses=(Status.ERROR.value,) if "status" in named else (),
            groups=(0,) if "group" in named else (),
        )
        meant = [
            record
            for record in world
            if record.created_at in WEEKS
            and (scope.is_everyone or record.user_id == alice.pk)
            and ("token" not in named or (record.token_id or 0) == token)
            and ("model" not in named or (record.model_id or 0) == model)
            and ("status" not in named or record.is_error)
            and ("group" not in named or not record.group_id)
        ]
        assert meant
        found = traffic.traffic(scope, selection, LATER)
        assert found.step % HOUR == timedelta()
        assert list(found.buckets) == plain(meant, found.step), (scope.kind, named, token)


def test_what_only_records_can_tell_is_in_no_slice() -> None:
    model = Selection(models=(7,))
    assert traffic_slices.slice_of(model, is_everyone=True) == (TrafficSlice.ANY, 7, TrafficSlice.ANY)
    for further in (
        {"bounds": Q(duration_ms__gte=9)},
        {"marks": ((1,),)},
        {"is_by_record": True},
        {"looked": Looked(())},
        {"models": (7, 8)},
        {"groups": (1,)},
        {"causes": (4,)},
        {"types": (1,)},
        {"statuses": (Status.SUCCESS.value,)},
        {"statuses": (Status.ERROR.value,)},
    ):
        for selection in (replace(model, **further), replace(Selection(), **further)):
            known = traffic_slices.slice_of(selection, is_everyone=False)
            is_failed = selection.statuses == (Status.ERROR.value,) and not selection.models
            assert (known is not None) == is_failed, further


def test_a_filtered_chart_reads_the_slices_and_no_more_than_what_lies_between(
    world: list[UsageRecord], alice: User
) -> None:
    model = AIModel.objects.get(name="m1").pk
    with CaptureQueriesContext(connection) as queries:
        traffic.traffic(Scope.own(alice), Selection(WEEKS, models=(model,)), LATER)
    assert any("usage_traffic_slice" in query["sql"] for query in queries)


def test_slices_are_counted_anew_with_their_hour_and_too_many_are_left_out(
    world: list[UsageRecord], alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_hours.count(LATER, everything=True)
    assert not TrafficHour.objects.filter(is_stale=True).exists()
    hours = TrafficHour.objects.filter(slices=Slices.KEPT)
    assert hours.filter(user_id=kept_hours.EVERYONE).exists() and hours.filter(user_id=alice.pk).exists()
    for hour in hours:
        slices = TrafficSlice.objects.filter(user_id=hour.user_id, start=hour.start)
        failed = slices.filter(status=Status.ERROR)
        assert sum(one.requests for one in failed) == hour.errors
        of_models = slices.filter(token_id=TrafficSlice.ANY, status=TrafficSlice.ANY)
        assert sum(one.requests for one in of_models) == hour.requests
    # Those of before slices were kept are counted anew, and where there are too many none is kept.
    monkeypatch.setattr(traffic_slices, "MOST_OF_AN_HOUR", 0)
    TrafficHour.objects.update(slices=Slices.UNCOUNTED)
    assert busy_hours.count(LATER) == TrafficHour.objects.count()
    assert not TrafficSlice.objects.exists()
    assert set(TrafficHour.objects.values_list("slices", flat=True)) == {Slices.TOO_MANY}
