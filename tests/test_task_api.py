"""Gateways register tasks and report on them: any number of times, in any order."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from accounts.models import Gateway, User
from logs.models import RecordType
from tasks.following import lifecycle
from tasks.models import AsyncTask, EarlyReport, EventKind, EventReason, TaskEvent, TaskStatus, TaskType
from tests import task_cast as cast
from tests.cast import event, store

pytestmark = pytest.mark.django_db


@pytest.fixture
def edge() -> Gateway:
    return cast.gateway()


@pytest.fixture
def headers(edge: Gateway) -> dict[str, str]:
    return cast.key(edge)


def body(task_id: str = "task_1", **fields: Any) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "created_at": (timezone.now() - timedelta(minutes=5)).isoformat(),
        "user": "alice@example.com",
        "token": "prod",
        "model": "gen4_turbo",
        "group": "vip",
        "request_id": "req_1",
        "platform": "runwayml",
        "provider_task_id": "rw-1",
        "cost": "0.25",
        **fields,
    }


def post(client: Client, headers: dict[str, str], data: Any) -> dict[str, Any]:
    answer = client.post("/api/v1/tasks", json.dumps(data), "application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def patch(client: Client, headers: dict[str, str], data: Any, task_id: str = "task_1") -> dict[str, Any]:
    url = f"/api/v1/tasks/{task_id}"
    answer = client.patch(url, json.dumps(data), "application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    return answer["accepted"], answer["duplicates"], answer["pending"], len(answer["rejected"])


def test_a_task_is_registered_with_its_names_resolved(client: Client, headers: dict[str, str]) -> None:
    alice = cast.person("alice@example.com")
    assert counts(post(client, headers, body())) == (1, 0, 0, 0)
    task = AsyncTask.objects.get()
    assert (task.user, task.platform, task.type) == (alice, "runway", TaskType.VIDEO)
    assert task.token and task.model and task.group
    assert (task.token.name, task.model.name, task.group.name) == ("prod", "gen4_turbo", "vip")
    assert task.status == TaskStatus.QUEUED and task.next_poll_at and task.deadline_at
    assert TaskEvent.objects.get().kind == EventKind.SUBMITTED


def test_the_same_task_twice_is_one(client: Client, headers: dict[str, str]) -> None:
    first = body()
    assert counts(post(client, headers, first)) == (1, 0, 0, 0)
    assert counts(post(client, headers, first)) == (0, 1, 0, 0)
    later = {**first, "created_at": timezone.now().isoformat()}
    assert counts(post(client, headers, [later, later])) == (0, 2, 0, 0)
    assert AsyncTask.objects.count() == TaskEvent.objects.count() == 1


def test_a_bad_task_costs_no_good_one(client: Client, headers: dict[str, str]) -> None:
    answer = post(client, headers, [body("a"), {**body("b"), "type": "poem"}, {"task_id": "c"}, body("d")])
    assert counts(answer) == (2, 0, 0, 2)
    assert [(one["index"], one["task_id"]) for one in answer["rejected"]] == [(1, "b"), (2, "c")]
    assert "poem" in answer["rejected"][0]["error"] and "created_at" in answer["rejected"][1]["error"]


@pytest.mark.parametrize("shift", [timedelta(days=2), timedelta(days=-5000)])
def test_a_task_of_an_impossible_time_is_refused(
    client: Client, headers: dict[str, str], shift: timedelta
) -> None:
    answer = post(client, headers, body(created_at=(timezone.now() + shift).isoformat()))
    assert counts(answer) == (0, 0, 0, 1)


def test_reports_move_a_task_to_its_end(client: Client, headers: dict[str, str]) -> None:
    post(client, headers, body())
    assert counts(patch(client, headers, {"status": "running", "progress": "40%"})) == (1, 0, 0, 0)
    assert counts(patch(client, headers, {"status": "running", "progress": "40%"})) == (0, 1, 0, 0)
    done = {"status": "succeeded", "result": {"url": "https://cdn.example/v.mp4"}}
    assert counts(patch(client, headers, done)) == (1, 0, 0, 0)
    assert counts(patch(client, headers, {"status": "running", "progress": 60})) == (0, 1, 0, 0)
    task = AsyncTask.objects.get()
    assert (task.status, task.progress) == (TaskStatus.SUCCEEDED, 100)
    assert task.result == [{"kind": "video", "url": "https://cdn.example/v.mp4"}]


def test_the_providers_own_words_are_understood(client: Client, headers: dict[str, str]) -> None:
    post(client, headers, body())
    patch(client, headers, {"provider_status": "THROTTLED"})
    assert AsyncTask.objects.get().status == TaskStatus.QUEUED
    patch(client, headers, {"status": "FAILED", "error": {"code": "INTERNAL", "message": "it broke"}})
    task = AsyncTask.objects.get()
    assert (task.status, task.failure_code, task.failure_message) == ("failed", "INTERNAL", "it broke")


def test_a_word_that_nobody_knows_is_kept(client: Client, headers: dict[str, str]) -> None:
    post(client, headers, body(status="PONDERING"))
    task = AsyncTask.objects.get()
    assert (task.status, task.provider_status) == (TaskStatus.UNKNOWN, "PONDERING")


def test_a_report_that_overtakes_the_registration_waits_for_it(
    client: Client, headers: dict[str, str]
) -> None:
    assert counts(patch(client, headers, {"status": "running"})) == (0, 0, 1, 0)
    made = "https://cdn.example/poem.txt"
    assert counts(patch(client, headers, {"status": "succeeded", "result": made})) == (0, 0, 1, 0)
    post(client, headers, body())
    task = AsyncTask.objects.get()
    assert (task.status, task.result) == (TaskStatus.SUCCEEDED, [{"kind": "text", "url": made}])
    assert not EarlyReport.objects.exists()


def test_many_reports_in_one_request(client: Client, headers: dict[str, str]) -> None:
    post(client, headers, [body("a"), body("b")])
    lines = b'{"task_id": "a", "status": "running"}\n{"task_id": "b", "status": "failed"}\nnot json'
    answer = client.patch("/api/v1/tasks", lines, "application/json", headers=headers)
    assert counts(answer.json()) == (2, 0, 0, 1)
    assert AsyncTask.objects.get(task_id="b").status == TaskStatus.FAILED


def test_a_gateway_cannot_report_on_anothers_task(client: Client, headers: dict[str, str]) -> None:
    post(client, headers, body())
    stranger = cast.key(cast.gateway("other"))
    assert counts(patch(client, stranger, {"status": "failed"})) == (0, 0, 1, 0)
    assert AsyncTask.objects.get().status == TaskStatus.QUEUED


def test_a_report_that_names_another_task_is_refused(client: Client, headers: dict[str, str]) -> None:
    answer = client.patch(
        "/api/v1/tasks/a", b'{"task_id": "b", "status": "failed"}', "application/json", headers=headers
    )
    assert answer.status_code == 422 and not EarlyReport.objects.exists()


def test_a_gateways_ids_may_hold_slashes(client: Client, headers: dict[str, str]) -> None:
    name = "projects/p/locations/l/batchPredictionJobs/1"
    post(client, headers, body(name))
    patch(client, headers, {"status": "running"}, task_id=name)
    assert AsyncTask.objects.get().status == TaskStatus.RUNNING


@pytest.mark.parametrize(
    ("sent", "status"), [(b"", 400), (b"[1", 400), (b"hello", 400), (b"[" + b"{}," * 1000 + b"{}]", 413)]
)
def test_what_cannot_be_decoded_is_refused_as_a_whole(
    client: Client, headers: dict[str, str], sent: bytes, status: int
) -> None:
    answer = client.post("/api/v1/tasks", sent, "application/json", headers=headers)
    assert answer.status_code == status and "error" in answer.json()


def test_without_a_key_nothing_is_taken_in(client: Client) -> None:
    for answer in (
        client.post("/api/v1/tasks", json.dumps(body()), "application/json"),
        client.patch("/api/v1/tasks/task_1", b"{}", "application/json"),
    ):
        assert answer.status_code == 401 and answer["WWW-Authenticate"]
    assert not AsyncTask.objects.exists() and not User.objects.exists()


def test_a_task_of_a_platform_that_nobody_polls_waits_for_its_gateway(
    client: Client, headers: dict[str, str]
) -> None:
    post(client, headers, body(platform="in-house renderer"))
    task = AsyncTask.objects.get()
    assert task.platform == "in-house renderer"
    assert task.next_poll_at == task.deadline_at and task.deadline_at
    assert task.deadline_at > timezone.now() + timedelta(days=6)


# --- Reports that come late --------------------------------------------------------------------------------

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
