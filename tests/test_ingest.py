"""The ingest service: stored once, summed exactly, nothing lost."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from accounts.models import ApiToken, Gateway, User, UserIdentity
from logs.models import (
    Cause,
    RecordType,
    Status,
    UsageDay,
    UsageHour,
    UsageRecord,
    UsageTotalDay,
    UsageTotalHour,
)
from logs.models.events import Failure, UsageEvent
from routescope.data import partitions
from routescope.data.scopes import Scope
from tests.cast import NOON, event, store

pytestmark = pytest.mark.django_db


def test_the_same_batch_twice_is_stored_and_summed_once(alice: User, gateway: Gateway) -> None:
    events = [event(minutes=minute, cost=Decimal("0.5")) for minute in range(10)]
    assert store(gateway, *events).accepted == 10
    again = store(gateway, *events, event(minutes=99, cost=Decimal("0.5")))
    assert (again.accepted, again.duplicates) == (1, 10)
    for rollup in (UsageHour, UsageDay, UsageTotalHour, UsageTotalDay):
        assert rollup.objects.aggregate(n=Sum("records"), cost=Sum("cost")) == {
            "n": 11,
            "cost": Decimal("5.5"),
        }


def test_a_record_twice_in_one_batch_is_one(alice: User, gateway: Gateway) -> None:
    twin = event()
    outcome = store(gateway, twin, twin)
    assert (outcome.accepted, outcome.duplicates) == (1, 1)
    assert UsageHour.objects.get().records == 1


def test_two_gateways_may_use_the_same_request_id(alice: User, gateway: Gateway) -> None:
    other = Gateway.objects.create(name="other")
    twin = event()
    assert store(gateway, twin).accepted == store(other, twin, ties=True).accepted == 1


def test_a_refund_stands_beside_the_request_it_refunds(alice: User, gateway: Gateway) -> None:
    store(gateway, event(request_id="r", cost=Decimal(2)))
    store(gateway, event(request_id="r", cost=Decimal(-2), type=RecordType.REFUND))
    assert UsageRecord.objects.count() == 2
    assert UsageDay.objects.aggregate(Sum("cost"))["cost__sum"] == 0


def test_a_record_without_a_price_is_counted_as_unpriced(alice: User, gateway: Gateway) -> None:
    store(gateway, event(model="house-model", cost=None), event(cost=Decimal(0)))
    assert UsageHour.objects.aggregate(Sum("unpriced"), Sum("records")) == {
        "unpriced__sum": 1,
        "records__sum": 2,
    }


def test_names_are_provisioned_on_first_sight_and_found_again(gateway: Gateway) -> None:
    store(gateway, event(user="team-7", token="t", model="m", group="g"))
    store(gateway, event(user="team-7", token="t", model="m", group="g"))
    user = UserIdentity.objects.get(gateway=gateway, name="team-7").user
    assert (user.name, user.email, user.is_active, user.is_provisioned) == ("team-7", None, False, True)
    assert not user.has_usable_password()
    assert UsageRecord.objects.visible_to(Scope.own(user)).count() == 2
    record = UsageRecord.objects.select_related("token", "model", "group").first()
    assert record is not None
    assert [str(record.token), str(record.model), str(record.group)] == ["t", "m", "g"]


def test_an_email_address_is_the_person_who_has_it(alice: User, gateway: Gateway) -> None:
    store(gateway, event(user="Alice@Example.com"))
    assert UsageRecord.objects.visible_to(Scope.own(alice)).count() == 1


def test_records_that_name_nobody_belong_to_one_user_per_gateway(gateway: Gateway) -> None:
    store(gateway, event(user="", token="", model="", group=""), event(user="", token=""))
    user = User.objects.get()
    assert "edge" in user.name
    assert UsageRecord.objects.visible_to(Scope.own(user)).count() == 2
    assert set(UsageHour.objects.values_list("token_id", flat=True)) == {0}


def test_two_users_may_each_have_a_token_of_the_same_name(gateway: Gateway) -> None:
    store(gateway, event(user="a", token="default"), event(user="b", token="default"))
    assert ApiToken.objects.filter(name="default").count() == 2


def test_an_admins_mapping_decides_where_new_records_go(alice: User, bob: User, gateway: Gateway) -> None:
    store(gateway, event(user="alice@example.com"))
    UserIdentity.objects.filter(name="alice@example.com").update(user=bob)
    store(gateway, event(user="alice@example.com"))
    assert (
        UsageRecord.objects.visible_to(Scope.own(alice)).count()
        == UsageRecord.objects.visible_to(Scope.own(bob)).count()
        == 1
    )


@pytest.mark.parametrize("ahead", [timedelta(hours=25), timedelta(days=-365 * 8)])
def test_a_record_outside_the_accepted_time_is_refused_alone(
    alice: User, gateway: Gateway, ahead: timedelta
) -> None:
    outcome = store(gateway, event(created_at=timezone.now() + ahead), event())
    assert (outcome.accepted, len(outcome.rejected)) == (1, 1)
    assert outcome.rejected[0].index == 0
    assert outcome.rejected[0].error.startswith("created_at")


def test_a_clock_a_little_ahead_is_accepted(alice: User, gateway: Gateway) -> None:
    assert store(gateway, event(created_at=timezone.now() + timedelta(hours=23))).accepted == 1


@pytest.mark.parametrize(
    "broken",
    [{"ip": "not an address"}, {"parameters": {"x": 10**200_000}}, {"http_status": 70_000}],
)
def test_a_value_that_the_database_refuses_costs_no_other_record(
    alice: User, gateway: Gateway, broken: dict[str, Any]
) -> None:
    events = [event(minutes=minute) for minute in range(7)]
    events[4] = event(**broken)
    outcome = store(gateway, *events)
    assert outcome.accepted == 6
    assert [(rejection.index, rejection.request_id) for rejection in outcome.rejected] == [
        (4, events[4].request_id)
    ]
    assert UsageHour.objects.aggregate(Sum("records"))["records__sum"] == 6


def test_times_keep_their_microseconds(alice: User, gateway: Gateway) -> None:
    moment = NOON.replace(microsecond=123456)
    store(gateway, event(created_at=moment))
    assert UsageRecord.objects.get().created_at == moment


def test_months_get_partitions_of_their_own(alice: User, gateway: Gateway) -> None:
    store(gateway, event(created_at=NOON.replace(year=2024, month=2)), event())
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM usage_record ORDER BY id")
        assert [name for (name,) in cursor.fetchall()] == ["usage_record_2024_02", "usage_record_2026_03"]


def test_strays_move_into_their_partition_when_it_is_made(alice: User, gateway: Gateway) -> None:
    store(gateway, event())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE usage_record DETACH PARTITION usage_record_2026_03")
        cursor.execute("INSERT INTO usage_record SELECT * FROM usage_record_2026_03")
        cursor.execute("DROP TABLE usage_record_2026_03")
        cursor.execute("SELECT count(*) FROM usage_record_default")
        assert cursor.fetchone() == (1,)
    assert partitions.ensure("usage_record", {partitions.Month.of(NOON)}) == ["usage_record_2026_03"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM usage_record_default")
        assert cursor.fetchone() == (0,)
    assert UsageRecord.objects.count() == 1


@pytest.mark.parametrize(
    ("http_status", "failure", "cause"),
    [
        (429, Failure(code="insufficient_quota"), Cause.BALANCE),
        (429, Failure(type="rate_limit_error"), Cause.RATE_LIMIT),
        (400, Failure(code="context_length_exceeded"), Cause.CONTEXT_LENGTH),
        (401, None, Cause.PERMISSION),
        (None, Failure(message="?"), Cause.UNKNOWN),
    ],
)
def test_a_failed_call_is_stored_with_its_cause(
    alice: User, gateway: Gateway, http_status: int | None, failure: Failure | None, cause: Cause
) -> None:
    store(gateway, event(status=Status.ERROR, http_status=http_status, error=failure))
    assert UsageRecord.objects.get().cause == cause
    assert UsageHour.objects.get().cause == cause


@pytest.mark.django_db(transaction=True)
def test_overlapping_batches_in_parallel_end_with_exact_sums() -> None:
    gateway = Gateway.objects.create(name="edge")
    events = [
        event(
            user=f"u{number % 3}",
            token=f"t{number % 4}",
            model=f"m{number % 5}",
            minutes=number,
            cost=Decimal(1),
        )
        for number in range(600)
    ]
    failures: list[BaseException] = []

    def send(batches: list[list[UsageEvent]]) -> None:
        try:
            for batch in batches:
                store(gateway, *batch)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    forwards = [events[start : start + 100] for start in range(0, 600, 50)]
    threads = [Thread(target=send, args=(batches,)) for batches in (forwards, forwards[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert UsageRecord.objects.count() == 600
    for rollup in (UsageHour, UsageDay, UsageTotalHour, UsageTotalDay):
        assert rollup.objects.aggregate(n=Sum("records"), cost=Sum("cost")) == {
            "n": 600,
            "cost": Decimal(600),
        }
