"""Filters that no rollup knows: a bounded number of records is looked at, and what is said of it is exact."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db.models import Q
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.identities import merging
from accounts.models import AIModel, ApiToken, Gateway, User
from logs.listing import own_records
from logs.models import REQUEST_TYPES, RecordType, Status, UsageRecord
from logs.models.events import UsageEvent
from logs.rollups import own_sums, traffic
from logs.rollups.breakdown import By, breakdown
from logs.selection import lookback
from logs.selection.chosen import Looked, Selection
from routescope.data.keyset import Cursor, Page
from routescope.data.ranges import HOUR, MINUTE, TimeRange, floor
from routescope.data.scopes import Scope
from tests.cast import NOON, event, store

pytestmark = pytest.mark.django_db
SPAN = timedelta(days=6)
COSTLY = Decimal("0.0007")
BOUNDS = {
    "cost": (Q(cost__gte=COSTLY), lambda row: row.cost is not None and row.cost >= COSTLY),
    "stream": (Q(stream=True), lambda row: row.stream is True),
    "estimated": (Q(usage_estimated=True), lambda row: row.usage_estimated is True),
    "endpoint": (Q(endpoint__icontains="CHAT"), lambda row: "chat" in (row.endpoint or "")),
    "duration": (Q(duration_ms__lte=1000), lambda row: row.duration_ms in range(1001)),
    "nothing": (Q(cost__gte=10**6), lambda row: False),
    "everything": (Q(input_tokens__gte=0), lambda row: True),
}
Meets = Callable[[UsageRecord], bool]


@pytest.fixture(params=["one user", "two that are one"])
def alice(request: pytest.FixtureRequest, alice: User, bob: User, charlie: User, gateway: Gateway) -> User:
    """Alice with 300 records, some of an instant and many of one hour, where others have theirs between."""
    random = Random(5)
    second = "alice@example.com" if request.param == "one user" else "bob@example.com"
    for owner, count in (("alice@example.com", 150), (second, 150), ("charlie@example.com", 60)):
        store(gateway, *(_event(random, owner) for _ in range(count)), ties=True)
    if request.param != "one user":
        merging.merge(bob, alice)
    return User.objects.get(pk=alice.pk)


def _event(random: Random, owner: str) -> UsageEvent:
    kind = random.choices(list(RecordType), [90, 4, 4, 2])[0]
    return event(
        owner,
        created_at=NOON
        + timedelta(seconds=random.choice([0, 3600, random.randrange(3600), random.randrange(518_400)])),
        token=random.choice(["t0", "t1"]),
        model=random.choices(["m0", "m1", "rare"], [60, 38, 2])[0],
        group=random.choice(["g0", "g1"]),
        type=kind,
        status=random.choices(list(Status), [8, 2])[0],
        http_status=random.choice([None, 400, 429, 500]),
        cost=random.choice([None, Decimal(random.randrange(10**9)).scaleb(-12)]),
        input_tokens=random.randrange(5000),
        output_tokens=random.randrange(500),
        stream=random.choice([True, False, None]),
        usage_estimated=random.choice([True, None]),
        endpoint=random.choice([None, "/v1/chat/completions", "/v1/embeddings"]),
        duration_ms=random.choice([None, random.randrange(4000)]),
    )


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookback, "MOST_RECORDS", 60)


TIMES = st.none() | st.integers(-3600, 522_000).map(lambda seconds: NOON + timedelta(seconds=seconds))
FILTERS = {
    "start": TIMES,
    "end": TIMES,
    "tokens": st.sets(st.sampled_from(["t0", "t1"]), max_size=1),
    "models": st.sets(st.sampled_from(["m0", "m1", "rare"]), max_size=2),
    "statuses": st.sets(st.sampled_from(Status), max_size=1),
    "bound": st.sampled_from(sorted(BOUNDS)),
}
anything = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def select(
    alice: User,
    start: datetime | None,
    end: datetime | None,
    tokens: set[str],
    models: set[str],
    statuses: set[Status],
    bound: str,
) -> tuple[Selection, list[UsageRecord], Meets]:
    """Return a selection, what of the records its other filters leave, newest first, and its bound."""
    condition, meets = BOUNDS[bound]
    mine = ApiToken.objects.filter(owner__in=alice.ids)
    selection = Selection(
        TimeRange(start, end),
        tokens=tuple(mine.filter(name__in=tokens).values_list("pk", flat=True)) if tokens else (),
        models=tuple(AIModel.objects.filter(name__in=models).values_list("pk", flat=True)),
        statuses=tuple(int(status) for status in statuses),
        bounds=condition,
    )
    left = [
        row
        for row in UsageRecord.objects.filter(user_id__in=alice.ids).order_by("-id")
        if row.created_at in selection.chosen
        and (not tokens or row.token_id in selection.tokens)
        and (not models or row.model_id in selection.models)
        and (not statuses or row.status in selection.statuses)
    ]
    return selection, left, meets


def plain_sums(rows: list[UsageRecord]) -> own_sums.Totals:
    return own_sums.Totals.of(rows)


@anything
@given(**FILTERS)
def test_header_chart_list_and_breakdown_are_of_the_newest_records_in_plain_python(
    alice: User,
    start: datetime | None,
    end: datetime | None,
    tokens: set[str],
    models: set[str],
    statuses: set[Status],
    bound: str,
) -> None:
    selection, left, meets = select(alice, start, end, tokens, models, statuses, bound)
    looked = lookback.newest(Scope.own(alice), selection).looked
    assert looked is not None
    if len(left) > 60:
        assert (looked.records, looked.reached) == (60, looked.reached)
        assert [row.id for row in left if looked.reached and row.id >= looked.reached] == [
            row.id for row in left[:60]
        ]
    else:
        assert looked.reached is None, "the whole range is looked at, and nothing is said"
    wanted = [row for row in left[:60] if meets(row)]
    totals = own_sums.totals(Scope.own(alice), selection)
    assert totals == plain_sums(wanted)
    assert _until(alice, selection, looked) == [row.id for row in wanted]
    for by, value_of in _VALUES.items():
        with timezone.override(ZoneInfo("Asia/Kolkata")):
            lines = {line.value: line.totals for line in breakdown(Scope.own(alice), selection, by)}
        expected: dict[int | date, list[UsageRecord]] = defaultdict(list)
        for row in wanted:
            expected[value_of(row)].append(row)
        assert lines == {value: plain_sums(rows) for value, rows in expected.items()}
    calls = [row for row in wanted if row.type in REQUEST_TYPES]
    found = traffic.traffic(Scope.own(alice), selection, NOON + SPAN)
    minutes = Counter(floor(row.created_at, MINUTE) for row in calls)
    assert sum(bucket.requests for bucket in found.buckets) == len(calls) == totals.requests
    assert sum(bucket.errors for bucket in found.buckets) == totals.errors
    assert (found.peak_rpm.value if found.peak_rpm else None) == max(minutes.values(), default=None)


_VALUES: dict[By, Callable[[UsageRecord], int | date]] = {
    By.MODEL: lambda row: row.model_id or 0,
    By.CAUSE: lambda row: row.cause,
    By.DAY: lambda row: row.created_at.astimezone(ZoneInfo("Asia/Kolkata")).date(),
}


def _until(alice: User, selection: Selection, looked: Looked) -> list[UUID]:
    """Page through what the header is of: no page reaches beyond it."""
    listed: list[UUID] = []
    cursor = Cursor()
    while True:
        page = own_records.listed(Scope.own(alice), selection, cursor, 7)
        listed += [row.id for row in page.rows]
        if page.older is None or page.older == looked.reached:
            return listed
        cursor = Cursor(older=page.older)


@anything
@given(
    start=TIMES,
    end=TIMES,
    models=st.sets(st.sampled_from(["m0", "m1"]), max_size=1),
    most=st.integers(1, 400),
)
def test_a_chart_counts_the_minutes_of_a_bounded_number_of_records(
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    start: datetime | None,
    end: datetime | None,
    models: set[str],
    most: int,
) -> None:
    monkeypatch.setattr(traffic, "MOST_COUNTED", most)
    selection, left, _ = select(alice, start, end, set(), models, set(), "everything")
    found = traffic.traffic(Scope.own(alice), replace(selection, bounds=Q()), NOON + SPAN)
    begins, ends = found.chosen.start, found.chosen.end
    assert begins is not None and ends is not None
    calls = [row for row in left if row.type in REQUEST_TYPES and begins <= row.created_at < ends]
    assert sum(bucket.requests for bucket in found.buckets) == len(calls)
    mine = UsageRecord.objects.filter(user_id__in=alice.ids)
    read = sum(begins <= row.created_at < ends for row in mine)
    assert read <= most or begins >= floor(ends - timedelta(microseconds=1), HOUR) or not found.is_part
    if found.is_part:
        whole = sum(row.created_at >= floor(begins - timedelta(microseconds=1), HOUR) for row in mine)
        assert whole > most, "no less than could be"
    else:
        assert begins == (start or begins)


@pytest.fixture(params=["as they are", "tiny"])
def other_bounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tiny":
        monkeypatch.setattr(lookback, "MOST_RECORDS", 30)
        monkeypatch.setattr(lookback, "MOST_ENTRIES", 60)
        monkeypatch.setattr(lookback, "MOST_SPANS", 3)
        monkeypatch.setattr(lookback, "MOST_DAYS", 2)


@anything
@pytest.mark.usefixtures("other_bounds")
@given(**FILTERS, size=st.integers(4, 30))
def test_going_on_finds_every_match_once_and_leads_back(
    alice: User,
    start: datetime | None,
    end: datetime | None,
    tokens: set[str],
    models: set[str],
    statuses: set[Status],
    bound: str,
    size: int,
) -> None:
    selection, left, meets = select(alice, start, end, tokens, models, statuses, bound)
    wanted = [row.id for row in left if meets(row)]
    down = list(_walk(alice, selection, size))
    assert [row.id for page in down for row in page.rows] == wanted
    up = {row.id for page in _back(alice, selection, size, down[-1]) for row in page.rows}
    assert up | {row.id for row in down[-1].rows} == set(wanted)
    every = list(lookback.steps(Scope.own(alice), selection, Cursor()))
    sums = [own_sums.added(own_sums.of_records(Scope.own(alice), selection, looked)) for looked in every]
    assert sum((one for one in sums), own_sums.NOTHING).records == len(wanted)
    for before, after in pairwise(every):
        assert before.reached is not None
        assert all(span.last <= before.reached for span in after.spans)


def _walk(alice: User, selection: Selection, size: int) -> Iterator[Page[UsageRecord]]:
    cursor = Cursor()
    for _ in range(700):
        page = own_records.page(Scope.own(alice), selection, cursor, size)
        assert isinstance(page, own_records.Found)
        assert len(page.rows) == size or page.older is None or page.looked is not None
        yield page
        if page.older is None:
            return
        cursor = Cursor(older=page.older)
    raise AssertionError("It does not end.")


def _back(
    alice: User, selection: Selection, size: int, last: Page[UsageRecord]
) -> Iterator[Page[UsageRecord]]:
    newer = last.newer
    for _ in range(700):
        if newer is None:
            return
        page = own_records.page(Scope.own(alice), selection, Cursor(newer=newer), size)
        yield page
        newer = page.newer
    raise AssertionError("It does not end.")
