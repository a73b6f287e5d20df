"""How providers of other shapes are asked: a second request by the first answer, 202, errors that tell."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Gateway, User
from routescope.wire import outbound
from tasks.following.provider_calls import ask
from tasks.models import AsyncTask, EventReason, HostHealth, TaskEvent, TaskStatus
from tasks.providers.catalogue import built_in, built_in_source
from tasks.providers.definition import DefinitionError, parse
from tests import task_cast as cast
from tests.cast import signed_in
from tests.provider_cast import Answers, key_of, task
from tests.raw_provider import Raw, alice, answer, at, counted, edge, poll_all, raw

__all__ = ["alice", "edge", "raw"]


def test_minimax_is_asked_for_the_file_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Answers(
        monkeypatch,
        (200, {"task_id": "1", "status": "Success", "file_id": "2/3", "base_resp": {"status_code": 0}}),
        (200, {"file": {"file_id": 23, "download_url": "https://cdn.example/output.mp4"}}),
    )
    asked = ask(task(type="video"), built_in()["minimax"], key_of("minimax", "a key"))
    assert asked.finding is not None
    assert asked.finding.result == [{"kind": "video", "url": "https://cdn.example/output.mp4"}]
    assert [url for url, _ in provider.asked] == [
        "https://api.minimax.io/v1/query/video_generation?task_id=1",
        "https://api.minimax.io/v1/files/retrieve?file_id=2%2F3",
    ]


@pytest.mark.parametrize(
    "said",
    [
        {"task": {"id": "1", "status": "succeeded", "content": {"url": "https://cdn.example/v.mp4"}}},
        {"task_id": "1", "status": "Fail", "file_id": "2", "base_resp": {"status_code": 1026}},
        {"task_id": "1", "status": "Processing", "file_id": "2"},
    ],
)
def test_where_there_is_no_file_to_ask_for_nobody_asks(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    provider = Answers(monkeypatch, (200, said))
    ask(task(type="video"), built_in()["minimax"], key_of("minimax", "a key"))
    assert len(provider.asked) == 1


def test_a_file_that_cannot_be_had_any_more_leaves_a_success_without_a_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Answers(monkeypatch, (200, {"status": "Success", "file_id": "2"}), (404, {"error": "file not found"}))
    asked = ask(task(type="video"), built_in()["minimax"], key_of("minimax", "a key"))
    assert asked.finding is not None
    assert (asked.finding.status, asked.finding.result) == (TaskStatus.SUCCEEDED, [])


def test_the_newer_interface_is_asked_where_the_gateway_says(monkeypatch: pytest.MonkeyPatch) -> None:
    named = "https://api.minimaxi.com/v2/query/video_generation/1"
    provider = Answers(monkeypatch, (200, {"task": {"id": "1", "status": "running"}}))
    ask(task(type="video", poll_url=named), built_in()["minimax"], key_of("minimax", "a key"))
    assert provider.asked[0][0] == named


def test_pixverse_gets_another_trace_with_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Answers(monkeypatch, *[(200, {"ErrCode": 0, "Resp": {"status": 5}})] * 2)
    for _ in range(2):
        ask(task(), built_in()["pixverse"], key_of("pixverse", "a key"))
    traces = [headers["Ai-trace-id"] for _, headers in provider.asked]
    assert len(set(traces)) == 2 and all(len(trace) == 36 for trace in traces)
    assert provider.asked[0][1]["API-KEY"] == "a key"


def test_azure_is_asked_at_ones_own_resource_and_links_lead_there(monkeypatch: pytest.MonkeyPatch) -> None:
    base = "https://one.openai.azure.com"
    key = key_of("azure-videos", "a key", base_url=base)
    provider = Answers(
        monkeypatch,
        (200, {"id": "task_1", "status": "succeeded", "generations": [{"id": "gen_1"}]}),
        (200, {"id": "video_1", "object": "video", "status": "completed"}),
    )
    definition = built_in()["azure-videos"]
    job = ask(task(provider_task_id="task_1"), definition, key).finding
    video = ask(task(provider_task_id="video_1", poll_parameters={"kind": "videos"}), definition, key).finding
    assert [url for url, _ in provider.asked] == [
        f"{base}/openai/v1/video/generations/jobs/task_1?api-version=preview",
        f"{base}/openai/v1/videos/video_1?api-version=preview",
    ]
    assert job is not None and video is not None
    assert [piece["url"] for piece in (*job.result, *video.result)] == [
        f"{base}/openai/v1/video/generations/gen_1/content/video?api-version=preview",
        f"{base}/openai/v1/videos/video_1/content?api-version=preview",
    ]


def test_another_resource_of_azures_never_gets_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of("azure-videos", "a key", base_url="https://one.openai.azure.com")
    provider = Answers(monkeypatch, (200, {"status": "queued"}))
    named = "https://others.openai.azure.com/openai/v1/videos/1"
    ask(task(poll_url=named), built_in()["azure-videos"], key)
    assert provider.asked[0][0].startswith("https://one.openai.azure.com/")


class Silent:
    """Answers with HTTP 202 and no word."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes) -> None:
        said = outbound.Answer(status, {}, body, "https://api.x.ai/")
        monkeypatch.setattr(outbound, "request", lambda *_, **__: said)


@pytest.mark.parametrize("body", [b"", b" \n", json.dumps({"status": "pending"}).encode()])
def test_accepted_means_that_it_is_still_at_work(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    Silent(monkeypatch, 202, body)
    asked = ask(task(), built_in()["xai-videos"], key_of("xai-videos", "a key"))
    assert asked.finding is not None and asked.finding.status == TaskStatus.RUNNING


@pytest.mark.parametrize("status", [200, 204])
def test_an_empty_answer_of_another_kind_is_none(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    Silent(monkeypatch, status, b"")
    asked = ask(task(), built_in()["xai-videos"], key_of("xai-videos", "a key"))
    assert asked.finding is None and "no JSON" in asked.note


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('file_id = "file_id" }', 'file_id = "file_id[" }'), "JMESPath"),
        (('first = "10s"', 'first = "10s"\nmost_bytes = 99_999_999'), "most_bytes"),
        (('url || url", kind', 'url || url", url = "https://x/{file}", kind'), "neither"),
        (('of = "failed"', 'of = "broken"'), "broken"),
    ],
)
def test_a_definition_of_a_new_shape_says_what_to_mend(change: tuple[str, str], complaint: str) -> None:
    source = built_in_source("minimax")
    assert change[0] in source
    with pytest.raises(DefinitionError, match=complaint):
        parse(source.replace(*change))


# --- Errors that tell of the task ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "404 Not Found", "410 Gone", "422 Unprocessable Entity"]
)
def test_an_error_that_says_the_task_has_expired_ends_it(
    raw: Raw, alice: User, edge: Gateway, status: str
) -> None:
    body = {"error": {"code": "task_expired", "message": "This task has expired."}}
    raw.answers["odd"] = answer(json.dumps(body).encode(), status=status)
    odd = at(raw, "odd", alice, edge, result=[{"kind": "video", "url": "https://cdn.example/v.mp4"}])
    poll_all()
    odd.refresh_from_db()
    assert odd.status == TaskStatus.EXPIRED
    assert (odd.failure_code, odd.failure_message) == ("task_expired", "This task has expired.")
    assert odd.result is None and odd.next_poll_at is None
    assert TaskEvent.objects.get(task=odd, after=TaskStatus.EXPIRED).http_status == int(status[:3])
    assert "expired" in signed_in(alice).get(f"/records/tasks/{odd.pk}/").content.decode()


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        ("404 Not Found", {"error": {"code": "TaskNotFound", "message": "x"}}, EventReason.NOT_FOUND),
        ("400 Bad Request", {"code": 400, "message": "task_id does not exist"}, EventReason.NOT_FOUND),
        ("200 OK", {"code": 422, "msg": "recordInfo is null", "data": None}, EventReason.NOT_FOUND),
        ("400 Bad Request", {"message": "the token has expired"}, EventReason.UNREADABLE),
        ("401 Unauthorized", {"message": "the task has expired"}, EventReason.NOT_ALLOWED),
        ("500 Internal Server Error", {"message": "task expired"}, EventReason.NO_ANSWER),
        ("200 OK", {"error": {"code": "1002", "message": "rate limit"}}, EventReason.SLOWED),
        (
            "200 OK",
            {"error": {"code": 1004, "message": "login fail: invalid api key"}},
            EventReason.NOT_ALLOWED,
        ),
        ("200 OK", {"error": "odd"}, EventReason.UNREADABLE),
    ],
)
def test_an_error_that_does_not_end_the_task_is_told_as_what_it_is(
    raw: Raw, alice: User, edge: Gateway, status: str, body: dict[str, Any], reason: EventReason
) -> None:
    raw.answers["odd"] = answer(json.dumps(body).encode(), status=status)
    odd = at(raw, "odd", alice, edge)
    poll_all()
    if reason is not EventReason.SLOWED:
        counted(odd, reason)
    odd.refresh_from_db()
    assert odd.status == TaskStatus.QUEUED
    assert TaskEvent.objects.get(task=odd).reason == reason
    paused = HostHealth.objects.filter(host=raw.host, paused_until__gt=timezone.now())
    assert paused.exists() is (reason is EventReason.SLOWED)


# --- What came of a task, and what did not ---------------------------------------------------------------


def test_what_comes_inside_an_answer_is_told_and_not_kept(raw: Raw, alice: User, edge: Gateway) -> None:
    inside = {"status": "succeeded", "result": {"b64_json": "QUJD" * 100_000}}
    raw.answers["odd"] = answer(json.dumps(inside).encode())
    made = at(raw, "odd", alice, edge)
    poll_all()
    made.refresh_from_db()
    assert made.result == [{"kind": "image", "inside": 300_000}]
    page = signed_in(alice).get(f"/records/tasks/{made.pk}/").content.decode()
    assert "part of the provider" in page.replace("&#x27;", "'") and "293.0" in page and "QUJD" not in page


def test_a_link_that_was_told_beforehand_goes_with_a_failure(raw: Raw, alice: User, edge: Gateway) -> None:
    raw.answers["odd"] = answer(b'{"status": "failed", "error": "it broke"}')
    told = [{"kind": "video", "url": "https://cdn.example/v.mp4"}, {"kind": "json", "data": {"seed": 7}}]
    odd = at(raw, "odd", alice, edge, status=TaskStatus.RUNNING, result=told)
    poll_all()
    odd.refresh_from_db()
    assert (odd.status, odd.result) == (TaskStatus.FAILED, told[1:])


def test_a_large_answer_is_read_where_results_come_inside(raw: Raw, alice: User, edge: Gateway) -> None:
    cast.a_key("veo", "a key", base_url=raw.url("")[:-1])
    video = {"bytesBase64Encoded": "QUJD" * 1_500_000, "mimeType": "video/mp4"}
    raw.answers["models/veo/operations/1"] = answer(
        json.dumps({"name": "x", "done": True, "response": {"videos": [video]}}).encode()
    )
    made = cast.a_task(
        alice,
        edge,
        platform="veo",
        provider_task_id="models/veo/operations/1",
        deadline_at=timezone.now() + timedelta(hours=1),
    )
    poll_all()
    made = AsyncTask.objects.get(pk=made.pk)
    assert (made.status, made.result) == (TaskStatus.SUCCEEDED, [{"kind": "video", "inside": 4_500_000}])
