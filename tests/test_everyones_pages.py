"""The console's pages of everybody's records: the same figures as plain Python over all records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import Q
from django.http import QueryDict

from accounts.models import AIModel, ApiToken, Gateway, User
from logs import exports
from logs.filters.asked import usage_filter
from logs.filters.usage_filter import UsageFilter
from logs.listing import failures, largest_records, own_records
from logs.models import CALLS, REQUEST_TYPES, Cause, RecordType, Status, UncountedDay, UsageRecord
from logs.models.events import Failure, UsageEvent
from logs.rollups import busy_hours, minute_sums, own_sums, pending, traffic
from logs.rollups.breakdown import By, breakdown
from logs.selection import lookback
from logs.selection.chosen import Selection
from logs.selection.largest import Sort
from routescope.data.keyset import Cursor
from routescope.data.ranges import DAY, HOUR, MINUTE, TimeRange, floor
from routescope.data.scopes import Scope, ScopeKind, Viewer
from tests.cast import NOON, event, store
from tests.sums import check_rollups

PEOPLE = ("alice@example.com", *(f"u{n}@example.com" for n in range(11)))
RANGE = TimeRange(NOON - timedelta(days=3, minutes=17), NOON + timedelta(days=2, hours=5, minutes=13))


def calls(seed: int, count: int) -> list[UsageEvent]:
    """Return calls of many people over a week, most of them of few."""
    rng = Random(seed)
    events = []
    for _number in range(count):
        failed = rng.random() < 0.2
        kind = rng.choices(list(RecordType), (20, 2, 1, 1))[0]
        events.append(
            event(
                user=PEOPLE[int(rng.random() ** 2 * len(PEOPLE))],
                minutes=rng.randrange(-7 * 1440, 7 * 1440),
                token=rng.choice(("prod", "prod", "ci", "")),
                model=rng.choice(("gpt-5", "gpt-5", "gpt-5", "rare")),
                group=rng.choice(("default", "vip")),
                type=kind,
                status=Status.ERROR if failed else Status.SUCCESS,
                error=Failure(type="rate_limit_error", message="Too many.")
                if failed and rng.random() < 0.5
                else None,
                http_status=500 if failed else 200,
                cost=None
                if rng.random() < 0.1
                else Decimal(rng.randrange(1, 10_000)) / 9973 // Decimal("1e-12") * Decimal("1e-12"),
                duration_ms=rng.choice((None, rng.randrange(50_000))),
                stream=rng.random() < 0.3,
                input_tokens=rng.randrange(5000),
                output_tokens=rng.randrange(900),
            )
        )
    return events


@pytest.fixture
def world(admin: User, gateway: Gateway) -> list[UsageRecord]:
    """All records: some folded into the sums, some waiting."""
    store(gateway, *calls(1, 500))
    pending.fold()
    store(gateway, *calls(2, 120))
    return list(UsageRecord.objects.order_by("-id"))


def everyone(admin: User) -> Scope:
    return Scope(Viewer.of(admin), None, ScopeKind.EVERYONE, "everyone", "Everyone")


def within(rows: Sequence[UsageRecord], chosen: TimeRange) -> list[UsageRecord]:
    return [row for row in rows if row.created_at in chosen]


def asked(admin: User, query: str) -> UsageFilter:
    return usage_filter(Viewer.of(admin), QueryDict(f"of=everyone&{query}"))


def ids(rows: Sequence[Any]) -> list[UUID]:
    return [row.id for row in rows]


def number(model: type[Any], **named: str) -> int:
    return int(model.objects.get(**named).pk)


def chosen_pairs(world: list[UsageRecord]) -> list[tuple[Selection, list[UsageRecord]]]:
    rare = number(AIModel, name="rare")
    group = world[0].group_id
    assert group is not None
    rows = within(world, RANGE)
    return [
        (Selection(RANGE), rows),
        (Selection(), world),
        (Selection(TimeRange(NOON, NOON + 7 * MINUTE)), within(world, TimeRange(NOON, NOON + 7 * MINUTE))),
        (Selection(RANGE, models=(rare,)), [row for row in rows if row.model_id == rare]),
        (
            Selection(RANGE, groups=(group,), statuses=(2,)),
            [r for r in rows if r.group_id == group and r.status == 2],
        ),
        (Selection(RANGE, statuses=(2,)), [row for row in rows if row.status == 2]),
        (Selection(RANGE, bounds=Q(stream=True)), [row for row in rows if row.stream]),
        (
            Selection(RANGE, models=(rare,), bounds=Q(stream=True)),
            [row for row in rows if row.stream and row.model_id == rare],
        ),
    ]


def test_the_figures_of_everybody_are_those_of_all_records(admin: User, world: list[UsageRecord]) -> None:
    scope = everyone(admin)
    for selection, rows in chosen_pairs(world):
        assert own_sums.totals(scope, selection) == own_sums.Totals.of(rows), selection
        listed: list[UUID] = []
        cursor = Cursor()
        while True:
            page = own_records.listed(scope, selection, cursor, 17)
            listed += ids(page.rows)
            if page.older is None:
                break
            cursor = Cursor(older=page.older)
        assert listed == ids(rows), selection
        back = own_records.page(scope, selection, Cursor(newer=rows[-1].id), 9) if len(rows) > 10 else None
        assert back is None or ids(back.rows) == ids(rows[-10:-1]), selection
        for by in By:
            lines = breakdown(scope, selection, by)
            added = sum((line.totals for line in lines), own_sums.NOTHING)
            assert added == own_sums.Totals.of(rows), (selection, by)
        by_person = {line.value: line.totals for line in breakdown(scope, selection, By.PERSON)}
        owners = {row.user_id for row in rows}
        assert by_person == {
            owner: own_sums.Totals.of([row for row in rows if row.user_id == owner]) for owner in owners
        }
    check_rollups()


def test_the_chart_of_everybody_counts_all_calls(admin: User, world: list[UsageRecord]) -> None:
    scope = everyone(admin)
    for selection, rows in chosen_pairs(world):
        if selection.chosen.start is None:
            continue
        told = [row for row in rows if row.type in REQUEST_TYPES]
        found = traffic.traffic(scope, selection, NOON)
        assert sum(bucket.requests for bucket in found.buckets) == len(told), selection
        assert sum(bucket.errors for bucket in found.buckets) == sum(row.is_error for row in told)
        assert sum(bucket.tokens for bucket in found.buckets) == sum(
            row.input_tokens + row.output_tokens for row in told
        )
        minutes = Counter(floor(row.created_at, MINUTE) for row in told)
        most = max(minutes.values(), default=0)
        peak = found.peak_rpm
        assert (peak.value if peak else 0) == most
        if peak:
            assert minutes[peak.at] == most and peak.at == min(at for at, n in minutes.items() if n == most)


def test_busy_hours_of_everybody_are_counted_and_stale_ones_anew(
    admin: User, gateway: Gateway, world: list[UsageRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy_hours, "BUSY", 2)
    scope, selection = everyone(admin), Selection(TimeRange(NOON - 7 * DAY, NOON + 7 * DAY))
    before = traffic.traffic(scope, selection, NOON)
    assert busy_hours.count(NOON + 8 * DAY, everything=True)
    assert traffic.traffic(scope, selection, NOON).buckets == before.buckets
    store(gateway, *calls(3, 60))
    pending.fold()
    with_more = traffic.traffic(scope, selection, NOON)
    told = UsageRecord.objects.filter(CALLS).count()
    assert sum(bucket.requests for bucket in with_more.buckets) == told
    busy_hours.count(NOON + 8 * DAY, everything=True)
    assert traffic.traffic(scope, selection, NOON).buckets == with_more.buckets


def test_minutes_of_before_they_were_kept_are_counted_day_by_day(
    admin: User, gateway: Gateway, world: list[UsageRecord]
) -> None:
    """As after an upgrade: nothing is known of minutes, and an older process goes on storing without them."""
    scope, selection = everyone(admin), Selection(RANGE)
    expected = own_sums.totals(scope, selection), traffic.traffic(scope, selection, NOON).buckets
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM usage_total_minute_folded; DELETE FROM usage_minute_pending")
        cursor.execute("UPDATE usage_pending SET has_minutes = false")
        cursor.execute("INSERT INTO usage_uncounted_day SELECT DISTINCT start FROM usage_day_folded")
    for _step in range(2):
        assert (
            own_sums.totals(scope, selection),
            traffic.traffic(scope, selection, NOON).buckets,
        ) == expected
        assert minute_sums.fill(timedelta(minutes=1))
        pending.fold()
    while minute_sums.is_filling():
        minute_sums.fill(timedelta(minutes=1))
    assert (own_sums.totals(scope, selection), traffic.traffic(scope, selection, NOON).buckets) == expected
    assert not UncountedDay.objects.exists()
    check_rollups()


def test_everybodys_list_is_sorted_by_size(admin: User, world: list[UsageRecord]) -> None:
    scope = everyone(admin)
    values: dict[Sort, Callable[[UsageRecord], Any]] = {
        Sort.COST: lambda row: row.cost,
        Sort.DURATION: lambda row: row.duration_ms,
        Sort.TOKENS: lambda row: row.input_tokens + row.output_tokens,
    }
    for selection, rows in chosen_pairs(world):
        for sort, value in values.items():
            wanted = sorted(
                (row for row in rows if value(row) is not None),
                key=lambda row: (value(row), row.id),
                reverse=True,
            )
            first = largest_records.listed(scope, selection, sort, Cursor(), 20)
            assert ids(first.rows) == ids(wanted[:20]), (selection, sort)
            if first.older:
                second = largest_records.listed(scope, selection, sort, first.onward, 20)
                assert ids(second.rows) == ids(wanted[20:40])
                assert ids(largest_records.listed(scope, selection, sort, second.back, 20).rows) == ids(
                    wanted[:20]
                )


def test_a_search_among_everybodys_goes_on_where_it_ended(
    admin: User, world: list[UsageRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookback, "MOST_RECORDS", 40)
    scope = everyone(admin)
    for selection, rows in chosen_pairs(world)[-2:]:
        looked = lookback.newest(scope, selection).looked
        assert looked is not None and looked.back_to is not None
        seen = [row for row in rows if row.created_at >= looked.back_to]
        assert own_sums.totals(scope, selection) == own_sums.Totals.of(seen)
        found: list[UUID] = []
        for step in lookback.steps(scope, selection, Cursor()):
            found += [
                one for _user, one in lookback.keys(scope, selection, step, newest_first=True, limit=99)
            ]
        assert found == ids(rows)


def test_people_and_tokens_narrow_everybodys(admin: User, world: list[UsageRecord]) -> None:
    alice = User.objects.get(email="alice@example.com")
    span = "range=all"
    named = set(ApiToken.objects.filter(name="ci").values_list("pk", flat=True))
    for query, rows in (
        (f"person={alice.pk}", [row for row in world if row.user_id == alice.pk]),
        ("token=ci", [row for row in world if row.token_id in named]),
        (
            f"token=ci&person={alice.pk}",
            [r for r in world if r.user_id == alice.pk and r.token_id in named],
        ),
        ("without=token", [row for row in world if row.token_id is None]),
        ("token=ci&without=token", [r for r in world if r.token_id is None or r.token_id in named]),
        ("token=nobodys", []),
        ("person=999999", []),
    ):
        filters = asked(admin, f"{span}&{query}")
        assert own_sums.totals(filters.scope, filters.selection) == own_sums.Totals.of(rows), query
        assert ids(own_records.listed(filters.scope, filters.selection, Cursor(), 1000).rows) == ids(rows), (
            query
        )
        assert filters.address.one("of") == "everyone"


def test_everybodys_errors_are_gathered(admin: User, world: list[UsageRecord]) -> None:
    failed = [row for row in world if row.status == Status.ERROR]
    found = failures.gathered(everyone(admin), Selection(statuses=(2,)))
    assert found.of == len(failed)
    limited = sum(row.cause == Cause.RATE_LIMIT for row in failed)
    assert sum(kind.count for kind in found.kinds if kind.newest.cause == Cause.RATE_LIMIT) == limited


def test_an_export_of_everybody_holds_what_the_page_lists(admin: User, world: list[UsageRecord]) -> None:
    for query, rows in (
        ("range=all", world),
        ("range=all&status=error", [row for row in world if row.status == 2]),
        ("range=all&stream=yes", [row for row in world if row.stream]),
    ):
        selected = exports.UsageSource().select(admin.pk, QueryDict(f"of=everyone&{query}"))
        assert sum(counted.rows for counted in selected.counts()) == len(rows)
        told: list[Any] = []
        before: UUID | None = None
        while True:
            last = None
            for block in selected.blocks(["request_id", "person"], before, 50):
                if block.rows:
                    told += zip(*block.values, strict=True)
                last = block.down_to
            if last is None:
                break
            before = last
        assert [one for one, _who in told] == [row.request_id for row in rows], query


def test_records_of_one_millisecond_are_all_listed_once(admin: User, gateway: Gateway) -> None:
    moment = NOON.replace(microsecond=1000)
    events = [event(user=f"p{n}", created_at=moment + timedelta(microseconds=n % 7)) for n in range(30)]
    store(gateway, *events, ties=True)
    scope = everyone(admin)
    for selection in (Selection(), Selection(statuses=(1,)), Selection(bounds=Q(endpoint=None))):
        listed: list[UUID] = []
        cursor = Cursor()
        while True:
            page = own_records.listed(scope, selection, cursor, 7)
            listed += ids(page.rows)
            if page.older is None:
                break
            cursor = Cursor(older=page.older)
        assert listed == sorted(listed, reverse=True) and len(set(listed)) == 30, selection
    newest = replace(Selection(), chosen=TimeRange(NOON - HOUR, NOON + HOUR))
    assert own_records.count_since(scope, newest, listed[-1], 100) == 29
