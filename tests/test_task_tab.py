"""Task Logs over HTTP: list, filters, ID search, live rows, details, results, isolation."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings as SettingsWrapper

from accounts.models import AIModel, ApiToken, Gateway, User
from logs.models import ContentPolicy, Level
from routescope.web import notices
from tasks.following.lifecycle import transition
from tasks.models import AsyncTask, EventKind, TaskStatus, TaskType
from tasks.outcomes.observations import Observation
from tests import task_cast
from tests.cast import event, signed_in, store
from tests.work import counted

S = TaskStatus
PAGE = "/records/tasks/"


def listed(client: Client, **query: Any) -> list[str]:
    return re.findall(r'class="c-id id" title="([^"]+)"', client.get(PAGE, query).content.decode())


def text(client: Client, url: str, **query: Any) -> str:
    return client.get(url, query).content.decode()


@pytest.fixture
def task(alice: User, gateway: Gateway) -> AsyncTask:
    return task_cast.a_task(alice, gateway, task_id="task_one", request_id="req_one", cost=Decimal("0.25"))


def ended(task: AsyncTask, status: TaskStatus, **fields: Any) -> AsyncTask:
    return transition(task.pk, Observation(key="end", kind=EventKind.POLL, status=status, **fields))[1]


def test_a_person_sees_their_own_tasks_only(
    alice_client: Client, bob: User, gateway: Gateway, task: AsyncTask
) -> None:
    task_cast.a_task(bob, gateway, task_id="task_bob")
    assert listed(alice_client) == ["task_one"]
    assert listed(signed_in(bob)) == ["task_bob"]


def test_a_strangers_task_is_not_there_in_any_view(bob: User, task: AsyncTask) -> None:
    stranger = signed_in(bob)
    for view in ("", "row/", "details/", "media/"):
        assert stranger.get(f"{PAGE}{task.pk}/{view}").status_code == 404
    assert stranger.get(PAGE, {"task_id": "task_one"}).status_code == 404
    assert "task_one" not in text(stranger, f"{PAGE}live/", id=str(task.pk))


def test_nobody_sees_tasks_without_signing_in(client: Client, task: AsyncTask) -> None:
    for url in (PAGE, f"{PAGE}results/", f"{PAGE}live/", f"{PAGE}{task.pk}/", f"{PAGE}{task.pk}/media/"):
        assert client.get(url).status_code == 302


def test_filters_narrow_the_list(alice: User, alice_client: Client, gateway: Gateway) -> None:
    token = ApiToken.objects.create(owner=alice, name="prod")
    model = AIModel.objects.create(name="gen4_turbo")
    make = task_cast.a_task
    make(alice, gateway, task_id="video", token=token, model=model)
    make(alice, gateway, task_id="song", platform="suno", type=TaskType.MUSIC, status=S.SUCCEEDED)
    make(alice, gateway, task_id="old", submitted_at=timezone.now() - timedelta(days=20))
    assert listed(alice_client) == ["song", "video"]
    assert listed(alice_client, range="30d") == ["song", "video", "old"]
    assert listed(alice_client, type="music") == ["song"]
    assert listed(alice_client, status=["succeeded", "failed"]) == ["song"]
    assert listed(alice_client, platform="runway") == ["video"]
    assert listed(alice_client, model="gen4_turbo") == ["video"]
    assert listed(alice_client, token="prod") == ["video"]
    assert listed(alice_client, token="nobody's") == []
    page = text(alice_client, PAGE, platform="suno")
    assert "Platform: Suno" in page


@pytest.mark.parametrize("typed", ["task_one", ' "task_one" ', "task_id: task_one", "rw-known", "req_one"])
def test_an_id_is_found_whatever_the_date_filter_says(
    alice: User, alice_client: Client, gateway: Gateway, typed: str
) -> None:
    task_cast.a_task(
        alice,
        gateway,
        task_id="task_one",
        request_id="req_one",
        provider_task_id="rw-known",
        submitted_at=timezone.now() - timedelta(days=200),
    )
    answer = alice_client.get(PAGE, {"task_id": typed, "range": "1h", "status": "failed"})
    assert answer.status_code == 200
    assert 'id="detail-' in answer.content.decode()  # opened in place


def test_an_id_of_the_other_tab_is_led_there(alice_client: Client, gateway: Gateway, task: AsyncTask) -> None:
    store(gateway, event(request_id="req_alone"))
    page = text(alice_client, PAGE, task_id="req_alone")
    assert "Show the request" in page and "/records/usage/?request_id=req_alone" in page
    page = text(alice_client, "/records/usage/", request_id="task_one")
    assert "Show the task" in page and "/records/tasks/?task_id=task_one" in page


def test_pages_go_on_where_the_last_one_ended(alice: User, alice_client: Client, gateway: Gateway) -> None:
    now = timezone.now()
    names = [f"task_{number:03}" for number in range(120)]
    for number, name in enumerate(names):
        task_cast.a_task(alice, gateway, task_id=name, submitted_at=now - timedelta(minutes=200 - number))
    seen: list[str] = []
    query: dict[str, str] = {}
    for _ in range(3):
        seen += listed(alice_client, **query)
        found = re.search(r'id="page-older"[^>]*older=([0-9a-f-]{36})', text(alice_client, PAGE, **query))
        query = {"older": found[1]} if found else {}
    assert seen == names[::-1]


def test_an_open_task_asks_anew_and_a_final_one_does_not(alice_client: Client, task: AsyncTask) -> None:
    page = text(alice_client, PAGE)
    [poller] = re.findall(r'hx-get="(/records/tasks/live/[^"]+)"', page)
    fragment = text(alice_client, poller)
    assert 'hx-trigger="every 3s"' in fragment and f'id="status-{task.pk.hex}" hx-swap-oob="true"' in fragment
    ended(task, S.SUCCEEDED)
    last = text(alice_client, poller)
    assert "Succeeded" in last and "hx-trigger" not in last and "data-announce" in last
    assert "hx-trigger" not in text(alice_client, f"{PAGE}{task.pk}/details/")


def test_a_result_is_shown_in_a_sandbox_that_may_load_it_and_nothing_else(
    alice_client: Client, task: AsyncTask
) -> None:
    ContentPolicy.objects.create(gateway=task.gateway, level=Level.FULL)
    result = [
        {"kind": "image", "url": "https://cdn.example/a.png"},
        {"kind": "image", "url": "http://cdn.example/plain.png"},
        {"kind": "image", "url": "https://evil.example/;script-src *"},
        {"kind": "video", "url": "https://api.example/content", "needs_key": True},
        {"kind": "text", "text": "<script>alert(1)</script>"},
    ]
    ended(task, S.SUCCEEDED, result=result)
    page = text(alice_client, f"{PAGE}{task.pk}/")
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert '<iframe class="media-frame' in page and "<img" not in page
    frame = alice_client.get(f"{PAGE}{task.pk}/media/")
    policy = frame["Content-Security-Policy"]
    assert "img-src https://cdn.example;" in policy and "sandbox allow-scripts" in policy
    # No script but our own, and none of them with an origin.
    assert "script-src http://testserver/static/js/media-frame.js;" in policy
    assert "allow-same-origin" not in policy and "allow-same-origin" not in page
    assert frame["Referrer-Policy"] == "no-referrer" and frame["X-Frame-Options"] == "SAMEORIGIN"
    assert frame.content.decode().count("<img") == 1


def test_each_thing_has_a_frame_of_its_own_that_may_load_it_alone(
    alice_client: Client, task: AsyncTask
) -> None:
    result = [
        {"kind": "video", "url": "https://one.example/a.mp4"},
        {"kind": "image", "url": "https://two.example/a.png"},
        {"kind": "audio", "url": "https://three.example/a.mp3"},
        {"kind": "video", "url": "gs://bucket/b.mp4"},
        {"kind": "image", "url": "http://four.example/b.png"},
    ]
    ended(task, S.SUCCEEDED, result=result)
    page = text(alice_client, f"{PAGE}{task.pk}/")
    frames = re.findall(r'<iframe class="media-frame" src="([^"]+)"', page)
    # The picture is what the video begins with.
    assert len(frames) == 2
    film, song = (alice_client.get(frame) for frame in frames)
    policy = film["Content-Security-Policy"]
    assert "media-src https://one.example https://two.example;" in policy and "three" not in policy
    assert 'poster="https://two.example/a.png"' in film.content.decode()
    assert "media-src https://three.example;" in song["Content-Security-Policy"]
    assert "in the provider&#x27;s own storage" in page and "not encrypted (http)" in page
    assert page.count("data-save") == 3 and page.count("data-whole") == 1
    for piece in ("0", "3", "-1", "x", "٣"):
        nothing = alice_client.get(f"{PAGE}{task.pk}/media/", {"piece": piece})
        assert "img-src 'none'" in nothing["Content-Security-Policy"] and b"data-made" not in nothing.content


def test_of_many_things_some_are_shown_and_all_are_linked(alice_client: Client, task: AsyncTask) -> None:
    result = [{"kind": "image", "url": f"https://cdn.example/{number}.png"} for number in range(40)]
    ended(task, S.SUCCEEDED, result=result)
    page = text(alice_client, f"{PAGE}{task.pk}/")
    assert page.count("<iframe") == 12 and "28 more are among the links below" in page
    assert page.count('rel="noreferrer noopener">') >= 40


def test_expired_links_are_not_loaded(alice_client: Client, task: AsyncTask) -> None:
    past = timezone.now() - timedelta(minutes=1)
    result = [{"kind": "image", "url": "https://cdn.example/a.png"}]
    ended(task, S.SUCCEEDED, result=result, result_expires_at=past)
    page = text(alice_client, f"{PAGE}{task.pk}/")
    assert "links expired at" in page and "<iframe" not in page
    assert "<img" not in text(alice_client, f"{PAGE}{task.pk}/media/")


@pytest.mark.usefixtures("standing_clock")
def test_an_expiry_ahead_counts_down(alice_client: Client, task: AsyncTask) -> None:
    result = [{"kind": "image", "url": "https://cdn.example/a.png"}]
    ended(task, S.SUCCEEDED, result=result, result_lifetime=timedelta(minutes=10))
    page = text(alice_client, f"{PAGE}{task.pk}/")
    assert re.search(r'data-countdown="[^"]+">Links expire in 10 m 0 s', page)


def test_a_failure_names_its_cause_and_the_next_step(
    alice_client: Client, task: AsyncTask, settings: SettingsWrapper
) -> None:
    settings.PLAYGROUND_URL = "https://play.example/{type}?m={model}"
    ended(task, S.FAILED, word="FAILED", failure_code="BAD_INPUT", failure_message="Invalid aspect ratio 7:1")
    page = text(alice_client, f"{PAGE}{task.pk}/")
    for expected in ("Cause: Parameters", "Invalid aspect ratio 7:1", "BAD_INPUT", "Correct the input"):
        assert expected in page
    assert 'href="https://play.example/video?m="' in page


def test_the_timeline_counts_polls_without_news(alice_client: Client, task: AsyncTask) -> None:
    for number in range(9):
        transition(task.pk, Observation(key=f"p{number}", kind=EventKind.POLL, status=S.QUEUED))
    page = text(alice_client, f"{PAGE}{task.pk}/")
    assert "Polled 9 times since" in page


def test_task_and_request_link_to_each_other(alice_client: Client, gateway: Gateway, task: AsyncTask) -> None:
    store(gateway, event(request_id="req_one", task_id="task_one"))
    assert "/records/usage/?request_id=req_one" in text(alice_client, f"{PAGE}{task.pk}/")
    assert "/records/tasks/?task_id=task_one" in text(alice_client, "/records/usage/", request_id="req_one")


def test_the_first_page_costs_the_same_with_many_tasks(
    alice: User, alice_client: Client, gateway: Gateway, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        task_cast.a_task(alice, gateway, task_id=f"t{number}")
    notices.current()  # Which one page in two seconds asks.
    with django_assert_max_num_queries(16):
        alice_client.get(PAGE)


@pytest.mark.slow
def test_the_first_page_reads_few_of_100000_open_tasks(
    alice: User, alice_client: Client, gateway: Gateway
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tasks_asynctask (id, submitted_at, updated_at, user_id, gateway_id, task_id,"
            " provider_task_id, request_id, platform, type, status, provider_status, failure_code,"
            " failure_message, gateway_refunds, refund_due, poll_url, poll_parameters, next_poll_at, polls,"
            " poll_failures)"
            " SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - n * 1000), 12, '0')"
            " || '8' || lpad(to_hex(n %% 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid,"
            " now() - n * interval '1 second', now(), %s, %s, 't' || n, 'p' || n, '', 'runway', 'video',"
            " CASE n %% 1000 WHEN 0 THEN 'failed' ELSE 'running' END, '', '', '', false, false, '', '{}',"
            " now(), 0, 0 FROM generate_series(1, 100000) AS n",
            [alice.pk, gateway.pk],
        )
        cursor.execute("ANALYZE tasks_asynctask")
    for query in ({}, {"status": "failed"}, {"range": "all"}, {"task_id": "t77777"}):
        with counted("tasks_asynctask") as work:
            assert alice_client.get(PAGE, query).status_code == 200
        assert 0 < work.read < 60_000, (query, work)
