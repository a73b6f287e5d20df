"""A list sorted by cost, duration or tokens is Python's sort of all records, however these came to be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models import Q
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from accounts.identities import merging
from accounts.models import AIModel, ApiToken, Gateway, User
from logs.ingest import batches, rows
from logs.listing import largest_records
from logs.listing.largest_records import End, Sorted
from logs.listing.table import Listed
from logs.maintenance import amend
from logs.models import RecordType, Status, UnboundedDay, UsageRecord
from logs.models.events import UsageEvent
from logs.rollups import bounds, pending
from logs.selection import largest
from logs.selection.chosen import NONE, Selection
from logs.selection.largest import Sort
from routescope.data.keyset import Cursor
from routescope.data.ranges import TimeRange
from routescope.data.scopes import Scope
from tests.cast import NOON, event, store
from tests.sums import check_rollups

pytestmark = pytest.mark.django_db
VALUES: dict[Sort, Callable[[UsageRecord], Any]] = {
    Sort.COST: lambda row: row.cost,
    Sort.DURATION: lambda row: row.duration_ms,
    Sort.TOKENS: lambda row: row.input_tokens + row.output_tokens,
}
FILTERS: dict[str, tuple[Q, Callable[[UsageRecord], bool]]] = {
    "none": (Q(), lambda row: True),
    "stream": (Q(stream=True), lambda row: row.stream is True),
    "slow": (Q(duration_ms__gte=1000), lambda row: (row.duration_ms or 0) >= 1000),
    "nothing": (Q(cost__gte=10**6), lambda row: False),
}


def some_event(random: Random, owner: str) -> UsageEvent:
    return event(
        owner,
        created_at=NOON
        + timedelta(seconds=random.choice([0, 3600, random.randrange(3600), random.randrange(518_400)])),
        token=random.choice(["", "t0", "t1"]),
        model=random.choices(["m0", "m1", "rare", ""], [55, 35, 5, 5])[0],
        group=random.choice(["", "g0"]),
        type=random.choices(list(RecordType), [90, 4, 4, 2])[0],
        status=random.choices(list(Status), [8, 2])[0],
        # Many are alike: the newest of them come first. With as many decimals as are kept.
        cost=random.choice(
            [None, Decimal(0), Decimal("0.5"), round(Decimal(random.randrange(-999, 999)) / 999_000, 12)]
        ),
        duration_ms=random.choice([None, 0, 1000, random.randrange(4000)]),
        input_tokens=random.choice([0, 100, random.randrange(5000)]),
        output_tokens=random.choice([0, random.randrange(500)]),
        stream=random.choice([True, False, None]),
    )


@pytest.fixture(params=["as they came", "changed", "with bounds from a job"])
def alice(request: pytest.FixtureRequest, alice: User, bob: User, gateway: Gateway) -> User:
    """Alice, who is Bob too, with 350 records: some folded in, some corrected, moved, priced late or gone."""
    random = Random(5)
    for owner in ("alice@example.com", "bob@example.com", "charlie@example.com"):
        store(gateway, *(some_event(random, owner) for _ in range(150)), ties=True)
    merging.merge(bob, alice)
    alice = User.objects.get(pk=alice.pk)
    pending.fold()
    if request.param != "as they came":
        _change(gateway, random, alice)
    store(gateway, *(some_event(random, "alice@example.com") for _ in range(50)), ties=True)
    if request.param == "with bounds from a job":
        _forget_bounds()
        assert bounds.fill(timedelta(minutes=1)) > 0
        assert not UnboundedDay.objects.exists()
        store(gateway, *(some_event(random, "alice@example.com") for _ in range(20)), ties=True)
    return alice


def _change(gateway: Gateway, random: Random, alice: User) -> None:
    mine = list(UsageRecord.objects.filter(user_id__in=alice.ids))
    owners = {user.pk: str(user.email) for user in User.objects.all()}
    random.shuffle(mine)
    with transaction.atomic():
        changes = [
            (
                record,
                replace(
                    some_event(random, owners[record.user_id]),
                    request_id=record.request_id,
                    type=RecordType(record.type),
                    # Some move to another hour or day.
                    created_at=record.created_at - random.choice([0, 0, 1, 30]) * timedelta(hours=1),
                ),
            )
            for record in mine[:60]
        ]
        batches.complete(gateway, changes)
        rows.remove([(record.user_id, record.id) for record in mine[60:80]])
    unpriced = [record for record in mine[80:] if record.cost is None]
    amend.amend(
        [
            amend.Amendment(one.user_id, one.id, one.cause, Decimal(random.randrange(3)), None)
            for one in unpriced
        ]
    )


def _forget_bounds() -> None:
    """Leave the sums as the migration finds them."""
    with connection.cursor() as cursor:
        for table in ("usage_hour_folded", "usage_day_folded", "usage_pending"):
            cursor.execute(
                f"UPDATE {table} SET max_cost = DEFAULT, max_duration_ms = DEFAULT, max_tokens = DEFAULT"
            )
        cursor.execute("INSERT INTO usage_unbounded_day SELECT DISTINCT start FROM usage_day")


TIMES = st.none() | st.integers(-3600, 522_000).map(lambda seconds: NOON + timedelta(seconds=seconds))


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    sort=st.sampled_from(Sort),
    start=TIMES,
    end=TIMES,
    tokens=st.sets(st.sampled_from(["", "t0", "t1"]), max_size=2),
    models=st.sets(st.sampled_from(["", "m0", "m1", "rare"]), max_size=2),
    statuses=st.sets(st.sampled_from(Status), max_size=1),
    bound=st.sampled_from(sorted(FILTERS)),
    size=st.integers(20, 120),
)
def test_a_sorted_list_is_pythons_sort_of_all_records(
    alice: User,
    sort: Sort,
    start: datetime | None,
    end: datetime | None,
    tokens: set[str],
    models: set[str],
    statuses: set[Status],
    bound: str,
    size: int,
) -> None:
    condition, meets = FILTERS[bound]
    mine = ApiToken.objects.filter(owner__in=alice.ids)
    selection = Selection(
        TimeRange(start, end),
        tokens=_ids(tokens, dict(mine.values_list("pk", "name"))),
        models=_ids(models, dict(AIModel.objects.values_list("pk", "name"))),
        statuses=tuple(int(status) for status in statuses),
        bounds=condition,
        least=(("max_duration_ms", Decimal(1000)),) if bound == "slow" else (),
    )
    value = VALUES[sort]
    wanted = sorted(
        (
            (value(row), row.id)
            for row in UsageRecord.objects.filter(user_id__in=alice.ids)
            if row.created_at in selection.chosen
            and (not tokens or (row.token_id or NONE) in selection.tokens)
            and (not models or (row.model_id or NONE) in selection.models)
            and (not statuses or row.status in selection.statuses)
            and meets(row)
            and value(row) is not None
        ),
        reverse=True,
    )
    assert _walked(alice, selection, sort, size) == [identifier for _value, identifier in wanted]


def _ids(names: set[str], known: dict[int, str]) -> tuple[int, ...]:
    return (*((NONE,) if "" in names else ()), *(pk for pk, name in known.items() if name in names))


def _walked(user: User, selection: Selection, sort: Sort, size: int) -> list[UUID]:
    """Page to the end: each page knows its place on the way, and leads back to the one before."""
    listed: list[UUID] = []
    before: list[UUID] = []
    cursor = Cursor()
    while True:
        page = largest_records.listed(Scope.own(user), selection, sort, cursor, size)
        ids = [row.id for row in page.rows]
        assert (page.ahead, page.end) == (len(listed), None)
        assert len(ids) <= size
        if listed:
            back = largest_records.listed(Scope.own(user), selection, sort, page.back, size)
            assert ([row.id for row in back.rows], back.ahead) == (before, len(listed) - len(before))
        listed += ids
        if page.older is None:
            return listed
        assert len(ids) == size
        before, cursor = ids, page.onward


def test_bounds_hold_whatever_happens_to_records(alice: User) -> None:
    check_rollups()
    key = "start, model_id, status"
    with connection.cursor() as cursor:
        for period in ("hour", "day"):
            for table, by in ((f"usage_{period}", f"user_id, {key}"), (f"usage_total_{period}", key)):
                cursor.execute(
                    f"WITH records AS (SELECT {by}, max(cost) AS cost, max(duration_ms) AS duration,"
                    " max(input_tokens + output_tokens) AS tokens FROM (SELECT user_id, status, cost,"
                    " duration_ms, input_tokens, output_tokens,"
                    f" date_trunc('{period}', created_at, 'UTC') AS start,"
                    f" coalesce(model_id, 0) AS model_id FROM usage_record) AS one GROUP BY {by}),"
                    f" sums AS (SELECT {by}, max(max_cost) AS max_cost,"
                    " max(max_duration_ms) AS max_duration_ms,"
                    f" max(max_tokens) AS max_tokens FROM {table} GROUP BY {by})"
                    f" SELECT count(*) FROM records JOIN sums USING ({by})"
                    " WHERE cost > coalesce(max_cost, -1e11) OR duration > coalesce(max_duration_ms, -1)"
                    " OR tokens > max_tokens"
                )
                assert cursor.fetchone() == (0,), table


def test_a_search_that_would_read_too_much_gives_what_is_certain(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [
        row.id for row in largest_records.listed(Scope.own(alice), Selection(), Sort.COST, Cursor(), 100).rows
    ]
    for most in (5, 40, 90):
        monkeypatch.setattr(largest, "MOST_RECORDS", most)
        page = largest_records.listed(Scope.own(alice), Selection(), Sort.COST, Cursor(), 100)
        ids = [row.id for row in page.rows]
        assert ids == whole[: len(ids)]
        assert page.end is End.READ
        assert page.older is None
        assert page.read <= most
    monkeypatch.setattr(largest, "MOST_ENTRIES", 0)
    page = largest_records.listed(Scope.own(alice), Selection(), Sort.COST, Cursor(), 100)
    assert (page.rows, page.end, page.read) == ([], End.READ, 0)


def test_a_sorted_list_ends_at_a_depth_and_says_so(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(largest_records, "MOST_DEEP", 25)
    pages: list[Sorted[Listed]] = []
    cursor = Cursor()
    while not pages or pages[-1].older:
        pages.append(largest_records.listed(Scope.own(alice), Selection(), Sort.TOKENS, cursor, 10))
        cursor = pages[-1].onward
    assert [len(page.rows) for page in pages] == [10, 10, 5]
    assert [page.end for page in pages] == [None, None, End.DEPTH]
