"""Reports that come late say when it was so, and that is when it was."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from accounts.models import Gateway
from logs.models import RecordType
from tasks.following import lifecycle
from tasks.models import AsyncTask, EventReason, TaskEvent, TaskStatus
from tests.cast import event, store
from tests.test_task_api import body, counts, edge, headers, patch, post

__all__ = ["edge", "headers"]

pytestmark = pytest.mark.django_db

DAYS_AGO = timedelta(days=3)


def ago(**since_submission: float) -> str:
    """Return a time after the submission of a task of three days ago."""
    return (timezone.now() - DAYS_AGO + timedelta(**since_submission)).isoformat()


def timeline() -> list[tuple[str, str, datetime]]:
    """Return what the timeline says changed, in its order, and when."""
    events = TaskEvent.objects.order_by("at", "pk")
    return [(event.kind, event.after or event.reason, event.at) for event in events]


def test_what_was_so_earlier_stands_in_the_timeline_when_it_was_so(
    client: Client, headers: dict[str, str]
) -> None:
    submitted, began, ended = ago(), ago(seconds=20), ago(minutes=2)
    post(client, headers, body(created_at=submitted, status="running", reported_at=began))
    assert counts(patch(client, headers, {"status": "succeeded", "reported_at": ended})) == (1, 0, 0, 0)
    assert timeline() == [
        ("submitted", "", datetime.fromisoformat(submitted)),
        ("report", "running", datetime.fromisoformat(began)),
        ("report", "succeeded", datetime.fromisoformat(ended)),
    ]
    task = AsyncTask.objects.get()
    assert task.started_at == datetime.fromisoformat(began)
    assert task.finished_at == task.updated_at == datetime.fromisoformat(ended)
    assert counts(patch(client, headers, {"status": "succeeded", "reported_at": ended})) == (0, 1, 0, 0)
    assert len(timeline()) == 3


def test_times_that_are_told_are_not_those_of_the_report(client: Client, headers: dict[str, str]) -> None:
    began, ended, said = ago(seconds=20), ago(minutes=2), ago(minutes=9)
    told = {"started_at": began, "finished_at": ended, "reported_at": said}
    post(client, headers, body(created_at=ago(), status="succeeded", **told))
    task = AsyncTask.objects.get()
    assert (task.started_at, task.finished_at) == tuple(map(datetime.fromisoformat, (began, ended)))
    assert timeline()[-1] == ("report", "succeeded", datetime.fromisoformat(said))
    assert task.updated_at == datetime.fromisoformat(said)


def test_a_report_is_never_of_later_than_now_or_of_before_the_submission(
    client: Client, headers: dict[str, str], standing_clock: datetime
) -> None:
    submitted = ago()
    post(client, headers, body(created_at=submitted))
    patch(client, headers, {"status": "running", "reported_at": ago(hours=-1)})
    ahead = (standing_clock + timedelta(hours=1)).timestamp()
    patch(client, headers, {"status": "failed", "reported_at": ahead})
    assert [(word, at) for _, word, at in timeline()[1:]] == [
        ("running", datetime.fromisoformat(submitted)),
        ("failed", standing_clock),
    ]


def test_a_report_that_does_not_say_is_of_now(
    client: Client, headers: dict[str, str], standing_clock: datetime
) -> None:
    post(client, headers, body(created_at=ago()))
    patch(client, headers, {"status": "running", "reported_at": None})
    assert timeline()[-1] == ("report", "running", standing_clock)


@pytest.mark.parametrize("nonsense", ["yesterday", "2026-03-10T12:00:00", 1_773_144_000_000, -5, [], "1e999"])
def test_a_time_of_a_report_that_is_none_is_refused(
    client: Client, headers: dict[str, str], nonsense: object
) -> None:
    post(client, headers, body())
    for answer in (
        client.post(
            "/api/v1/tasks",
            json.dumps(body("task_2", reported_at=nonsense)),
            "application/json",
            headers=headers,
        ),
        client.patch(
            "/api/v1/tasks/task_1",
            json.dumps({"status": "failed", "reported_at": nonsense}),
            "application/json",
            headers=headers,
        ),
    ):
        [refused] = answer.json()["rejected"]
        assert refused["error"].startswith("reported_at: ")
    assert AsyncTask.objects.get().status == TaskStatus.QUEUED


def test_a_report_that_waited_for_its_task_keeps_its_time(client: Client, headers: dict[str, str]) -> None:
    began = ago(minutes=1)
    assert counts(patch(client, headers, {"status": "running", "reported_at": began})) == (0, 0, 1, 0)
    post(client, headers, body(created_at=ago()))
    assert timeline()[-1] == ("report", "running", datetime.fromisoformat(began))


def test_what_was_given_back_stands_there_too(client: Client, headers: dict[str, str], edge: Gateway) -> None:
    submitted, ended = ago(), ago(minutes=2)
    charged = {
        "request_id": "req_1",
        "task_id": "task_1",
        "model": "gen4_turbo",
        "group": "vip",
    }
    at = datetime.fromisoformat(submitted)
    store(edge, event(created_at=at, type=RecordType.TASK, cost=Decimal("0.25"), **charged))
    refunded = at + timedelta(minutes=2)
    store(edge, event(created_at=refunded, type=RecordType.REFUND, cost=Decimal("-0.25"), **charged))
    post(client, headers, body(created_at=submitted, status="failed", reported_at=ended))
    assert timeline()[-1] == ("refund", EventReason.GATEWAY_GAVE_BACK, datetime.fromisoformat(ended))


def test_a_task_of_the_past_that_its_gateway_tells_of_is_left_to_it(
    client: Client, headers: dict[str, str], standing_clock: datetime
) -> None:
    # Runway's tasks take a day at most.
    told = body("told", created_at=ago(), status="PONDERING", reported_at=ago(minutes=1))
    post(client, headers, [told, body("not told", created_at=ago()), body("recent", status="PONDERING")])
    now, tasks = standing_clock, {task.task_id: task for task in AsyncTask.objects.all()}
    assert tasks["told"].next_poll_at == tasks["told"].deadline_at
    assert tasks["told"].deadline_at and tasks["told"].deadline_at > now + timedelta(days=6)
    for name in ("not told", "recent"):
        task = tasks[name]
        assert task.next_poll_at and task.next_poll_at < now + timedelta(minutes=1)
        assert task.deadline_at == task.submitted_at + timedelta(days=1)


def test_nobody_asks_about_a_task_whose_end_is_about_to_be_taken_in(
    client: Client, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(lifecycle, "transition", away)
    both = [body("ended", status=word) for word in ("running", "SUCCEEDED")]
    answer = client.post(
        "/api/v1/tasks",
        json.dumps([*both, body("open", status="running")]),
        "application/json",
        headers=headers,
    )
    assert answer.status_code == 503
    now, due = timezone.now(), dict(AsyncTask.objects.values_list("task_id", "next_poll_at"))
    assert due["open"] < now + timedelta(seconds=5)
    assert now + timedelta(seconds=30) < due["ended"] < now + timedelta(minutes=2)
    monkeypatch.undo()
    assert counts(post(client, headers, both)) == (2, 0, 0, 0)
    ended = AsyncTask.objects.get(task_id="ended")
    assert (ended.status, ended.next_poll_at) == (TaskStatus.SUCCEEDED, None)
