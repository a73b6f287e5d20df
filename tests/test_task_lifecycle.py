"""A task's status changes through one door, forwards only, and money is given back once."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, connections
from django.utils import timezone

from accounts.identities.resolving import resolve
from accounts.models import Gateway, User
from logs.ingest.batches import store_named
from logs.models import RecordType, UsageDay, UsageRecord
from logs.models.events import UsageEvent
from tasks.following import refunds
from tasks.following.lifecycle import Outcome, transition
from tasks.models import AsyncTask, EventKind, EventReason, TaskEvent, TaskStatus
from tasks.outcomes.observations import Observation
from tests import task_cast as cast

S = TaskStatus


def seen(key: str, status: TaskStatus | None = None, **fields: object) -> Observation:
    return Observation(key=key, kind=EventKind.POLL, status=status, **fields)  # type: ignore[arg-type]


def charge(task: AsyncTask, user: str, cost: str | None, *, token: str = "prod") -> None:
    """Let the gateway report what the submission cost."""
    event = UsageEvent(
        request_id=task.request_id,
        created_at=task.submitted_at,
        type=RecordType.TASK,
        user=user,
        token=token,
        model="gen4_turbo",
        group="vip",
        cost=None if cost is None else Decimal(cost),
        task_id=task.task_id,
    )
    names = resolve(task.gateway, users_and_tokens=[(user, token)], groups=["vip"], models=["gen4_turbo"])
    store_named(task.gateway_id, names, [event])


@pytest.fixture
def alice(db: None) -> User:
    return cast.person("alice@example.com")


@pytest.fixture
def edge(db: None) -> Gateway:
    return cast.gateway()


@pytest.fixture
def task(alice: User, edge: Gateway) -> AsyncTask:
    return cast.a_task(alice, edge)


def test_a_task_moves_from_queued_over_running_to_its_end(task: AsyncTask) -> None:
    assert transition(task.pk, seen("1", S.RUNNING, word="RUNNING", progress=40))[0] is Outcome.CHANGED
    result = [{"kind": "video", "url": "https://cdn.example/v.mp4"}]
    end = seen("2", S.SUCCEEDED, word="SUCCEEDED", result=result, result_lifetime=timedelta(hours=24))
    outcome, after = transition(task.pk, end)
    assert outcome is Outcome.CHANGED
    assert (after.status, after.progress, after.provider_status) == (S.SUCCEEDED, 100, "SUCCEEDED")
    assert after.started_at and after.finished_at and after.result == result
    assert after.result_expires_at == after.finished_at + timedelta(hours=24)
    assert after.next_poll_at is None
    changes = TaskEvent.objects.filter(task=task).order_by("pk").values_list("before", "after")
    assert list(changes) == [(S.QUEUED, S.RUNNING), (S.RUNNING, S.SUCCEEDED)]


@pytest.mark.parametrize("late", [S.RUNNING, S.QUEUED, S.UNKNOWN, S.FAILED, S.EXPIRED])
@pytest.mark.parametrize("final", [S.SUCCEEDED, S.FAILED, S.MODERATED, S.CANCELLED, S.EXPIRED])
def test_a_final_status_never_changes(task: AsyncTask, final: TaskStatus, late: TaskStatus) -> None:
    _, ended = transition(task.pk, seen("end", final, word="the end"))
    outcome, after = transition(task.pk, seen("late", late, word="late", progress=3, failure_message="no"))
    if late != final:
        assert outcome is Outcome.IGNORED
        assert TaskEvent.objects.get(task=task, key="late").reason == EventReason.IGNORED
    assert (after.status, after.finished_at) == (final, ended.finished_at)
    assert after.provider_status == "the end"


def test_a_late_queued_does_not_take_a_running_task_back(task: AsyncTask) -> None:
    transition(task.pk, seen("1", S.RUNNING, word="RUNNING", progress=60))
    assert transition(task.pk, seen("0", S.QUEUED, word="PENDING"))[0] is Outcome.IGNORED
    _, after = transition(task.pk, seen("2", S.RUNNING, word="RUNNING", progress=20))
    assert (after.status, after.provider_status, after.progress) == (S.RUNNING, "RUNNING", 60)


def test_the_same_observation_twice_is_kept_once(task: AsyncTask) -> None:
    assert transition(task.pk, seen("one", S.RUNNING))[0] is Outcome.CHANGED
    assert transition(task.pk, seen("one", S.RUNNING))[0] is Outcome.DUPLICATE
    assert TaskEvent.objects.filter(task=task).count() == 1


def test_a_word_that_nobody_knows_is_kept_and_is_not_final(task: AsyncTask) -> None:
    _, after = transition(task.pk, seen("1", S.UNKNOWN, word="PONDERING"))
    assert (after.status, after.provider_status, after.is_final) == (S.UNKNOWN, "PONDERING", False)
    assert transition(task.pk, seen("2", S.RUNNING))[1].status == S.RUNNING


def test_a_result_that_comes_after_the_end_is_filled_in(task: AsyncTask) -> None:
    transition(task.pk, seen("1", S.SUCCEEDED))
    piece = [{"kind": "video", "url": "https://cdn.example/v.mp4"}]
    outcome, after = transition(task.pk, seen("2", S.SUCCEEDED, result=piece))
    assert (outcome, after.result) == (Outcome.CHANGED, piece)
    other = [{"kind": "video", "url": "https://cdn.example/other.mp4"}]
    outcome, after = transition(task.pk, seen("3", S.SUCCEEDED, result=other))
    assert (outcome, after.result) == (Outcome.UNCHANGED, piece)


def test_a_providers_clock_cannot_end_a_task_before_it_began_or_in_the_future(task: AsyncTask) -> None:
    ahead, before = timezone.now() + timedelta(days=2), task.submitted_at - timedelta(days=2)
    _, after = transition(task.pk, seen("1", S.SUCCEEDED, started_at=before, finished_at=ahead))
    assert after.started_at == task.submitted_at
    assert after.finished_at and task.submitted_at <= after.finished_at <= timezone.now()


@pytest.mark.parametrize("end", [S.FAILED, S.MODERATED, S.CANCELLED, S.EXPIRED])
def test_a_failed_task_is_refunded_once_and_linked_to_its_charge(
    task: AsyncTask, alice: User, edge: Gateway, end: TaskStatus
) -> None:
    cast.known_as(edge, alice, "alice")
    charge(task, "alice", "0.25")
    _, after = transition(task.pk, seen("1", end, failure_message="it broke"))
    transition(task.pk, seen("2", end))
    refunds.settle_waiting()
    charged = UsageRecord.objects.get(type=RecordType.TASK)
    refund = UsageRecord.objects.get(type=RecordType.REFUND)
    assert (refund.cost, after.refund, refund.task_id) == (Decimal("-0.25"), Decimal("0.25"), task.task_id)
    assert after.charge_record_id == charged.id and after.refund_record_id == refund.id
    assert refund.billing == {"refund_of": str(charged.id), "reason": f"task {end}"}
    for name in ("user_id", "token_id", "model_id", "group_id"):
        assert getattr(refund, name) == getattr(charged, name)
    assert sum(UsageDay.objects.values_list("cost", flat=True)) == 0
    assert TaskEvent.objects.filter(task=task, kind=EventKind.REFUND).count() == 1


@pytest.mark.parametrize("end", [S.SUCCEEDED, S.PARTIALLY_SUCCEEDED])
def test_what_succeeded_is_not_refunded(task: AsyncTask, alice: User, edge: Gateway, end: TaskStatus) -> None:
    cast.known_as(edge, alice, "alice")
    charge(task, "alice", "0.25")
    transition(task.pk, seen("1", end))
    assert not UsageRecord.objects.filter(type=RecordType.REFUND).exists()


def test_a_charge_that_arrives_after_the_failure_is_refunded_then(
    task: AsyncTask, alice: User, edge: Gateway
) -> None:
    cast.known_as(edge, alice, "alice")
    transition(task.pk, seen("1", S.FAILED))
    assert refunds.settle_waiting() == (0, 0)
    charge(task, "alice", "0.10")
    assert refunds.settle_waiting() == (1, 0)
    assert refunds.settle_waiting() == (0, 0)
    assert UsageRecord.objects.get(type=RecordType.REFUND).cost == Decimal("-0.10")


def test_a_charge_that_never_arrives_is_given_up_with_a_word(task: AsyncTask) -> None:
    transition(task.pk, seen("1", S.FAILED))
    AsyncTask.objects.update(finished_at=timezone.now() - refunds.WAIT_FOR_CHARGE - timedelta(hours=1))
    assert refunds.settle_waiting() == (0, 1)
    assert TaskEvent.objects.get(kind=EventKind.REFUND).reason == EventReason.NO_CHARGE


def test_what_the_gateway_gave_back_itself_is_not_given_back_again(
    task: AsyncTask, alice: User, edge: Gateway
) -> None:
    cast.known_as(edge, alice, "alice")
    charge(task, "alice", "0.25")
    names = resolve(edge, users_and_tokens=[("alice", "")], groups=[], models=[])
    given = UsageEvent(
        request_id="refund-1",
        created_at=task.submitted_at,
        type=RecordType.REFUND,
        user="alice",
        cost=Decimal("-0.25"),
        task_id=task.task_id,
    )
    store_named(edge.pk, names, [given])
    _, after = transition(task.pk, seen("1", S.FAILED))
    assert (after.refund, after.refund_record_id) == (Decimal("0.25"), None)
    assert UsageRecord.objects.filter(type=RecordType.REFUND).count() == 1


def test_a_gateway_that_refunds_itself_is_left_to_do_so(task: AsyncTask, alice: User, edge: Gateway) -> None:
    AsyncTask.objects.update(gateway_refunds=True)
    cast.known_as(edge, alice, "alice")
    charge(task, "alice", "0.25")
    _, after = transition(task.pk, seen("1", S.FAILED))
    assert not after.refund_due
    assert not UsageRecord.objects.filter(type=RecordType.REFUND).exists()


@pytest.mark.django_db(transaction=True)
def test_many_at_once_make_one_transition_and_one_refund() -> None:
    alice, edge = cast.person(), cast.gateway()
    cast.known_as(edge, alice, "alice")
    task = cast.a_task(alice, edge)
    charge(task, "alice", "0.25")
    outcomes: list[Outcome] = []
    barrier = threading.Barrier(6)

    def observe(number: int) -> None:
        # Two webhooks (one delivered twice), polls, and a stranger word, in the same instant.
        key = f"delivery-{number // 2}"
        barrier.wait()
        try:
            outcomes.append(transition(task.pk, seen(key, S.FAILED, failure_message="broke"))[0])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=observe, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(Outcome.CHANGED) == 1
    assert outcomes.count(Outcome.DUPLICATE) == 3
    assert TaskEvent.objects.filter(task=task).exclude(after="").count() == 1
    assert UsageRecord.objects.filter(type=RecordType.REFUND).count() == 1
    assert connection.vendor == "postgresql"
