"""The demo's live traffic: what is sent, and when; how a run goes on where another one stopped."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings as SettingsWrapper

from logs.models import RecordType, UsageRecord
from routescope.data.ranges import DAY, HOUR
from routescope.demo import DEMO_USER_EMAIL, by_hand, live_tasks
from routescope.demo.live import LONGEST_STEP, Live
from routescope.demo.management.commands.demo_traffic import going_on
from routescope.demo.provider import DevelopmentProvider
from routescope.demo.wire import Message
from tasks.following import leases, polling
from tasks.models import (
    OPEN_STATUSES,
    UNSUCCESSFUL_STATUSES,
    AsyncTask,
    ProviderCredential,
    TaskEvent,
    TaskStatus,
)
from tasks.providers.catalogue import catalogue
from tasks.providers.key_binding import enter_key
from tests.demo_cast import Demo, Door, demo, objects

__all__ = ["demo"]

START = datetime(2026, 3, 11, 16, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def taken(live: Live, until: datetime, step: timedelta) -> list[Message]:
    messages = []
    while live.until < until:
        messages += live.take(min(until, live.until + step))
    return messages


# --- What is sent ------------------------------------------------------------------------------------------


def told(messages: list[Message]) -> list[dict[str, Any]]:
    """Return what is said of tasks, with their registrations and later, in its order."""
    return objects(messages, "POST", "/api/v1/tasks") + objects(messages, "PATCH", "/api/v1/tasks")


def test_the_steps_do_not_change_what_is_sent() -> None:
    until = START + HOUR
    calls, steps = [], []
    for step in (17, 600):
        messages = taken(Live(START, 0.5, START), until, timedelta(seconds=step))
        records = objects(messages, "POST", "/api/v1/usage")
        calls.append(sorted(record["request_id"] + record.get("type", "request") for record in records))
        steps.append(
            sorted(
                (task["task_id"], task["reported_at"], task["status"], task.get("progress"))
                for task in told(messages)
                if "status" in task
            )
        )
    assert calls[0] == calls[1] and steps[0] == steps[1]
    assert len(calls[0]) == len(set(calls[0])) == pytest.approx(3600 * 0.5, rel=0.8)
    assert len(steps[0]) == len(set(steps[0])) > 20


def test_it_is_mostly_the_demo_user() -> None:
    records = objects(taken(Live(START, 0.2, START), START + DAY, LONGEST_STEP), "POST", "/api/v1/usage")
    assert len(records) == pytest.approx(0.2 * 86_400, rel=0.3)
    assert 0.6 < sum(record["user"] == DEMO_USER_EMAIL for record in records) / len(records) < 0.95


def test_only_what_is_over_is_sent() -> None:
    live = Live(START, 0.5, START)
    records = objects(live.take(START + 5 * MINUTE), "POST", "/api/v1/usage")
    assert records
    for record in records:
        began = datetime.fromisoformat(record["created_at"])
        assert began + timedelta(milliseconds=record.get("duration_ms", 0)) < START + 5 * MINUTE


def test_a_long_pause_is_caught_up_with_step_by_step() -> None:
    live = Live(START, 0.2, START)
    live.take(START + DAY)
    assert live.until == START + LONGEST_STEP


def test_tasks_are_registered_followed_and_finished() -> None:
    messages = taken(Live(START, 1.0, START), START + timedelta(hours=3), MINUTE)
    registered = {task["task_id"]: task for task in objects(messages, "POST", "/api/v1/tasks")}
    reports = told(messages)
    records = objects(messages, "POST", "/api/v1/usage")
    assert len(registered) > 20
    assert {report["task_id"] for report in reports} == registered.keys()
    assert {record["task_id"] for record in records if record.get("type") == "task"} == registered.keys()
    finished = {report["task_id"] for report in reports if "finished_at" in report}
    assert len(finished) > 0.8 * len(registered)
    refunds = [record for record in records if record.get("type") == "refund" and "task_id" in record]
    assert refunds
    for record in refunds:
        assert record["cost"] == f"-{registered[record['task_id']]['cost']}"


def test_a_task_that_runs_says_each_tenth_of_its_progress_once() -> None:
    messages = taken(Live(START, 1.0, START), START + timedelta(hours=3), MINUTE)
    done = [task["task_id"] for task in told(messages) if task.get("status") == "succeeded"]
    assert done
    for task_id in done:
        said = [task for task in told(messages) if task["task_id"] == task_id and "status" in task]
        said.sort(key=lambda task: str(task["reported_at"]))
        shares = [task.get("progress") for task in said]
        assert shares in ([*range(0, 101, 10)], [None, None]), shares
        assert said[0]["reported_at"] == said[0]["started_at"]
        assert said[-1]["reported_at"] == said[-1]["finished_at"]


def test_a_later_run_goes_on_with_the_tasks_of_an_earlier_one() -> None:
    killed_at, started_at = START + timedelta(minutes=30), START + timedelta(hours=5)
    earlier = Live(START, 2.0, START)
    before = taken(earlier, killed_at, MINUTE)
    waiting = set(earlier.open_tasks)
    registered = {task["task_id"] for task in objects(before, "POST", "/api/v1/tasks")}
    assert waiting and waiting < registered
    later = Live(START, 2.0, started_at, waiting, killed_at)
    after = later.take(started_at + MINUTE)
    reports = objects(after, "PATCH", "/api/v1/tasks")
    assert {task["task_id"] for task in reports if "finished_at" in task} == waiting
    assert all(datetime.fromisoformat(task["reported_at"]) > killed_at for task in reports)
    records = objects(after, "POST", "/api/v1/usage")
    given_back = {
        record["task_id"] for record in records if record.get("type") == "refund" and "task_id" in record
    }
    failed = {task["task_id"] for task in reports if task["status"] in UNSUCCESSFUL_STATUSES}
    assert failed == given_back & waiting
    assert not waiting & set(later.open_tasks)


def test_after_a_short_pause_a_run_goes_on_where_the_other_one_was(demo: Demo) -> None:
    by_hand.make_cast(START)
    entries = demo.book.resume(START)
    assert (entries.until, len(entries.stretches)) == (START, 1)
    first = going_on(entries, 2.0)
    messages = taken(first, START + 9 * MINUTE, MINUTE)
    demo.book.lived(first.until, first.open_tasks)
    entries = demo.book.resume(START + 12 * MINUTE)
    assert len(entries.stretches) == 1, "no gap"
    second = going_on(entries, 2.0)
    messages += taken(second, START + HOUR, MINUTE)
    whole = taken(going_on(_at_the_start(demo), 2.0), START + HOUR, MINUTE)
    for method, path in (("POST", "/api/v1/usage"), ("POST", "/api/v1/tasks"), ("PATCH", "/api/v1/tasks")):
        assert sorted(map(str, objects(messages, method, path))) == sorted(
            map(str, objects(whole, method, path))
        )


def _at_the_start(demo: Demo) -> Any:
    demo.forget()
    return demo.book.resume(START)


def test_a_longer_pause_is_left_to_the_history_to_fill(demo: Demo) -> None:
    by_hand.make_cast(START)
    live = going_on(demo.book.resume(START), 2.0)
    live.take(START + 9 * MINUTE)
    demo.book.lived(live.until, live.open_tasks)
    now = START + 6 * HOUR
    entries = demo.book.resume(now)
    gap = entries.stretches[-1]
    assert (gap.since, gap.until, entries.until) == (START + 9 * MINUTE, now, now)
    assert set(gap.open_tasks) == set(live.open_tasks)
    assert entries.followed_until == START + 9 * MINUTE
    assert demo.book.resume(now + MINUTE).stretches == entries.stretches, "whoever comes second adds none"


def test_who_is_behind_what_is_noted_already_notes_nothing(demo: Demo) -> None:
    by_hand.make_cast(START)
    demo.book.resume(START + HOUR)
    demo.book.lived(START + 2 * MINUTE, ["task_1"])
    entries = demo.book.resume(START + HOUR)
    assert entries.until == START + HOUR and "task_1" not in entries.open_tasks


# --- At the console's door ---------------------------------------------------------------------------------


def test_the_console_takes_everything_and_knows_it_when_it_comes_again(demo: Demo) -> None:
    now = START + HOUR
    demo.load(600, 3, START)
    door = Door(demo.gateway)
    entries = demo.book.resume(START)
    assert entries.open_tasks, "of the history"
    traffic = going_on(entries, 2.0)
    messages = taken(traffic, now, 5 * MINUTE)
    for message in messages:
        answer = door.send(message)
        assert answer.rejected == []
        assert answer.accepted + answer.duplicates == message.objects
        assert not answer.pending
    before = UsageRecord.objects.count(), AsyncTask.objects.count(), TaskEvent.objects.count()
    for message in messages:
        assert door.send(message).accepted == 0
    assert (UsageRecord.objects.count(), AsyncTask.objects.count(), TaskEvent.objects.count()) == before
    live = AsyncTask.objects.filter(submitted_at__gt=START)
    assert live.count() >= 5
    assert live.filter(status=TaskStatus.SUCCEEDED, result__isnull=False).exists()
    assert live.exclude(refund=None).exists()
    for task in live.exclude(refund=None):
        refund = UsageRecord.objects.get(task_id=task.task_id, type=RecordType.REFUND)
        assert refund.cost is not None and -refund.cost == task.refund == task.cost
    ended = live.exclude(status__in=OPEN_STATUSES)
    assert all(task.finished_at == task.updated_at for task in ended)
    of_history = AsyncTask.objects.filter(task_id__in=entries.open_tasks)
    assert of_history.count() == len(entries.open_tasks)
    open_now = set(of_history.filter(status__in=OPEN_STATUSES).values_list("task_id", flat=True))
    assert open_now == set(traffic.open_tasks) & set(entries.open_tasks) < set(entries.open_tasks)


def test_live_traffic_that_comes_first_waits_for_the_history(demo: Demo) -> None:
    by_hand.make_cast(START)
    entries = demo.book.resume(START, 600, 3)
    door = Door(demo.gateway)
    pending = 0
    for message in taken(going_on(entries, 0.02), START + DAY, LONGEST_STEP):
        answer = door.send(message)
        pending += answer.pending
        assert not answer.rejected
    assert pending, "reports on tasks of the history, which is not here yet"
    demo.load(600, 3, START)
    of_history = AsyncTask.objects.filter(task_id__in=entries.open_tasks)
    assert of_history.count() == len(entries.open_tasks) > 0
    assert not of_history.filter(status__in=OPEN_STATUSES).exists()
    assert all(task.updated_at == task.finished_at for task in of_history)


# --- Tasks that run before one's eyes ----------------------------------------------------------------------


def test_keys_are_entered_as_an_operator_enters_them(demo: Demo) -> None:
    gateway = by_hand.make_cast(START)
    url = "http://127.0.0.1:8591"
    by_hand.have_asked(gateway, live_tasks.PLATFORMS, "http://127.0.0.1:1")
    by_hand.have_asked(gateway, live_tasks.PLATFORMS, url)
    rows = ProviderCredential.objects.all()
    assert {row.platform for row in rows} == live_tasks.PLATFORMS.keys() == {"replicate", "suno", "runway"}
    for row in rows:
        entered = ProviderCredential(platform=row.platform, gateway=gateway, base_url=url)
        enter_key(entered, "development", catalogue().by_slug[row.platform])
        assert (row.key_origins, row.key_sent_as, row.base_url) == (
            entered.key_origins,
            entered.key_sent_as,
            url,
        )
        assert row.api_key.reveal() == "development" and row.gateway == gateway


def test_they_are_ordered_over_the_api_and_polled_to_their_end(
    demo: Demo, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(by_hand.make_cast(datetime.now(UTC)))
    with DevelopmentProvider() as provider:
        provider.start()
        settings.OUTBOUND_ALLOWED = [provider.url.removeprefix("http://")]
        by_hand.have_asked(demo.gateway, live_tasks.PLATFORMS, provider.url)
        orders = live_tasks.ordered()
        for messages in (next(orders) for _ in range(3)):
            assert [door.send(message).accepted for message in messages] == [1, 1]
        # A minute and more has passed.
        later = time.time() + 120
        monkeypatch.setattr(time, "time", lambda: later)
        AsyncTask.objects.update(next_poll_at=datetime.now(UTC))
        for claimed in leases.claim(catalogue()):
            polling.poll(claimed.task_id, claimed.lease, catalogue())
        provider.shutdown()
    ends = sorted(AsyncTask.objects.values_list("status", flat=True))
    assert ends == [TaskStatus.FAILED, TaskStatus.SUCCEEDED, TaskStatus.SUCCEEDED]
    failed = AsyncTask.objects.get(status=TaskStatus.FAILED)
    assert failed.refund == failed.cost and failed.token and failed.token.name == "studio"
