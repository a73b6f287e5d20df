"""Header and list say the same, and the same as plain Python, over random records and random filters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import AIModel, ApiToken, Gateway, Group, User
from logs.listing import own_records
from logs.models import REQUEST_TYPES, RecordType, Status, UsageRecord
from logs.models.events import UsageEvent
from logs.rollups import own_sums
from logs.selection.chosen import Selection
from routescope.data.keyset import Cursor
from routescope.data.ranges import TimeRange
from routescope.data.scopes import Scope
from tests.cast import NOON, event, store

TOKENS, MODELS, GROUPS = ("t0", "t1", "t2"), ("m0", "m1", "m2", "m3"), ("g0", "g1")
SPAN = timedelta(days=4)


@dataclass(frozen=True)
class World:
    """Alice's records as events, and the ids of their names."""

    alice: User
    events: list[UsageEvent]
    tokens: dict[str, int]
    models: dict[str, int]
    groups: dict[str, int]


@pytest.fixture
def world(alice: User, bob: User, gateway: Gateway) -> World:
    random = Random(7)
    events = [_random_event(random, "alice@example.com") for _ in range(700)]
    store(gateway, *events, *(_random_event(random, "bob@example.com") for _ in range(200)), ties=True)
    return World(
        alice,
        events,
        dict(ApiToken.objects.filter(owner=alice).values_list("name", "id")),
        dict(AIModel.objects.values_list("name", "id")),
        dict(Group.objects.values_list("name", "id")),
    )


def _random_event(random: Random, user: str) -> UsageEvent:
    kind = random.choices(list(RecordType), [90, 4, 4, 2])[0]
    cost = random.choice([None, Decimal(random.randrange(10**9)).scaleb(-12)])
    tokens = random.randrange(5000)
    return event(
        user,
        # Crowded round a few moments, and on their exact boundaries.
        created_at=NOON
        + timedelta(seconds=random.choice([0, 3600, 86400, random.randrange(int(SPAN.total_seconds()))])),
        token=random.choice(["", *TOKENS]),
        model=random.choice(["", *MODELS]),
        group=random.choice(["", *GROUPS]),
        type=kind,
        status=random.choices(list(Status), [8, 2])[0],
        http_status=random.choice([None, 400, 429, 500]),
        cost=-cost if cost and kind is RecordType.REFUND else cost,
        input_tokens=tokens,
        output_tokens=random.randrange(500),
        cached_tokens=random.randrange(tokens + 1),
    )


OFFSETS = st.integers(-3600, int(SPAN.total_seconds()) + 3600).map(
    lambda seconds: NOON + timedelta(seconds=seconds)
)
ROUND = st.integers(-1, 4 * 24).map(lambda hours: NOON + timedelta(hours=hours))
BOUNDS = st.none() | OFFSETS | ROUND


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=BOUNDS,
    end=BOUNDS,
    tokens=st.sets(st.sampled_from(TOKENS), max_size=2),
    models=st.sets(st.sampled_from(MODELS), max_size=2),
    groups=st.sets(st.sampled_from(GROUPS), max_size=1),
    statuses=st.sets(st.sampled_from(Status), max_size=1),
    types=st.sets(st.sampled_from(RecordType), max_size=2),
    size=st.integers(1, 40),
)
def test_header_and_list_agree_with_plain_python(
    world: World,
    start: datetime | None,
    end: datetime | None,
    tokens: set[str],
    models: set[str],
    groups: set[str],
    statuses: set[Status],
    types: set[RecordType],
    size: int,
) -> None:
    wanted = [
        record
        for record in world.events
        if record.created_at in TimeRange(start, end)
        and (not tokens or record.token in tokens)
        and (not models or record.model in models)
        and (not groups or record.group in groups)
        and (not statuses or record.status in statuses)
        and (not types or record.type in types)
    ]
    selection = Selection(
        TimeRange(start, end),
        tokens=tuple(world.tokens[name] for name in tokens),
        models=tuple(world.models[name] for name in models),
        groups=tuple(world.groups[name] for name in groups),
        statuses=tuple(int(status) for status in statuses),
        types=tuple(int(kind) for kind in types),
    )
    totals = own_sums.totals(Scope.own(world.alice), selection)
    calls = [record for record in wanted if record.type in REQUEST_TYPES]
    assert totals == own_sums.Totals(
        records=len(wanted),
        requests=len(calls),
        errors=sum(record.status == Status.ERROR for record in calls),
        unpriced=sum(record.cost is None for record in wanted),
        input_tokens=sum(record.input_tokens for record in wanted),
        output_tokens=sum(record.output_tokens for record in wanted),
        cached_tokens=sum(record.cached_tokens for record in wanted),
        cost=sum((record.cost or Decimal(0) for record in wanted), Decimal(0)),
        refunds=sum(
            (record.cost or Decimal(0) for record in wanted if record.type == RecordType.REFUND), Decimal(0)
        ),
        refund_records=sum(record.type == RecordType.REFUND for record in wanted),
        adjustments=sum(
            (record.cost or Decimal(0) for record in wanted if record.type == RecordType.ADJUSTMENT),
            Decimal(0),
        ),
        adjustment_records=sum(record.type == RecordType.ADJUSTMENT for record in wanted),
    )
    listed = _walk(world.alice, selection, size)
    assert [record.request_id for record in listed] == sorted(
        (record.request_id for record in wanted),
        key={record.request_id: record.id for record in UsageRecord.objects.all()}.__getitem__,
        reverse=True,
    )
    assert own_sums.Totals.of(listed) == totals


def _walk(user: User, selection: Selection, size: int) -> list[UsageRecord]:
    """Page to the end, checking on the way that every page leads back to the one before it."""
    listed: list[UsageRecord] = []
    cursor = Cursor()
    before: list[UsageRecord] = []
    while True:
        page = own_records.page(Scope.own(user), selection, cursor, size)
        assert len(page.rows) <= size
        if page.newer:
            back = own_records.page(Scope.own(user), selection, Cursor(newer=page.newer), size)
            assert list(back.rows) == before
        listed += page.rows
        before = list(page.rows)
        if page.older is None:
            return listed
        cursor = Cursor(older=page.older)


def test_one_page_reads_one_sum_and_one_list_however_long_the_range(
    world: World, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    selection = Selection(TimeRange(NOON + timedelta(minutes=7), timezone.now()))
    with django_assert_num_queries(3):  # type: ignore[operator]  # and whom else they are
        own_sums.totals(Scope.own(world.alice), selection)
        own_records.page(Scope.own(world.alice), selection, Cursor(), 50)
