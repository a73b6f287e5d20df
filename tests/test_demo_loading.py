"""Loading the demo through the API: all of it once, newest days first, and on from where it stopped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.db.models import Count, F, Sum
from pytest_django.fixtures import Settings as SettingsWrapper
from time_machine import TimeMachineFixture

from accounts.models import ApiToken, Delivery, Gateway, Group, User
from accounts.sign_in.demo_accounts import DEMO_PASSWORD
from logs.models import RecordType, UsageRecord
from logs.rollups.own_sums import totals
from logs.selection.chosen import Selection
from routescope.data.ranges import DAY, HOUR, floor
from routescope.data.scopes import Scope
from routescope.demo import DEMO_ADMIN_EMAIL, DEMO_GATEWAY, DEMO_USER_EMAIL, by_hand, loading, wire
from routescope.demo.delivery import AwayError, DeliveryAnswer, DeliveryRefusedError
from routescope.demo.history import Stretch
from routescope.demo.loading import Tally
from routescope.demo.management.commands import load_demo
from routescope.demo.wire import Message
from routescope.web import notices
from tasks.models import OPEN_STATUSES, AsyncTask, EventKind, EventReason, TaskEvent, TaskStatus
from tests.cast import signed_in
from tests.demo_cast import Demo, Door, demo, objects

__all__ = ["demo"]

RECORDS, DAYS = 2_000, 6
NOW = datetime(2026, 3, 11, 16, 20, tzinfo=UTC)
"""Traffic is dense at 16:20 UTC of a Wednesday. What so small a demo holds differs from day to day."""
MINUTE = timedelta(minutes=1)


@pytest.fixture
def now(demo: Demo) -> datetime:
    """The time up to which a small demo is loaded."""
    assert demo.load(RECORDS, DAYS, NOW).refused == 0
    return NOW


def everything() -> dict[str, int]:
    return Counter(UsageRecord.objects.values_list("id", flat=True)) | Counter(
        AsyncTask.objects.values_list("id", flat=True)
    )


def whole(now: datetime = NOW) -> set[tuple[str, int]]:
    """Return the request IDs and types of all records of the history."""
    past = Stretch(now, None, now, RECORDS, DAYS)
    records = (record for day in past.days_newest_first() for record in past.records_of(day))
    return {(record.request_id, RecordType[record.type.upper()]) for record in records}


def stored() -> set[tuple[str, int]]:
    return set(UsageRecord.objects.values_list("request_id", "type"))


def test_the_operator_makes_people_and_limits_and_nothing_that_a_gateway_sends(demo: Demo) -> None:
    by_hand.make_cast(NOW)
    assert not UsageRecord.objects.exists() and not AsyncTask.objects.exists()
    assert by_hand.make_cast(NOW + DAY).created_at == NOW, "once"


def test_people_can_sign_in_and_users_of_the_gateway_cannot(now: datetime, demo: Demo) -> None:
    user = User.objects.get(email=DEMO_USER_EMAIL)
    admin = User.objects.get(email=DEMO_ADMIN_EMAIL)
    assert user.check_password(DEMO_PASSWORD) and not user.is_staff
    assert admin.check_password(DEMO_PASSWORD) and admin.is_superuser
    others = User.objects.exclude(pk__in=(user.pk, admin.pk))
    assert others.count() == 6
    assert all(other.is_provisioned and not other.has_usable_password() for other in others)
    assert {other.name for other in others if other.email is None} == {
        "agents-lab",
        "billing-service",
        "trial-4821",
    }
    assert Group.objects.get(name="vip").ratio == Decimal("0.8")


def test_tokens_have_their_limits_once_records_name_them(now: datetime) -> None:
    tokens = {(str(token.owner), token.name): token for token in ApiToken.objects.select_related("owner")}
    assert len(tokens) == 17 and all(UsageRecord.objects.values_list("token", flat=True))
    storefront = tokens["Demo user", "storefront-assistant"]
    assert (storefront.rpm_limit, storefront.tpm_limit) == (60, 200_000)
    assert storefront.group and storefront.group.name == "vip"
    assert storefront.created_at == NOW - 15 * DAY and storefront.masked_key.startswith("sk-…")
    assert UsageRecord.objects.filter(token=storefront).exists()
    assert tokens["Demo user", "old-prototype"].status == ApiToken.Status.DISABLED
    assert tokens["trial-4821", "default"].status == ApiToken.Status.EXHAUSTED


def test_the_records_reach_from_the_first_day_up_to_now(now: datetime) -> None:
    times = UsageRecord.objects.order_by("created_at").values_list("created_at", flat=True)
    first, last = times[0], times.reverse()[0]
    assert floor(now - DAYS * DAY, HOUR) <= first < now - DAYS * DAY + DAY
    assert now - HOUR < last <= now
    # So small a demo has one or two bursts of a hundred calls: one more or less is chance.
    assert times.count() == pytest.approx(RECORDS, rel=0.15)
    assert stored() == whole()


def test_sums_agree_with_the_records(now: datetime) -> None:
    for user in User.objects.filter(api_tokens__isnull=False).distinct():
        sums = totals(Scope.own(user), Selection())
        raw = UsageRecord.objects.visible_to(Scope.own(user)).aggregate(
            records=Count("id"), tokens=Sum("input_tokens"), cost=Sum("cost")
        )
        assert (sums.records, sums.input_tokens, sums.cost) == (raw["records"], raw["tokens"], raw["cost"])


# --- In which order, and how far ---------------------------------------------------------------------------


def test_newest_days_come_first_and_tasks_after_what_they_were_charged(demo: Demo) -> None:
    by_hand.make_cast(NOW)
    door = Door(demo.gateway)
    demo.load(RECORDS, DAYS, NOW, door.send)
    days = [
        {record["created_at"][:10] for record in objects([message], "POST", "/api/v1/usage")}
        for message in door.came
        if message.path == "/api/v1/usage"
    ]
    newest = [max(day) for day in days]
    assert newest == sorted(newest, reverse=True) and newest[0] == "2026-03-11" and len(days) >= DAYS
    charged: set[str] = set()
    for message in door.came:
        charged |= {record.get("task_id", "") for record in objects([message], "POST", "/api/v1/usage")}
        assert {task["task_id"] for task in objects([message], "POST", "/api/v1/tasks")} <= charged


def test_a_day_comes_in_batches(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "BATCH", 100)
    by_hand.make_cast(NOW)
    door = Door(demo.gateway)
    demo.load(RECORDS, DAYS, NOW, door.send)
    assert max(message.objects for message in door.came) == 100
    assert stored() == whole()


def test_pages_say_how_far_it_is_until_it_is_done(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_EVERY", 0.0)
    by_hand.make_cast(NOW)
    send, shares = Door(demo.gateway).send, []
    browser = signed_in(User.objects.get(email=DEMO_USER_EMAIL))
    pages: list[str] = []

    def watched(message: Message) -> DeliveryAnswer:
        said = notices.current()
        assert said is not None and said.text == "Loading demo history" and said.percent is not None
        shares.append(said.percent)
        if not pages and said.percent > 40:
            pages.append(browser.get("/records/usage/").content.decode())
        return send(message)

    demo.load(RECORDS, 40, NOW, watched)
    assert shares == sorted(shares) and shares[0] == 0 and 80 < shares[-1] <= 100
    assert "Loading demo history" in pages[0] and "<progress" in pages[0]
    assert notices.current() is None


def test_no_page_says_so_after_a_load_that_failed(demo: Demo) -> None:
    def refused(message: Message) -> DeliveryAnswer:
        raise DeliveryRefusedError("401 Unauthorized")

    with pytest.raises(DeliveryRefusedError):
        demo.load(RECORDS, DAYS, NOW, refused)
    assert notices.current() is None


def test_what_is_refused_is_counted_and_why(demo: Demo, settings: SettingsWrapper) -> None:
    settings.RECORD_RETENTION_MONTHS = 1
    # Neither a month nor two are so long.
    loaded = demo.load(900, 75, datetime.now(UTC))
    assert loaded.records.accepted and loaded.refused
    assert "are kept here" in loaded.first_refusal
    said = StringIO()
    load_demo.Command(stdout=said)._tell(loaded, 1.0, 0)
    assert f"{loaded.refused:,} were refused, the first: {loaded.first_refusal}\n" in said.getvalue()


# --- Again, later, and after an interruption ---------------------------------------------------------------


def test_loading_again_adds_nothing(now: datetime, demo: Demo) -> None:
    before = everything()
    again = demo.load(RECORDS, DAYS, now + MINUTE)
    assert (again.records, again.tasks, again.start) == (Tally(), 0, None)
    assert everything() == before


def test_without_the_book_all_is_sent_again_and_counted_as_here_already(
    now: datetime, demo: Demo, time_machine: TimeMachineFixture
) -> None:
    before, events = everything(), TaskEvent.objects.count()
    Delivery.objects.update(last_at=now)
    demo.forget()
    again = demo.load(RECORDS, DAYS, now + MINUTE)
    assert again.records == Tally(duplicates=len(whole())) and again.tasks == 0
    assert everything() == before and TaskEvent.objects.count() == events
    sent = Delivery.objects.filter(gateway=demo.gateway, endpoint="/api/v1/usage")
    assert sum(sent.values_list("duplicates", flat=True)) == len(whole())


def test_without_the_book_a_gap_begins_when_the_gateway_last_sent(now: datetime, demo: Demo) -> None:
    before = stored()
    Delivery.objects.update(last_at=now + 2 * HOUR)
    demo.forget()
    demo.load(RECORDS, DAYS, now + 9 * HOUR)
    added = UsageRecord.objects.exclude(request_id__in={request_id for request_id, _ in before})
    assert added.count() > 10
    assert min(added.values_list("created_at", flat=True)) > now + HOUR


def test_the_book_of_another_gateway_is_none_of_ours(now: datetime, demo: Demo) -> None:
    Delivery.objects.update(last_at=now)
    Gateway.objects.filter(name=DEMO_GATEWAY).update(name="it was")
    again = demo.load(RECORDS, DAYS, NOW)
    assert again.records.accepted == len(whole())


def test_a_later_load_fills_the_gap(demo: Demo) -> None:
    demo.load(RECORDS, DAYS, NOW - 9 * HOUR)
    before = everything()
    later = demo.load(RECORDS, DAYS, NOW)
    assert later.records.accepted > 30 and later.records.duplicates == 0
    added = UsageRecord.objects.exclude(id__in=before)
    assert added.count() == later.records.accepted
    ends = [at + timedelta(milliseconds=ms or 0) for at, ms in added.values_list("created_at", "duration_ms")]
    assert min(ends) > NOW - 9 * HOUR and NOW - HOUR < max(ends) <= NOW
    assert demo.load(RECORDS, DAYS, NOW).records == Tally()


def test_gaps_one_after_the_other_hold_what_one_would(demo: Demo) -> None:
    demo.load(RECORDS, DAYS, NOW - 20 * HOUR)
    for hours in (13, 7, 0):
        assert demo.load(RECORDS, DAYS, NOW - hours * HOUR).records.duplicates == 0
    once = Stretch(NOW - 20 * HOUR, NOW - 20 * HOUR, NOW, RECORDS, DAYS)
    calls = {
        record.request_id
        for day in once.days_newest_first()
        for record in once.records_of(day)
        if not record.task_id
    }
    assert calls and calls <= {request_id for request_id, _ in stored()}


def cut_off(send: Callable[[Message], DeliveryAnswer], after: int, error: BaseException) -> object:
    """Return a door that closes after some messages."""
    left = iter(range(after))

    def closing(message: Message) -> DeliveryAnswer:
        if next(left, None) is None:
            raise error
        return send(message)

    return closing


@pytest.mark.parametrize("error", [KeyboardInterrupt(), AwayError("503 Service Unavailable")], ids=repr)
def test_a_load_that_was_interrupted_goes_on(demo: Demo, error: BaseException) -> None:
    by_hand.make_cast(NOW)
    with pytest.raises(type(error)):
        demo.load(RECORDS, DAYS, NOW, cut_off(Door(demo.gateway).send, 6, error))  # type: ignore[arg-type]
    interrupted = everything()
    assert interrupted
    door = Door(demo.gateway)
    loaded = demo.load(RECORDS, DAYS, NOW + MINUTE, door.send)
    assert stored() == whole()
    again = {record["created_at"][:10] for record in objects(door.came, "POST", "/api/v1/usage")}
    assert again and "2026-03-11" not in again
    assert loaded.records.accepted + loaded.records.duplicates < len(whole())
    assert interrupted.keys() < everything().keys()


def test_an_interrupted_load_and_a_gap_after_it_are_both_filled(demo: Demo) -> None:
    by_hand.make_cast(NOW)
    closing = cut_off(Door(demo.gateway).send, 3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        demo.load(RECORDS, DAYS, NOW, closing)  # type: ignore[arg-type]
    loaded = demo.load(RECORDS, DAYS, NOW + 9 * HOUR)
    assert whole() <= stored()
    assert loaded.start == floor(NOW - DAYS * DAY, HOUR) and loaded.until == NOW + 9 * HOUR
    assert UsageRecord.objects.filter(created_at__gt=NOW + 8 * HOUR).exists()


def test_a_book_that_cannot_be_read_is_a_lost_one(now: datetime, demo: Demo) -> None:
    Delivery.objects.update(last_at=now)
    file = demo.file
    assert json.loads(file.read_bytes())["stretches"] == []
    for text in (b"", b"{", b"\xff", b'{"gateway": "x"}', b"[]"):
        file.write_bytes(text)
        assert demo.load(RECORDS, DAYS, now).records == Tally(duplicates=len(whole()))


# --- Tasks -------------------------------------------------------------------------------------------------


def test_tasks_and_their_records_lead_to_each_other(now: datetime) -> None:
    tasks = AsyncTask.objects.all()
    assert tasks.count() > 4
    for task in tasks:
        charge = UsageRecord.objects.get(task_id=task.task_id, type=RecordType.TASK)
        assert (charge.request_id, charge.cost, charge.user_id, charge.token_id, charge.model_id) == (
            task.request_id,
            task.cost,
            task.user_id,
            task.token_id,
            task.model_id,
        )
        assert charge.created_at == task.submitted_at
        refund = UsageRecord.objects.filter(task_id=task.task_id, type=RecordType.REFUND).first()
        assert (refund.cost if refund else None) == (-task.refund if task.refund else None)
        if task.refund:
            assert task.charge_record_id == charge.id
    assert not tasks.exclude(status__in=OPEN_STATUSES).exclude(next_poll_at=None).exists()


@pytest.fixture
def tasks(demo: Demo) -> None:
    """Three weeks of tasks, as many as there usually are, with their records and without any others."""
    by_hand.make_cast(NOW)
    door, past = Door(demo.gateway), Stretch(NOW, NOW - 21 * DAY, NOW, 200_000, 90)
    for day in past.days_newest_first():
        records = [record for record in past.records_of(day) if record.task_id]
        for message in (*wire.usage(records, 100), *wire.registrations(past.tasks_of(day), 10)):
            assert not door.send(message).rejected


@pytest.mark.usefixtures("tasks")
def test_their_timelines_tell_when_it_happened() -> None:
    final = AsyncTask.objects.exclude(status__in=OPEN_STATUSES)
    assert {task.status for task in final} > {"succeeded", "failed", "expired", "cancelled"}
    for task in final:
        assert task.started_at and task.finished_at and task.updated_at == task.finished_at
        expected = [
            (EventKind.SUBMITTED, "", "", task.submitted_at),
            (EventKind.REPORT, "running", "", task.started_at),
            (EventKind.REPORT, task.status, "", task.finished_at),
        ]
        if task.status in ("failed", "moderated", "cancelled", "expired"):
            expected.append((EventKind.REFUND, "", EventReason.GATEWAY_GAVE_BACK, task.finished_at))
            assert task.refund == task.cost
        events = TaskEvent.objects.filter(task=task).order_by("at", "pk")
        assert list(events.values_list("kind", "after", "reason", "at")) == expected
        assert (task.progress == 100) == bool(task.result)
        assert bool(task.result) == (task.status in ("succeeded", "partially_succeeded"))


@pytest.mark.usefixtures("tasks")
def test_one_that_is_under_way_says_how_far_it_is() -> None:
    running = AsyncTask.objects.filter(status=TaskStatus.RUNNING).exclude(type="music")
    assert {task.progress for task in running} > {60}
    for task in running:
        shares = TaskEvent.objects.filter(task=task, kind=EventKind.REPORT).order_by("at")
        assert list(shares.values_list("progress", flat=True)) == (
            [0, task.progress] if task.progress else [0]
        )


def test_open_tasks_move_on_with_the_next_load(now: datetime, demo: Demo) -> None:
    waiting = set(AsyncTask.objects.filter(status__in=OPEN_STATUSES).values_list("pk", flat=True))
    final = AsyncTask.objects.exclude(pk__in=waiting)
    before = list(final.order_by("pk").values())
    assert waiting
    demo.load(RECORDS, DAYS, now + 12 * HOUR)
    assert list(final.order_by("pk").filter(submitted_at__lt=now).exclude(pk__in=waiting).values()) == before
    moved = AsyncTask.objects.filter(pk__in=waiting)
    assert not moved.filter(status__in=(TaskStatus.QUEUED, TaskStatus.RUNNING)).exists()
    ends = TaskEvent.objects.filter(
        task__in=waiting, at=F("task__finished_at"), after=F("task__status"), kind=EventKind.REPORT
    )
    assert ends.count() == len(waiting)


@pytest.mark.usefixtures("tasks")
def test_their_pages_lead_to_each_other() -> None:
    browser = signed_in(User.objects.get(email=DEMO_USER_EMAIL))
    task = AsyncTask.objects.filter(user__email=DEMO_USER_EMAIL, refund__isnull=False).first()
    assert task is not None
    page = browser.get(f"/records/tasks/{task.pk}/").content.decode()
    assert f"?request_id={task.request_id}" in page and "The gateway had given the charge back" in page
    found = browser.get("/records/usage/", {"request_id": task.request_id}).content.decode()
    assert f"/records/tasks/?task_id={task.task_id}" in found
