"""However a poll dies, and however clocks go: it is a try, it waits, and it costs no other task."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.utils import timezone

from accounts.models import Gateway, User
from tasks import jobs
from tasks.following import clock, leases, lifecycle, polling, refunds, waits
from tasks.models import AsyncTask, EventKind, EventReason, HostHealth, TaskEvent, TaskStatus
from tasks.outcomes.observations import Observation
from tasks.providers.catalogue import built_in, catalogue
from tasks.providers.reading import read
from tests import task_cast as cast
from tests.cast import signed_in
from tests.raw_provider import DONE, Raw, _Handler, alice, answer, at, counted, edge, poll_all, raw

__all__ = ["alice", "edge", "raw"]

# --- Polls that die --------------------------------------------------------------------------------------


def test_a_fault_of_our_own_is_logged_counted_and_costs_no_neighbour(
    raw: Raw, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(reading: object, document: object, **more: object) -> object:
        if document == {"status": "odd"}:
            raise KeyError("a slip of ours")
        return read(reading, document, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("tasks.following.provider_calls.read", broken)
    raw.answers |= {"odd": answer(b'{"status": "odd"}'), "well": answer(DONE)}
    odd, well = at(raw, "odd", alice, edge), at(raw, "well", alice, edge)
    with caplog.at_level(logging.ERROR):
        assert poll_all() == 2
    event = counted(odd, EventReason.BROKEN)
    assert event.note == "KeyError" and "a slip of ours" in caplog.text and "Traceback" in caplog.text
    well.refresh_from_db()
    assert well.status == TaskStatus.SUCCEEDED
    assert "fault of the console" in signed_in(alice).get(f"/records/tasks/{odd.pk}/").content.decode()


def test_a_poll_that_takes_too_long_is_a_try(
    raw: Raw, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(*args: object) -> None:
        raise SoftTimeLimitExceeded  # As the worker raises it into whatever is running.

    monkeypatch.setattr(polling, "ask", hangs)
    task = at(raw, "odd", alice, edge)
    poll_all()
    counted(task, EventReason.CUT_SHORT)


def test_a_task_that_breaks_every_poll_still_ends_at_its_deadline(
    raw: Raw, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise KeyError("a slip of ours")

    monkeypatch.setattr(polling, "ask", broken)
    task = at(raw, "odd", alice, edge, deadline_at=timezone.now() - timedelta(hours=2))
    poll_all()
    task.refresh_from_db()
    assert (task.status, task.next_poll_at, task.lease) == (TaskStatus.EXPIRED, None, None)


def test_a_poll_whose_worker_died_is_a_try_once_its_lease_is_over(
    raw: Raw, alice: User, edge: Gateway
) -> None:
    task = at(raw, "odd", alice, edge)
    [claim] = leases.claim(catalogue())
    begun = leases.begin(task, claim.lease, raw.host, anyones=[])
    assert begun is leases.Begun.YES
    # The broker hands a message out again whose worker died: that poll does not begin a second time.
    polling.poll(task.pk, claim.lease, catalogue())
    assert not raw.asked and not TaskEvent.objects.exists()
    assert leases.claim(catalogue()) == []
    AsyncTask.objects.update(leased_until=timezone.now())
    assert leases.claim(catalogue()) == []
    counted(task, EventReason.CUT_SHORT)
    assert "cut short" in signed_in(alice).get(f"/records/tasks/{task.pk}/").content.decode()


def test_a_claim_whose_message_was_lost_is_due_again_and_no_try(raw: Raw, alice: User, edge: Gateway) -> None:
    raw.answers["well"] = answer(DONE)
    task = at(raw, "well", alice, edge)
    leases.claim(catalogue())
    AsyncTask.objects.update(leased_until=timezone.now())
    assert poll_all() == 1
    task.refresh_from_db()
    assert (task.status, task.polls) == (TaskStatus.SUCCEEDED, 1)
    assert TaskEvent.objects.filter(task=task, reason=EventReason.CUT_SHORT).count() == 0


def test_a_task_that_kills_each_of_its_workers_ends_at_its_deadline(
    raw: Raw, alice: User, edge: Gateway
) -> None:
    task = at(raw, "odd", alice, edge, deadline_at=timezone.now() - timedelta(hours=2))
    [claim] = leases.claim(catalogue())
    leases.begin(task, claim.lease, raw.host, anyones=[])
    AsyncTask.objects.update(leased_until=timezone.now())
    leases.claim(catalogue())
    task.refresh_from_db()
    assert (task.status, task.next_poll_at, task.polls) == (TaskStatus.EXPIRED, None, 1)


_WORKER = """
import os, sys
import django
django.setup()
from django.conf import settings
from uuid import UUID
settings.DATABASES["default"]["NAME"] = sys.argv[3]
settings.OUTBOUND_ALLOWED = ["127.0.0.1"]
from tasks.following import polling
from tasks.providers.catalogue import catalogue
polling.poll(UUID(sys.argv[1]), UUID(sys.argv[2]), catalogue())
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_in_the_midst_of_a_poll_leaves_a_try_behind(raw: Raw) -> None:
    alice, edge = cast.person(), cast.gateway()
    reached, over = threading.Event(), threading.Event()

    def hold(handler: _Handler) -> None:
        reached.set()
        over.wait(30)

    raw.answers["odd"] = hold
    task = at(raw, "odd", alice, edge)
    [claim] = leases.claim(catalogue())
    command = [
        sys.executable,
        "-c",
        _WORKER,
        str(task.pk),
        str(claim.lease),
        connection.settings_dict["NAME"],
    ]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    worker = subprocess.Popen(command, cwd=Path(__file__).parent.parent, env=environment)
    try:
        assert reached.wait(60)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        over.set()
    task.refresh_from_db()
    assert task.lease == claim.lease and task.poll_begun_at
    AsyncTask.objects.update(leased_until=timezone.now())
    assert leases.claim(catalogue()) == []
    counted(task, EventReason.CUT_SHORT)


# --- Clocks that step back -------------------------------------------------------------------------------


def test_leases_and_waits_set_an_hour_ahead_do_not_stall_a_task(raw: Raw, alice: User, edge: Gateway) -> None:
    """As after the clock has stepped back an hour: what was set by the old one lies far ahead."""
    raw.answers["well"] = answer(DONE)
    ahead = timezone.now() + timedelta(hours=1)
    waiting = at(raw, "well", alice, edge, next_poll_at=ahead, poll_host=raw.host)
    unknown = at(raw, "well", alice, edge, next_poll_at=ahead)
    leased = at(raw, "well", alice, edge, next_poll_at=ahead)
    AsyncTask.objects.filter(pk=leased.pk).update(lease=uuid4(), leased_until=ahead)
    HostHealth.objects.create(
        host=raw.host, failures=9, paused_until=ahead + timedelta(minutes=1), noted_at=ahead
    )
    assert poll_all() >= 1
    for _ in range(3):
        poll_all()
    for task in (waiting, unknown, leased):
        task.refresh_from_db()
        assert task.status == TaskStatus.SUCCEEDED


def test_what_waits_for_its_deadline_alone_is_not_asked_about(raw: Raw, alice: User, edge: Gateway) -> None:
    """Tasks that another console follows (new-api) wait here for their end, or for the deadline."""
    deadline = timezone.now() + timedelta(days=7)
    task = at(raw, "odd", alice, edge, next_poll_at=deadline, deadline_at=deadline)
    assert leases.claim(catalogue()) == []
    task.refresh_from_db()
    assert task.next_poll_at == deadline


def test_no_wait_is_longer_than_the_longest(alice: User, edge: Gateway) -> None:
    for definition in built_in().values():
        longest = waits.longest_wait(definition)
        for count in (0, 1, 10, 1_000):
            for _ in range(20):
                assert waits.after_answer(definition, count) < longest
                assert waits.after_failure(definition, count) < longest


def test_the_time_is_the_databases(db: None) -> None:
    assert abs(clock.now() - timezone.now()) < timedelta(minutes=1)
    assert clock.now() < clock.now()


# --- The jobs beside it ----------------------------------------------------------------------------------


def test_a_refund_that_breaks_keeps_no_other_from_its_money(
    alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = cast.a_task(alice, edge), cast.a_task(alice, edge)
    for minutes, task in enumerate((first, second)):
        lifecycle.transition(
            task.pk,
            Observation(key="end", kind=EventKind.REPORT, status=TaskStatus.FAILED),
        )
        AsyncTask.objects.filter(pk=task.pk).update(
            finished_at=timezone.now() - refunds.WAIT_FOR_CHARGE - timedelta(minutes=10 - minutes)
        )
    settle = refunds.settle

    def broken(task: AsyncTask) -> bool:
        if task.pk == first.pk:
            raise KeyError("a slip of ours")
        return settle(task)

    monkeypatch.setattr(refunds, "settle", broken)
    assert refunds.settle_waiting() == (0, 1)
    assert "a slip of ours" in caplog.text


def test_any_trouble_with_handing_over_leaves_the_tasks_due(
    raw: Raw, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [at(raw, "odd", alice, edge) for _ in range(3)]
    sent: list[UUID] = []

    def once(arguments: tuple[str, str], **more: object) -> None:
        if sent:
            raise TypeError("a slip of ours")
        sent.append(UUID(arguments[0]))

    monkeypatch.setattr(jobs.poll, "apply_async", once)
    with pytest.raises(TypeError):
        jobs.dispatch()
    left = AsyncTask.objects.filter(lease=None, next_poll_at__lte=timezone.now())
    assert left.count() == 2 and len(tasks) == 3
