"""The demo: believable, exact, the same every time, and safe to load again."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count, F, Sum
from pytest_django.fixtures import Settings
from time_machine import TimeMachineFixture

from accounts.models import ApiToken, Gateway, Group, User
from accounts.sign_in.demo_accounts import DEMO_PASSWORD
from logs.causes.judging import judge
from logs.ingest import batches
from logs.ingest.formats import native
from logs.models import Cause, RecordType, Status, UsageRecord
from logs.models.events import UsageEvent
from logs.rollups.own_sums import totals
from logs.selection.chosen import Selection
from routescope.data.ranges import DAY, HOUR, floor
from routescope.demo import (
    DEMO_ADMIN_EMAIL,
    DEMO_GATEWAY,
    DEMO_USER_EMAIL,
    failures,
    history,
    wire,
)
from routescope.demo.calls import Caller
from routescope.demo.cast import TOKENS, WORKLOADS
from routescope.demo.days import Tally, records_by_day
from routescope.demo.history import load
from routescope.demo.media import SERVICES, Order, orders
from routescope.demo.prices import MODELS
from routescope.demo.traffic import Traffic, ended, scale_for, welcome
from tasks.models import OPEN_STATUSES, UNSUCCESSFUL_STATUSES, AsyncTask, TaskEvent, TaskStatus

END = datetime(2026, 3, 11, 16, 20, tzinfo=UTC)
FIVE_DAYS = Traffic(floor(END - 5 * DAY, HOUR), END, 0.67)
RECORDS, DAYS = 2_000, 6
NOW = END
"""Traffic is dense at 16:20 UTC of a Wednesday. What so small a demo holds differs from day to day."""


@pytest.fixture(scope="module")
def sample() -> list[UsageEvent]:
    """Five days of the demo at its usual scale, as events: no database."""
    return [event for day in records_by_day(FIVE_DAYS, FIVE_DAYS.begin, END) for event in day]


@pytest.fixture
def now(db: None) -> datetime:
    """The time up to which a small demo is loaded."""
    load(RECORDS, DAYS, NOW)
    return NOW


def everything() -> dict[str, int]:
    return Counter(UsageRecord.objects.values_list("id", flat=True)) | Counter(
        AsyncTask.objects.values_list("id", flat=True)
    )


# --- What it is like ---------------------------------------------------------------------------------------


def test_an_hour_is_always_the_same_and_streams_share_nothing() -> None:
    hour = floor(END - 3 * HOUR, HOUR)
    again = Traffic(FIVE_DAYS.begin, END, 0.67)
    assert FIVE_DAYS.hour(hour) == again.hour(hour)
    live = Traffic(FIVE_DAYS.begin, END, 0.67, "live").hour(hour)
    assert not {event.request_id for event in live} & {event.request_id for event in again.hour(hour)}


def test_the_scale_gives_as_many_records_as_asked_for() -> None:
    begin = floor(END - 90 * DAY, HOUR)
    traffic = Traffic(begin, END, scale_for(10_000, begin, END))
    hours = range((END - begin) // HOUR + 1)
    count = sum(len(traffic.hour(begin + number * HOUR)) for number in hours)
    assert count == pytest.approx(10_000, rel=0.1)


def test_the_demo_user_has_thousands_of_records_in_the_last_day(sample: list[UsageEvent]) -> None:
    day = [event for event in sample if event.user == DEMO_USER_EMAIL and event.created_at > END - DAY]
    assert 3_000 < len(day) < 9_000
    assert max(ended(event) for event in sample) <= END
    # No gap: at this hour of the afternoon a call ends every few seconds.
    assert max(ended(event) for event in day) > END - timedelta(minutes=3)


def test_every_cost_is_the_exact_sum_of_its_receipt(sample: list[UsageEvent]) -> None:
    receipts = [event for event in sample if event.billing and "lines" in event.billing]
    assert len(receipts) > 0.95 * len(sample)
    for event in receipts:
        assert event.billing is not None
        ratio = Decimal(event.billing["group_ratio"])
        total = Decimal(0)
        for line in event.billing["lines"]:
            amount = line["quantity"] * Decimal(line["unit_price"]) * ratio / line["per"]
            assert amount == Decimal(line["amount"])
            total += amount
        assert event.cost == total
        assert event.cost == event.cost.quantize(Decimal("1e-12"))


def test_each_token_is_charged_once_by_its_kind(sample: list[UsageEvent]) -> None:
    for event in sample:
        if event.type is RecordType.REQUEST and event.billing:
            charged = {line["item"]: line["quantity"] for line in event.billing["lines"]}
            written, audio = event.cache_write_tokens or 0, event.audio_input_tokens or 0
            inward = ("input", "cached_input", "cache_write", "audio_input")
            assert sum(charged.get(kind, 0) for kind in inward) == event.input_tokens
            assert (charged.get("cached_input", 0), charged.get("cache_write", 0)) == (
                event.cached_tokens,
                written,
            )
            assert charged.get("audio_input", 0) == audio
            assert charged.get("output", 0) + charged.get("audio_output", 0) == event.output_tokens


def test_counts_and_times_fit_each_other(sample: list[UsageEvent]) -> None:
    for event in sample:
        assert event.cached_tokens + (event.cache_write_tokens or 0) <= event.input_tokens
        assert (event.reasoning_tokens or 0) <= event.output_tokens
        assert event.input is None and event.output is None, "content is never sent"
        if event.ttft_ms is not None:
            assert event.stream and event.duration_ms is not None and event.ttft_ms < event.duration_ms
        if event.type is RecordType.REQUEST and event.status is Status.SUCCESS:
            assert event.http_status == 200 and event.error is None and event.cost
            assert event.model in MODELS


def test_gateways_limits_hold_by_the_minute(sample: list[UsageEvent]) -> None:
    limits = {(token.user, token.name): token for token in TOKENS}
    calls: Counter[tuple[str, str, datetime]] = Counter()
    refused: set[tuple[str, str, datetime]] = set()
    for event in sample:
        if event.type is not RecordType.REQUEST:
            continue
        minute = (event.user, event.token, event.created_at.replace(second=0, microsecond=0))
        if event.error is not None and (event.error.message or "").startswith("Rate limit reached: "):
            refused.add(minute)
        else:
            calls[minute] += 1
    for (user, name, _), count in calls.items():
        assert count <= (limits[user, name].rpm or count)
    storefront = [minute for minute in refused if minute[:2] == (DEMO_USER_EMAIL, "storefront-assistant")]
    assert storefront, "some minutes go over a limit"
    assert max(calls[minute] for minute in storefront) == 60


def test_errors_of_every_cause_are_there(sample: list[UsageEvent]) -> None:
    causes = {judge(event) for event in sample if event.status is Status.ERROR}
    assert causes == set(Cause) - {Cause.NONE}
    failed = [event for event in sample if event.status is Status.ERROR]
    assert 0.005 < len(failed) / len(sample) < 0.04
    assert any(event.attempts and event.status is Status.SUCCESS for event in sample)


def test_each_answer_is_judged_as_it_is_meant() -> None:
    caller = Caller(WORKLOADS[0])
    for cause, answers in failures.ANSWERS.items():
        for answer in (answer for by in answers.values() for answer in by):
            rng = random.Random(1)
            event = caller.call(rng, END)
            failures.fail(rng, event, answer)
            assert judge(event) is cause, answer


def test_refunds_give_back_what_a_failed_call_was_charged(sample: list[UsageEvent]) -> None:
    calls = {
        event.request_id: event for event in sample if event.type in (RecordType.REQUEST, RecordType.TASK)
    }
    refunds = [event for event in sample if event.type is RecordType.REFUND]
    assert refunds
    for refund in refunds:
        call = calls[refund.request_id]
        assert refund.cost is not None and refund.cost < 0 and -refund.cost == call.cost
        assert refund.created_at > call.created_at
        assert (refund.user, refund.token, refund.group, refund.model) == (
            call.user,
            call.token,
            call.group,
            call.model,
        )
    assert len({refund.request_id for refund in refunds}) == len(refunds)


def test_nothing_leads_outside_the_addresses_made_for_examples(sample: list[UsageEvent]) -> None:
    for event in sample:
        address = event.ip or "192.0.2.1"
        assert address.startswith(("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:")), address
    for service in SERVICES:
        for link in service.result:
            assert link.startswith("https://")
            assert link.split("/")[2].endswith((".example.com", ".example.net", ".example.org"))


def test_what_is_sent_is_what_is_meant(sample: list[UsageEvent]) -> None:
    part = sample[:6_000]
    decoded = native.decode(wire.ndjson([wire.record(event) for event in part]))
    assert not decoded.rejected
    assert [event for _, event in decoded.events] == part


# --- Loading it --------------------------------------------------------------------------------------------


def test_people_can_sign_in_and_users_of_the_gateway_cannot(now: datetime) -> None:
    user = User.objects.get(email=DEMO_USER_EMAIL)
    admin = User.objects.get(email=DEMO_ADMIN_EMAIL)
    assert user.check_password(DEMO_PASSWORD) and not user.is_staff
    assert admin.check_password(DEMO_PASSWORD) and admin.is_superuser
    others = User.objects.exclude(pk__in=(user.pk, admin.pk))
    assert others.count() == 6
    assert all(other.is_provisioned and not other.has_usable_password() for other in others)
    storefront = ApiToken.objects.get(owner=user, name="storefront-assistant")
    assert (storefront.rpm_limit, storefront.tpm_limit) == (60, 200_000)
    assert Group.objects.get(name="vip").ratio == Decimal("0.8")
    assert not Gateway.objects.get(name=DEMO_GATEWAY).ingest_keys.exists()


def test_the_records_reach_from_the_first_day_up_to_now(now: datetime) -> None:
    times = UsageRecord.objects.order_by("created_at").values_list("created_at", flat=True)
    first, last = times[0], times.reverse()[0]
    assert floor(now - DAYS * DAY, HOUR) <= first < now - DAYS * DAY + DAY
    assert now - HOUR < last <= now
    # So small a demo has one or two bursts of a hundred calls: one more or less is chance.
    assert times.count() == pytest.approx(RECORDS, rel=0.15)


def test_sums_agree_with_the_records(now: datetime) -> None:
    for user in User.objects.filter(api_tokens__isnull=False).distinct():
        sums = totals(user, Selection())
        raw = UsageRecord.objects.visible_to(user).aggregate(
            records=Count("id"), tokens=Sum("input_tokens"), cost=Sum("cost")
        )
        assert (sums.records, sums.input_tokens, sums.cost) == (raw["records"], raw["tokens"], raw["cost"])


def test_loading_again_adds_nothing(now: datetime) -> None:
    before = everything()
    assert load(RECORDS, DAYS, now).records.accepted == 0
    assert everything() == before


def test_a_later_load_fills_the_gap(db: None) -> None:
    load(RECORDS, DAYS, NOW - 9 * HOUR)
    before = everything()
    later = load(RECORDS, DAYS, NOW)
    assert later.records.accepted > 30
    added = UsageRecord.objects.exclude(id__in=before)
    assert added.count() == later.records.accepted
    assert min(added.values_list("created_at", flat=True)) > NOW - 10 * HOUR
    assert max(added.values_list("created_at", flat=True)) > NOW - HOUR
    assert load(RECORDS, DAYS, NOW).records.accepted == 0


def test_a_load_that_was_interrupted_is_completed(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    store, stored = batches.store, 0

    def cut_off(*args: object, **kwargs: object) -> batches.Outcome:
        nonlocal stored
        stored += 1
        if stored == 4:
            raise KeyboardInterrupt
        return store(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("routescope.demo.days.BATCH", 200)
    monkeypatch.setattr(batches, "store", cut_off)
    with pytest.raises(KeyboardInterrupt):
        load(RECORDS, DAYS, NOW)
    interrupted = everything()
    load(RECORDS, DAYS, NOW + timedelta(minutes=1))
    assert interrupted.keys() < everything().keys()
    begin = floor(NOW - DAYS * DAY, HOUR)
    traffic = Traffic(begin, NOW, scale_for(RECORDS, begin, NOW))
    days = records_by_day(traffic, begin, NOW)
    whole = {event.request_id for day in days for event in day}
    assert whole <= set(UsageRecord.objects.values_list("request_id", flat=True))


@pytest.mark.django_db(transaction=True)
def test_two_processes_store_what_one_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_WORTH_A_PROCESS", 1)
    monkeypatch.setattr(history, "cores", lambda: 2)
    loaded = load(RECORDS, DAYS, NOW)
    begin = floor(NOW - DAYS * DAY, HOUR)
    traffic = Traffic(begin, NOW, scale_for(RECORDS, begin, NOW))
    whole = [event for day in records_by_day(traffic, begin, NOW) for event in day]
    stored = UsageRecord.objects.exclude(request_id=welcome(NOW).request_id)
    assert sorted(stored.values_list("request_id", "type")) == sorted(
        (event.request_id, event.type) for event in whole
    )
    assert loaded.records == Tally(accepted=len(whole) + 1)
    assert load(RECORDS, DAYS, NOW).records == Tally()


def test_it_is_not_loaded_where_others_can_reach_it(db: None, settings: Settings) -> None:
    settings.ONLY_THIS_MACHINE = False
    with pytest.raises(CommandError, match="passwords of its user and its admin are known to everyone"):
        call_command("load_demo")
    assert not User.objects.exists()


def test_the_command_says_what_it_did(db: None, time_machine: TimeMachineFixture) -> None:
    # A call that ends between the two loads would be loaded by the second one.
    time_machine.move_to(NOW, tick=False)
    said = StringIO()
    call_command("load_demo", records=300, days=2, stdout=said)
    call_command("load_demo", records=300, days=2, stdout=said)
    assert " demo records and " in said.getvalue()
    assert "The demo is loaded already, up to now." in said.getvalue()
    assert f"{DEMO_USER_EMAIL} or {DEMO_ADMIN_EMAIL}, password {DEMO_PASSWORD}" in said.getvalue()


# --- Tasks -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ordered() -> list[Order]:
    """The tasks of 90 days."""
    traffic = Traffic(floor(END - 90 * DAY, HOUR), END, 0.67)
    return list(orders(traffic, traffic.begin, END))


def test_a_few_hundred_tasks_come_in_every_kind_and_end(ordered: list[Order]) -> None:
    assert 300 < len(ordered) < 600
    assert {order.status(END) for order in ordered} == set(TaskStatus)
    assert {order.service.model for order in ordered} == {service.model for service in SERVICES}
    for order in ordered:
        assert order.submitted_at < order.started_at < order.finished_at
        if order.outcome in UNSUCCESSFUL_STATUSES:
            assert order.refund == order.cost


def test_platforms_and_their_words_are_those_of_the_catalogue(db: None, ordered: list[Order]) -> None:
    from tasks.providers.catalogue import catalogue

    for service in SERVICES:
        assert service.platform in catalogue().by_slug


def test_tasks_and_their_records_lead_to_each_other(now: datetime) -> None:
    tasks = AsyncTask.objects.all()
    assert tasks.count() > 4
    for task in tasks:
        charge = UsageRecord.objects.get(task_id=task.task_id, type=RecordType.TASK)
        assert (charge.id, charge.request_id, charge.cost) == (
            task.charge_record_id,
            task.request_id,
            task.cost,
        )
        refund = UsageRecord.objects.filter(task_id=task.task_id, type=RecordType.REFUND).first()
        assert (refund.id if refund else None) == task.refund_record_id
        assert (refund.cost if refund else None) == (-task.refund if task.refund else None)
        assert task.next_poll_at is None, "there is no provider to ask"


def test_open_tasks_move_on_with_the_next_load(now: datetime) -> None:
    waiting = set(AsyncTask.objects.filter(status__in=OPEN_STATUSES).values_list("pk", flat=True))
    final = AsyncTask.objects.exclude(pk__in=waiting)
    before = list(final.order_by("pk").values())
    assert waiting
    load(RECORDS, DAYS, now + 12 * HOUR)
    assert list(final.order_by("pk").filter(submitted_at__lt=now).exclude(pk__in=waiting).values()) == before
    moved = AsyncTask.objects.filter(pk__in=waiting)
    assert not moved.filter(status__in=(TaskStatus.QUEUED, TaskStatus.RUNNING)).exists()
    ends = TaskEvent.objects.filter(task__in=waiting, key="demo:finished", after=F("task__status"))
    assert ends.count() == len(waiting)
