"""How many tasks there are, by status: exact under every filter, whoever writes, folded in or not."""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client

from accounts.models import AIModel, ApiToken, Gateway, User
from routescope.data.keyset import Cursor
from routescope.data.scopes import Scope
from tasks.following.lifecycle import transition
from tasks.models import AsyncTask, EventKind, TaskDayFolded, TaskHourFolded, TaskStatus, TaskType
from tasks.outcomes.observations import Observation
from tasks.providers.catalogue import catalogue
from tasks.sums import counts, pending
from tasks.tab import listing
from tasks.tab.filters import TaskFilter
from tests import task_cast
from tests.cast import signed_in

PAGE = "/records/tasks/"
S = TaskStatus


def filters(user: User, query: str = "") -> TaskFilter:
    return TaskFilter(QueryDict(query), scope=Scope.own(user), catalogue=catalogue())


def counted(user: User, query: str = "") -> dict[str, int]:
    return counts.by_status(Scope.own(user), filters(user, query).selection)


@pytest.fixture
def mixed(alice: User, bob: User, gateway: Gateway) -> list[AsyncTask]:
    """Two hundred tasks of sixty days in every state, and some of a stranger."""
    return task_cast.a_mixture(alice, bob, gateway, 200, random.Random(7))


QUERIES = (
    "range=all", "range=30d", "range=7d", "range=24h", "range=1h", "range=90d&platform=suno",
    "range=all&type=video&type=music", "range=all&token=prod", "range=30d&model=sora-2&token=staging",
    "range=all&group=vip", "range=all&platform=nobody", "range=all&status=failed&status=queued",
)  # fmt: skip


@pytest.mark.parametrize("folded", [False, True])
def test_counts_are_those_of_the_tasks_themselves(alice: User, mixed: list[AsyncTask], folded: bool) -> None:
    if folded:
        assert pending.fold() > 0
        assert pending.fold() == 0
    for query in QUERIES:
        chosen = filters(alice, query)
        rows = (
            AsyncTask.objects.visible_to(Scope.own(alice))
            .within(chosen.selection.chosen)
            .filter(chosen.conditions)
        )
        assert counts.by_status(Scope.own(alice), chosen.selection) == Counter(
            rows.values_list("status", flat=True)
        ), query


def test_whoever_writes_counts(alice: User, gateway: Gateway) -> None:
    at = datetime(2026, 3, 10, 12, 5, tzinfo=UTC)
    task = task_cast.a_task(alice, gateway, submitted_at=at)
    other = task_cast.a_task(alice, gateway, submitted_at=at + timedelta(minutes=1))
    query = "start=2026-03-10T12:00Z&end=2026-03-10T13:00Z"
    assert counted(alice, query) == {"queued": 2}
    transition(task.pk, Observation(key="1", kind=EventKind.POLL, status=S.RUNNING))
    assert counted(alice, query) == {"queued": 1, "running": 1}
    pending.fold()
    transition(task.pk, Observation(key="2", kind=EventKind.POLL, status=S.FAILED))
    AsyncTask.objects.filter(pk=other.pk).update(status=S.SUCCEEDED, platform="suno")
    assert counted(alice, query) == {"failed": 1, "succeeded": 1}
    assert counted(alice, f"{query}&platform=suno") == {"succeeded": 1}
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM tasks_taskevent")
        cursor.execute("DELETE FROM tasks_asynctask WHERE id = %s", [task.pk])
    assert counted(alice, query) == {"succeeded": 1}
    pending.fold()
    assert counted(alice, query) == {"succeeded": 1}
    other.delete()
    pending.fold()
    # What came down to no task leaves nothing behind.
    assert not TaskHourFolded.objects.exists() and not TaskDayFolded.objects.exists()


def test_a_poll_without_news_adds_nothing(alice: User, gateway: Gateway) -> None:
    task = task_cast.a_task(alice, gateway)
    pending.fold()
    transition(task.pk, Observation(key="1", kind=EventKind.POLL, status=S.QUEUED, progress=3))
    assert pending.fold() == 0


def test_each_count_leads_to_as_many_tasks(alice: User, alice_client: Client, mixed: list[AsyncTask]) -> None:
    page = alice_client.get(PAGE, {"range": "all", "platform": "runway"}).content.decode()
    found = re.findall(
        r'id="count-(\w+)" href="/records/tasks/([^"]+)".*?data-value="(\d+)"', page, re.DOTALL
    )
    assert len(found) == len(S)
    for status, query, count in found:
        narrowed = alice_client.get(PAGE + query.replace("&amp;", "&")).content.decode()
        assert narrowed.count('<tr class="record">') == int(count), status
        # The others stay ways to theirs, and their counts what they were.
        assert len(re.findall(r'id="count-\w+"', narrowed)) == len(S)
    assert sum(int(count) for _, _, count in found) == sum(task.platform == "runway" for task in mixed)


@pytest.mark.parametrize(
    "query", ["range=all", "range=all&platform=runway", "range=all&status=failed&status=queued"]
)
def test_failed_and_running_come_first_and_pages_go_on(
    alice: User, mixed: list[AsyncTask], query: str
) -> None:
    selection = filters(alice, query).selection
    wanted = [
        task
        for task in sorted(mixed, key=lambda task: (listing.part_of(task), -task.pk.int))
        if (not selection.platforms or task.platform in selection.platforms)
        and (not selection.statuses or task.status in selection.statuses)
    ]
    ids = [task.pk for task in wanted]
    seen, places = [], []
    part, cursor = 0, Cursor()
    while True:
        page = listing.by_attention(Scope.own(alice), selection, part, cursor, 13)
        seen += [task.pk for task in page.rows]
        places.append([task.pk for task in page.rows])
        if page.older is None:
            break
        part, cursor = page.older_part, Cursor(older=page.older)
    assert seen == ids
    for before in places[-2::-1]:
        page = listing.by_attention(
            Scope.own(alice), selection, page.newer_part, Cursor(newer=page.newer), 13
        )
        assert [task.pk for task in page.rows] == before
    assert page.newer is None


def test_the_order_stands_in_the_address_and_is_left_by_it(
    alice_client: Client, mixed: list[AsyncTask]
) -> None:
    page = alice_client.get(PAGE, {"range": "all", "order": "attention"}).content.decode()
    rows = re.findall(r'class="status status-(\w+)', page.split("<tbody")[1])
    assert rows == sorted(
        rows, key=lambda mark: {"error": 0, "running": 1, "queued": 1, "neutral": 1}.get(mark, 2)
    )
    older = re.search(r'id="page-older"[^>]*href="([^"]+)"', page)
    assert older and "order=attention" in older[1] and "older=" in older[1]
    second = alice_client.get(older[1].replace("&amp;", "&")).content.decode()
    newest = re.search(r'id="page-first" href="([^"]+)"', second)
    assert newest and "older" not in newest[1]
    for part in ("7", "-1", "x", "٣", "1" * 5_000):
        assert alice_client.get(PAGE, {"order": "attention", "part": part}).status_code == 200


def test_failures_are_one_press_away_with_cause_and_message(
    alice: User, alice_client: Client, gateway: Gateway
) -> None:
    task_cast.a_task(alice, gateway, task_id="fine", status=S.SUCCEEDED)
    broken = task_cast.a_task(alice, gateway, task_id="broken")
    said = "Invalid aspect ratio 7:1. " + "It must be between 1:2 and 2:1. " * 20
    transition(
        broken.pk,
        Observation(
            key="end", kind=EventKind.POLL, status=S.FAILED, failure_code="BAD_INPUT", failure_message=said
        ),
    )
    page = alice_client.get(PAGE).content.decode()
    assert re.search(r">Failed</a> · <a [^>]*>Parameters</a>", page) and "Invalid aspect ratio 7:1." in page
    # Only the beginning of what may be long.
    assert page.count("It must be between") < 12
    failures = re.search(r'id="view-failures" href="([^"]+)"', page)
    assert failures
    page = alice_client.get(failures[1].replace("&amp;", "&")).content.decode()
    assert re.findall(r'class="c-id id" title="([^"]+)"', page) == ["broken"]


def test_a_value_leads_to_its_likes(alice: User, alice_client: Client, gateway: Gateway) -> None:
    token = ApiToken.objects.create(owner=alice, name="prod & more")
    model = AIModel.objects.create(name="gen/4")
    task_cast.a_task(alice, gateway, task_id="mine", token=token, model=model, status=S.FAILED)
    task_cast.a_task(alice, gateway, task_id="other", platform="suno", type=TaskType.MUSIC)
    alice_client.post("/records/tasks/display/", {"column": ["platform", "type", "model", "token", "status"]})
    page = alice_client.get(PAGE).content.decode()
    assert "c-cost" not in page.split("<thead>")[1]
    row = next(row for row in page.split("<tr ")[1:] if 'title="mine"' in row)
    links = re.findall(r'<a class="by[^"]*" href="([^"]+)"', row)
    assert len(links) == 5
    for link in links:
        narrowed = alice_client.get(PAGE + link.replace("&amp;", "&")).content.decode()
        assert re.findall(r'class="c-id id" title="([^"]+)"', narrowed) == ["mine"], link
        # It leads nowhere further.
        assert f'href="{link}"' not in narrowed.split("<tbody")[1].split("</tbody>")[0]


def test_columns_and_rows_are_remembered_for_each_person(
    alice: User, alice_client: Client, bob: User, mixed: list[AsyncTask]
) -> None:
    form: dict[str, Any] = {
        "column": ["status", "expiry", "made up"],
        "page_size": "25",
        "query": "range=all",
    }
    answer = alice_client.post("/records/tasks/display/", form)
    assert answer["Location"] == f"{PAGE}?range=all"
    page = alice_client.get(answer["Location"]).content.decode()
    assert page.count('<tr class="record">') == 25 and "Expires in" in page and "Outcome" not in page
    assert "Outcome" in signed_in(bob).get(PAGE, {"range": "all"}).content.decode()


def test_where_one_has_ended_the_counts_follow(alice: User, alice_client: Client, gateway: Gateway) -> None:
    task = task_cast.a_task(alice, gateway)
    task_cast.a_task(alice, gateway, platform="suno")
    page = alice_client.get(PAGE, {"platform": "runway"}).content.decode()
    [poller] = re.findall(r'hx-get="(/records/tasks/live/[^"]+)"', page)
    poller = poller.replace("&amp;", "&")
    assert "task-figures" not in alice_client.get(poller).content.decode()
    transition(task.pk, Observation(key="end", kind=EventKind.POLL, status=S.SUCCEEDED))
    answer = alice_client.get(poller).content.decode()
    assert 'id="task-figures"' in answer and 'data-stat="succeeded" data-value="1"' in answer
    assert 'data-stat="queued" data-value="0"' in answer


def test_a_swap_of_fifty_tasks_is_light(alice: User, alice_client: Client, gateway: Gateway) -> None:
    model = AIModel.objects.create(name="veo-3.1-generate-preview")
    for number in range(50):
        task_cast.a_task(
            alice,
            gateway,
            model=model,
            task_id=f"task_{number:032x}",
            status=(S.RUNNING, S.FAILED, S.SUCCEEDED)[number % 3],
            progress=30,
            failure_message="The style could not be generated: the lyrics are longer than three minutes.",
        )
    page = alice_client.get(f"{PAGE}results/", {"platform": "runway"}, headers={"hx-request": "true"})
    assert page.content.count(b'<tr class="record">') == 50
    assert len(page.content) < 60 * 1024
