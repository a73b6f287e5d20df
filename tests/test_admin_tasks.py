"""Everybody's tasks in the Django admin, read-only and cheap to list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.models import Gateway, User
from routescope.data.ids import derived_id
from tasks.models import AsyncTask, EventKind, TaskEvent, TaskStatus, TaskType
from tasks.tab import listing as tasks_listing
from tests.admin_pages import DAY, RECORDS, TASKS, client, link, listed, text
from tests.cast import NOON
from tests.moments import tasks as moments

__all__ = ["client"]


def task(gateway: Gateway, user: User, name: str, minutes: int = 0, **fields: Any) -> AsyncTask:
    moment = NOON + timedelta(minutes=minutes)
    moments.took(moment, (gateway.pk, name))
    made: AsyncTask = AsyncTask.objects.create(
        id=derived_id(moment, gateway.pk, name),
        submitted_at=moment,
        gateway=gateway,
        user=user,
        task_id=name,
        **{"platform": "runway", "type": TaskType.VIDEO, **fields},
    )
    return made


@pytest.fixture
def some_tasks(gateway: Gateway, alice: User, bob: User) -> list[AsyncTask]:
    return [
        task(gateway, alice, "t-1", provider_task_id="prov-1", request_id="a-1"),
        task(gateway, alice, "t-2", 1, status=TaskStatus.FAILED, failure_message="No <credit>"),
        task(gateway, bob, "t-3", 2, platform="suno", type=TaskType.MUSIC, result={"audio": ["<u>"]}),
        task(gateway, bob, "t-old", -60 * 24 * 400),
    ]


@pytest.mark.usefixtures("some_tasks")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["t-3", "t-2", "t-1"]),
        ({"status": "failed"}, ["t-2"]),
        ({"type": "music"}, ["t-3"]),
        ({"platform": "suno"}, ["t-3"]),
        ({"user": "alice"}, ["t-2", "t-1"]),
        ({"user": "alice", "status": "queued"}, ["t-1"]),
        ({"q": "t-old"}, ["t-old"]),
        ({"q": "prov-1"}, ["t-1"]),
        ({"q": "a-1"}, ["t-1"]),
        ({"q": "none"}, []),
    ],
)
def test_tasks_are_found_and_filtered(
    client: Client, alice: User, query: dict[str, Any], expected: list[str]
) -> None:
    chosen = {**DAY, **query}
    if "user" in chosen:
        chosen["user"] = str(alice.pk)
    assert listed(client.get(TASKS, chosen)) == expected


def test_a_task_shows_what_became_of_it_and_changes_nowhere(
    client: Client, some_tasks: list[AsyncTask]
) -> None:
    page = text(client.get(f"{TASKS}{some_tasks[1].pk}/change/"))
    assert "No <credit>" in page
    assert "Failed" in page
    assert f'href="{RECORDS}?q=a-1"' in text(client.get(f"{TASKS}{some_tasks[0].pk}/change/"))
    TaskEvent.objects.create(task=some_tasks[1], key="k", kind=EventKind.POLL, word="<dead>", http_status=502)
    page = text(client.get(f"{TASKS}{some_tasks[1].pk}/change/"))
    assert all(word in page for word in ("Timeline", "Polled", "<dead>", "502"))
    assert client.post(f"{TASKS}{some_tasks[1].pk}/change/", {"status": "queued"}).status_code == 403
    assert client.post(f"{TASKS}{some_tasks[1].pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{TASKS}x/change/").status_code == 302


def test_a_search_for_a_rare_task_stops_early_and_goes_on(
    client: Client, gateway: Gateway, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks_listing, "READ_AT_MOST", 10)
    for number in range(35):
        task(gateway, alice, f"t-{number}", number, platform="rare" if number in (3, 30, 34) else "runway")
    seen, url = [], f"{TASKS}?platform=rare&start=2026-03-10T00:00&end=2026-03-11T00:00"
    pages = 0
    while True:
        response = client.get(url)
        seen += listed(response)
        pages += 1
        if not (onward := link(response, "next")):
            break
        assert "the search stopped here" in text(response)
        url = TASKS + onward
    assert seen == ["t-34", "t-30", "t-3"]
    assert pages == 4
    while back := link(response, "prev"):
        response = client.get(TASKS + back)
        pages += 1
        assert pages < 10
    assert listed(response) == ["t-34", "t-30"]
