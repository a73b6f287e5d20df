"""Jobs: each has a queue, a limit and a lock; its last success is known; beat lives through a set clock."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from billiard.exceptions import SoftTimeLimitExceeded
from celery.beat import ScheduleEntry
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from accounts.models import User
from logs.maintenance import jobs as logs_jobs
from routescope import celery, jobs
from routescope.celery import app
from routescope.config.listening import ListenAddress
from routescope.management.commands import up
from routescope.models import JobRun
from routescope.run import jobs as declared
from routescope.run.beat import Scheduler
from routescope.run.jobs import JOBS, LONGEST, Queue, job
from routescope.run.overdue import overdue
from tests.cast import signed_in
from tests.locking import held

SCHEDULE: dict[str, Any] = settings.CELERY_BEAT_SCHEDULE
NOON = datetime(2026, 3, 10, 12, 0, 1, tzinfo=UTC)


def tasks() -> dict[str, Any]:
    app.autodiscover_tasks(related_name="jobs", force=True)
    return {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Jobs that a test makes are gone after it."""
    monkeypatch.setattr(declared, "JOBS", dict(JOBS))
    before = set(app.tasks)
    yield
    for name in set(app.tasks) - before:
        app.tasks.unregister(name)


# --- What each declares ------------------------------------------------------------------------------------


def test_every_job_has_a_queue_a_limit_and_a_lock_or_says_why_not() -> None:
    assert set(tasks()) == set(JOBS), "made by routescope.run.jobs.job, which leaves nothing out"
    for name, task in tasks().items():
        told = JOBS[name]
        assert app.amqp.router.route({}, name)["queue"].name in set(Queue)
        assert 0 < task.soft_time_limit < task.time_limit <= (LONGEST + declared.MARGIN).total_seconds()
        assert told.limit == timedelta(seconds=task.soft_time_limit)
        assert timedelta(0) < told.lock < told.limit
        assert told.may_meet == "" or len(told.may_meet.split()) > 3, "a reason"
        assert told.noted or name not in {entry["task"] for entry in SCHEDULE.values()}


def test_every_periodic_job_is_declared_and_expires_before_it_piles_up() -> None:
    for name, entry in SCHEDULE.items():
        assert entry["task"] in tasks(), name
        when = entry["schedule"]
        assert 0 < entry["options"]["expires"] <= (when if isinstance(when, float) else 86_400)


def test_nothing_is_delivered_again_while_it_may_still_run() -> None:
    longest = max(task.time_limit for task in tasks().values())
    assert app.conf.broker_transport_options["visibility_timeout"] > longest


def test_a_limit_that_is_none_cannot_be_declared(made: None) -> None:
    for limit in (timedelta(0), LONGEST + timedelta(seconds=1)):
        with pytest.raises(ValueError, match="limit"):
            job("test.endless", queue=Queue.SLOW, limit=limit)


def test_what_takes_long_goes_to_a_queue_of_its_own() -> None:
    slow = {"exports.run", "logs.compact", "logs.rotate_content", "logs.price_unpriced", "logs.rejudge"}
    assert slow <= set(tasks())
    assert slow <= {name for name, one in JOBS.items() if one.queue is Queue.SLOW}
    assert (
        JOBS["logs.fold"].queue == JOBS["tasks.poll"].queue == JOBS["tasks.settle_refunds"].queue == "celery"
    )
    assert all(one.limit <= timedelta(minutes=10) for one in JOBS.values() if one.queue is Queue.QUICK)
    with app.connection("memory://") as broker:
        tasks()["exports.run"].apply_async(("pk",), connection=broker)
        channel: Any = broker.default_channel
        assert channel.queue_declare("slow", passive=True).message_count == 1
        channel.queue_purge("slow")


def test_every_queue_has_a_worker() -> None:
    command = up.Command()
    command.address, command.demo = ListenAddress("127.0.0.1", 8158), False
    started = [" ".join(map(str, service.argv)) for service in command._services()]
    composed = yaml.safe_load((Path(settings.BASE_DIR) / "docker-compose.yml").read_text())["services"]
    for lines in (started, [" ".join(service.get("command") or []) for service in composed.values()]):
        served = [match.group(1) for line in lines if (match := re.search(r" worker .*--queues=(\w+)", line))]
        assert sorted(served) == sorted(Queue)


# --- A run -------------------------------------------------------------------------------------------------


def run_of(name: str) -> JobRun:
    return JobRun.objects.get(pk=name)


@pytest.mark.django_db
def test_a_success_and_a_failure_are_kept_each(made: None) -> None:
    outcomes: Iterator[Exception | int] = iter([1, ValueError("first\nand last"), 2])

    @job("test.mixed", queue=Queue.QUICK, limit=timedelta(minutes=5))
    def mixed() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        assert run_of("test.mixed").outcome == JobRun.Outcome.RUNNING
        return outcome

    assert mixed() == 1
    first = run_of("test.mixed")
    assert (first.outcome, first.failed_at, first.error) == (JobRun.Outcome.SUCCEEDED, None, "")
    with pytest.raises(ValueError, match="first"):
        mixed()
    failed = run_of("test.mixed")
    assert (failed.outcome, failed.error) == (JobRun.Outcome.FAILED, "ValueError: and last")
    assert failed.succeeded_at == first.succeeded_at
    assert mixed() == 2, "its lock is free again"
    assert run_of("test.mixed").failed_at == failed.failed_at


@pytest.mark.django_db
def test_a_trouble_of_the_database_is_a_line_and_no_traceback(
    made: None, caplog: pytest.LogCaptureFixture
) -> None:
    @job("test.away", queue=Queue.QUICK, limit=timedelta(seconds=5))
    def away() -> None:
        raise OperationalError("connection refused")

    assert away() is None
    assert away() is None
    assert [record.exc_info for record in caplog.records] == [None]
    assert run_of("test.away").outcome == JobRun.Outcome.FAILED


@pytest.mark.django_db
def test_a_job_has_its_own_limits_in_the_database(made: None) -> None:
    @job("test.limits", queue=Queue.SLOW, limit=timedelta(minutes=7), lock=timedelta(seconds=9))
    def limits() -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
            return list(cursor.fetchone())

    assert limits() == ["7min", "9s"]


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_under_way_elsewhere_is_left_to_that_one() -> None:
    lock = "SELECT pg_advisory_lock(hashtext('job'), hashtext('logs.compact'))"
    with (
        patch("logs.maintenance.compaction.compact", side_effect=AssertionError("twice at once")),
        held(lock),
    ):
        assert logs_jobs.compact() is None
    assert not JobRun.objects.filter(pk="logs.compact").exists()
    with patch("logs.maintenance.compaction.compact", return_value=["usage_record_2026_01"]):
        assert logs_jobs.compact() == ["usage_record_2026_01"]
        assert logs_jobs.compact() == ["usage_record_2026_01"], "its lock is free again"


@pytest.mark.django_db(transaction=True)
def test_a_job_whose_time_is_over_stops_what_it_asked_of_the_database(made: None) -> None:
    @job("test.slow", queue=Queue.SLOW, limit=timedelta(minutes=5))
    def slow() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60) AS of_a_job")

    def over(number: int, frame: FrameType | None) -> None:
        raise SoftTimeLimitExceeded  # As Celery's handler of SIGUSR1 does.

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        assert slow() is None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert run_of("test.slow").outcome == JobRun.Outcome.TIMED_OUT
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%of_a_job' AND state = 'active'"
        )
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('job'), hashtext('test.slow'))")
        assert cursor.fetchone() == (True,)
        cursor.execute("SELECT pg_advisory_unlock_all()")


# --- Overdue -----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_what_did_not_succeed_in_time_is_overdue(caplog: pytest.LogCaptureFixture) -> None:
    now = timezone.now()
    assert overdue(now) == [], "known from now on"
    assert JobRun.objects.count() == len({entry["task"] for entry in SCHEDULE.values()})
    later = now + timedelta(minutes=30)
    JobRun.note_end("logs.fold", now, JobRun.Outcome.FAILED, "OperationalError: gone")
    JobRun.objects.filter(pk="tasks.dispatch").update(succeeded_at=later - timedelta(minutes=1))
    late = {one.name: one.succeeded_at for one in overdue(later)}
    assert late["logs.fold"] is None
    assert "tasks.dispatch" not in late
    assert "logs.maintenance.retention" not in late, "its next run may take its time"
    assert "logs.maintenance.retention" in {one.name for one in overdue(now + timedelta(hours=30))}
    JobRun.objects.update(since=now - timedelta(days=3), succeeded_at=None)
    assert "logs.fold" in (jobs.watch() or [])
    assert "logs.fold is overdue since" in caplog.text


@pytest.mark.django_db
def test_an_admin_sees_how_jobs_fare_and_changes_nothing(admin: User) -> None:
    JobRun.note_start("logs.compact", timezone.now())
    JobRun.note_end("logs.fold", timezone.now(), JobRun.Outcome.FAILED, "OperationalError: no space left")
    JobRun.objects.filter(pk="logs.fold").update(since=timezone.now() - timedelta(days=1))
    page = signed_in(admin).get("/admin/routescope/jobrun/").content.decode()
    assert "no space left" in page
    assert "Overdue" in page and "Running" in page
    assert signed_in(admin).get("/admin/routescope/jobrun/add/").status_code == 403
    assert "Jobs" in signed_in(admin).get("/admin/").content.decode()


# --- Beat --------------------------------------------------------------------------------------------------


class Clock:
    """A wall clock that a test sets, and what a beat that lives by it sends."""

    def __init__(self, schedule: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOON
        self.sent: list[str] = []
        monkeypatch.setattr(celery.app, "now", lambda: self.now)
        self._file = schedule
        self.start()

    def start(self) -> None:
        self.scheduler = Scheduler(celery.app, schedule_filename=str(self._file))
        self.scheduler.apply_entry = self._send  # type: ignore[method-assign]

    def _send(self, entry: ScheduleEntry, producer: object = None) -> None:
        self.sent.append(str(entry.name))

    def go_on(self, seconds: float) -> list[str]:
        """Let time pass as beat does, sleeping between its looks; return what was sent meanwhile."""
        self.sent = []
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            pause = max(self.scheduler.tick(), 0.001)  # A look takes a moment too.
            self.now = min(end, self.now + timedelta(seconds=pause))
        return self.sent


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    monkeypatch.setattr(Scheduler, "producer", None)
    clock = Clock(tmp_path / "schedule", monkeypatch)
    yield clock
    clock.scheduler.close()


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(days=-400), timedelta(seconds=-7)])
def test_beat_goes_on_at_once_when_the_clock_is_set_back(clock: Clock, step: timedelta) -> None:
    before = clock.go_on(60)
    assert 28 <= before.count("tasks.dispatch") <= 31
    clock.now += step
    after = clock.go_on(60)
    assert 28 <= after.count("tasks.dispatch") <= 31
    assert 3 <= after.count("logs.fold") <= 5
    assert after.count("tasks.settle_refunds") <= 1


def test_beat_that_starts_after_the_clock_was_set_back_goes_on_too(clock: Clock) -> None:
    clock.go_on(60)
    clock.scheduler.close()
    clock.now -= timedelta(hours=1)
    clock.start()
    assert clock.go_on(10).count("tasks.dispatch") >= 4


def test_a_clock_that_is_set_forward_sends_each_job_once(clock: Clock) -> None:
    clock.go_on(60)
    clock.now += timedelta(hours=5)
    at_once = clock.go_on(1)
    assert len(at_once) == len(set(at_once)), "no burst"
    assert "tasks.dispatch" in at_once
    assert 28 <= clock.go_on(60).count("tasks.dispatch") <= 31
    # And back again, as a clock that was wrong for a moment.
    clock.now -= timedelta(hours=5)
    assert 4 <= clock.go_on(10).count("tasks.dispatch") <= 6


def test_nightly_jobs_are_not_lost_by_a_step_back(clock: Clock) -> None:
    clock.go_on(10)
    clock.now = NOON.replace(hour=2, minute=9, second=50)
    assert "logs.maintenance.retention" in clock.go_on(30)


def test_beat_is_ours() -> None:
    assert celery.app.conf.beat_scheduler == "routescope.run.beat:Scheduler"
