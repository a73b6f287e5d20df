"""Sums wait to be folded in, and busy hours are counted once: no figure ever shows it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from threading import Barrier, Thread

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from accounts.models import AIModel, Gateway, User
from logs.ingest import batches
from logs.listing import own_records
from logs.models import TrafficHour, UsageDay, UsageHour, UsagePending, UsageRecord
from logs.rollups import busy_hours, own_sums, pending, traffic
from logs.rollups.breakdown import By, breakdown
from logs.rollups.buckets import Peak
from logs.selection.chosen import Selection
from routescope.data.keyset import Cursor
from routescope.data.ranges import DAY, HOUR, MINUTE, TimeRange
from routescope.data.scopes import Scope
from tests.cast import NOON, event, store
from tests.sums import check_rollups

WEEKS = Selection(TimeRange(NOON - 10 * DAY, NOON + 20 * DAY))


def test_what_waits_counts_as_what_is_folded_in(alice: User, gateway: Gateway) -> None:
    store(gateway, *(event(minutes=20 * n, cost=Decimal("0.25")) for n in range(9)))
    before = own_sums.totals(Scope.own(alice), WEEKS)
    assert (before.records, before.cost) == (9, Decimal("2.25"))
    assert pending.fold() == UsageHour.objects.count() == 3
    assert UsagePending.objects.count() == 0
    store(gateway, event(minutes=1, cost=Decimal("0.25")))
    assert UsageHour.objects.count() == 4, "one hour in two rows, of which one waits"
    assert own_sums.totals(Scope.own(alice), WEEKS).cost == Decimal("2.5")
    check_rollups()
    assert UsageHour.objects.count() == 3


def test_a_sum_that_comes_down_to_nothing_is_seen_nowhere(alice: User, gateway: Gateway) -> None:
    first = event(model="first")
    store(gateway, first, *(event(model="second", minutes=60 + n) for n in range(3)))
    pending.fold()
    record = UsageRecord.objects.get(request_id=first.request_id)
    first.model, first.created_at = "second", NOON - timedelta(hours=3)
    with transaction.atomic():
        batches.complete(gateway, [(record, first)])
    for _ in ("while it waits", "folded in"):
        gone, other = (AIModel.objects.get(name=name).pk for name in ("first", "second"))
        assert {line.value for line in breakdown(Scope.own(alice), WEEKS, By.MODEL)} == {other}
        assert own_records.listed(Scope.own(alice), Selection(models=(gone,)), Cursor(), 5).rows == []
        assert len(own_records.listed(Scope.own(alice), Selection(models=(other,)), Cursor(), 5).rows) == 4
        check_rollups()


@pytest.mark.django_db(transaction=True)
def test_ingest_folds_after_many_rows_by_itself(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "FOLD_AT", 5)
    for n in range(30):
        store(gateway, event(minutes=60 * n))
        assert UsagePending.objects.count() < 5
    assert UsageDay.objects.aggregate(n=Sum("records"))["n"] == 30


@pytest.mark.django_db(transaction=True)
def test_whoever_finds_another_folding_leaves_it_to_that_one(
    gateway: Gateway,
) -> None:
    store(gateway, event())
    folded: list[int] = []

    def other() -> None:
        folded.append(pending.fold())
        connection.close()

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock({pending.LOCK})")
        thread = Thread(target=other)
        thread.start()
        thread.join()
    assert folded == [0]
    assert pending.fold() == 1


@pytest.mark.django_db(transaction=True)
def test_records_that_arrive_while_sums_are_folded_are_in_neither_twice(gateway: Gateway) -> None:
    failures: list[BaseException] = []
    start = Barrier(3)

    def put(number: int) -> None:
        try:
            start.wait()
            for n in range(20):
                store(gateway, *(event(user=f"u{number}", minutes=n, cost=Decimal(1)) for _ in range(10)))
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [Thread(target=put, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    start.wait()
    while any(thread.is_alive() for thread in threads):
        pending.fold()
        # What a reader sees at any moment is what is stored at that moment.
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            stored = UsageRecord.objects.count()
            assert (UsageHour.objects.aggregate(n=Sum("records"))["n"] or 0) == stored
    assert not failures
    assert UsageRecord.objects.count() == 400
    check_rollups()


def test_a_batch_that_is_half_known_is_stored_by_half(alice: User, gateway: Gateway) -> None:
    events = [event(minutes=n) for n in range(6)]
    store(gateway, *events[2:4])
    assert store(gateway, *events).accepted == 4
    assert store(gateway, *events, event(minutes=7)).accepted == 1
    assert UsageRecord.objects.count() == 7
    check_rollups()


def hours() -> dict[int, tuple[int, bool]]:
    return {(hour.start - NOON) // HOUR: (hour.requests, hour.is_stale) for hour in TrafficHour.objects.all()}


def test_busy_hours_are_counted_when_they_are_over_and_anew_when_records_come_late(
    alice: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy_hours, "BUSY", 3)
    store(gateway, *(event(minutes=n) for n in (0, 1, 2, 65, 120, 121, 121, 122)))
    now = NOON + 3 * HOUR
    assert busy_hours.count(now) == 2, "of Alice and of everybody: the third hour is not settled"
    assert hours() == {0: (3, False)}
    assert busy_hours.count(now + busy_hours.SETTLED) == 2
    assert hours() == {0: (3, False), 2: (4, False)}
    assert busy_hours.count(now + HOUR) == 0
    store(gateway, event(minutes=121))
    assert traffic.traffic(Scope.own(alice), WEEKS, now).peak_rpm == Peak(3, NOON + 121 * MINUTE)
    pending.fold()
    assert hours() == {0: (3, False), 2: (4, True)}
    assert traffic.traffic(Scope.own(alice), WEEKS, now).peak_rpm == Peak(3, NOON + 121 * MINUTE)
    # However long ago it was: what is stale is not looked for by its time.
    assert busy_hours.count(now + 40 * DAY) == 2
    assert hours() == {0: (3, False), 2: (5, False)}


def test_only_everything_counts_what_was_imported_long_after(
    alice: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy_hours, "BUSY", 3)
    store(gateway, *(event(minutes=60 * hour + n) for hour in range(30) for n in range(3)))
    now = NOON + 40 * DAY
    assert busy_hours.count(now) == 0
    assert busy_hours.count(now, everything=True) == 60
    assert hours() == dict.fromkeys(range(30), (3, False))
