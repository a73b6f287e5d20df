"""Gateways register tasks and report on them: any number of times, in any order."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Gateway, User
from tasks.models import (
    UNSUCCESSFUL_STATUSES,
    AsyncTask,
    EarlyReport,
    EventKind,
    TaskEvent,
    TaskStatus,
    TaskType,
)
from tests import task_cast as cast

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


@pytest.mark.parametrize("word", ["SUCCEEDED", "Succeeded", "succeeded"])
def test_our_words_are_understood_in_any_case(client: Client, headers: dict[str, str], word: str) -> None:
    post(client, headers, body(platform="a-platform-of-ones-own"))
    patch(client, headers, {"status": word})
    assert AsyncTask.objects.get().status == TaskStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("platform", "word", "right"),
    [
        ("hailuo", "PREPARING", TaskStatus.QUEUED),
        ("seedance", "Running", TaskStatus.RUNNING),
        ("jimeng", "Done", TaskStatus.SUCCEEDED),
        ("jimeng", "50412", TaskStatus.MODERATED),
        ("pixverse", "7", TaskStatus.MODERATED),
        ("tencent", "wait", TaskStatus.QUEUED),
        ("kie", "first_success", TaskStatus.RUNNING),
        ("Grok", "EXPIRED", TaskStatus.EXPIRED),
        ("azure", "Preprocessing", TaskStatus.QUEUED),
        ("gemini-batch", "batch_state_running", TaskStatus.RUNNING),
        ("mistral", "timeout_exceeded", TaskStatus.EXPIRED),
        ("veo", "DONE", TaskStatus.SUCCEEDED),
    ],
)
def test_the_words_of_every_provider_are_understood_in_any_case(
    client: Client, headers: dict[str, str], platform: str, word: str, right: TaskStatus
) -> None:
    post(client, headers, body(platform=platform))
    patch(client, headers, {"status": word})
    task = AsyncTask.objects.get()
    assert (task.status, task.provider_status) == (right, word)


@pytest.mark.parametrize("status", UNSUCCESSFUL_STATUSES)
@pytest.mark.parametrize("platform", ["sora", "azure", "a-platform-of-ones-own"])
def test_a_report_of_a_failure_links_nothing(
    client: Client, headers: dict[str, str], platform: str, status: TaskStatus
) -> None:
    content = "https://gateway.example/v1/videos/video_1/content"
    post(client, headers, body(platform=platform, status="running", result=content))
    assert AsyncTask.objects.get().result
    error = {"code": "moderation_blocked", "message": "Your request was blocked by our moderation system."}
    patch(client, headers, {"status": status.upper(), "error": error, "result": {"url": content}})
    patch(client, headers, {"status": status, "result": content})
    patch(client, headers, {"result": content})
    task = AsyncTask.objects.get()
    assert (task.status, task.result, task.failure_code) == (status, None, "moderation_blocked")


def test_a_report_of_a_success_in_part_links_what_was_made(client: Client, headers: dict[str, str]) -> None:
    made = {"url": "https://cdn.example/v.mp4"}
    post(client, headers, body(status="partially_succeeded", result=made, error="one was refused"))
    assert AsyncTask.objects.get().result == [{"kind": "video", **made}]


def test_a_background_response_is_a_type_of_its_own(client: Client, headers: dict[str, str]) -> None:
    post(client, headers, body(platform="openai-responses", provider_task_id="resp_1"))
    assert AsyncTask.objects.get().type == TaskType.RESPONSE


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
