"""Unsigned callbacks of somebody who means to find out what exists, or to have providers asked at will."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from time_machine import TimeMachineFixture

from accounts.models import Gateway, User
from routescope.wire import outbound
from tasks.following import clock, leases, polling
from tasks.intake import hints
from tasks.models import AsyncTask, EventKind, Hint, TaskEvent, TaskStatus
from tasks.providers.catalogue import built_in, catalogue
from tasks.providers.definition import duration
from tests import task_cast

UNSIGNED = sorted(slug for slug, one in built_in().items() if one.webhook.scheme == "none" and one.poll)
SIGNED = sorted(slug for slug, one in built_in().items() if one.webhook.scheme != "none")


def hook(client: Client, name: Any, platform: str = "luma") -> Any:
    named = {"id": name, "task_id": name, "request_id": name}
    body = json.dumps({**named, "data": named})
    return client.post(f"/hooks/{platform}/", body, "application/json")


def told(answer: Any) -> tuple[int, bytes, str]:
    headers = {name: value for name, value in answer.headers.items() if name != "Set-Cookie"}
    return answer.status_code, answer.content, json.dumps(headers, sort_keys=True)


def work(client: Client, name: str, platform: str) -> list[str]:
    """Return the statements of one callback, without what it named."""
    with CaptureQueriesContext(connection) as captured:
        hook(client, name, platform)
    return [re.sub(r"'[^']*'", "''", query["sql"]) for query in captured.captured_queries]


@pytest.mark.parametrize("platform", UNSIGNED + SIGNED)
def test_nothing_tells_whether_a_task_exists(
    client: Client, alice: User, gateway: Gateway, platform: str
) -> None:
    later = timezone.now() + timedelta(minutes=1)
    other = "luma" if platform != "luma" else "kling"
    named: dict[str, dict[str, Any]] = {
        "open": {"next_poll_at": later},
        "due": {"next_poll_at": timezone.now() - timedelta(minutes=1)},
        "done": {"status": TaskStatus.SUCCEEDED, "next_poll_at": None},
        "under way": {"lease": "01890a5d-ac96-7000-8000-00000000beef", "next_poll_at": later},
        "elsewhere": {"platform": other},
    }
    for name, fields in named.items():
        task_cast.a_task(alice, gateway, **{"platform": platform, "provider_task_id": f"p {name}", **fields})
    names = [f"p {name}" for name in (*named, "missing")]
    assert len({told(hook(client, name, platform)) for name in names}) == 1
    assert len({told(hook(client, name, platform)) for name in names}) == 1, "a second time"
    Hint.objects.all().delete()
    assert len({tuple(work(client, name, platform)) for name in names}) == 1
    assert not TaskEvent.objects.exists()
    assert AsyncTask.objects.get(provider_task_id="p open").next_poll_at == later


def test_no_more_hints_wait_than_there_is_room_for(client: Client, alice: User, gateway: Gateway) -> None:
    Hint.objects.bulk_create(
        Hint(platform="luma", provider_task_id=f"x-{number}") for number in range(hints.MAX_WAITING - 1)
    )
    before = told(hook(client, "lu-1"))
    assert told(hook(client, "lu-2")) == before
    assert Hint.objects.count() == hints.MAX_WAITING
    assert hints.take(catalogue()) == 0 and not Hint.objects.exists()


@pytest.mark.parametrize("odd", ["p\x00", "\ud83d", "x" * 10_000, ["a"], {"a": "b"}, 10**30, True, None, ""])
def test_an_odd_name_is_answered_as_any_other(client: Client, db: None, odd: Any) -> None:
    assert told(hook(client, odd)) == told(hook(client, "lu-1"))
    hints.take(catalogue())


# --- Polls -------------------------------------------------------------------------------------------------


class Run:
    """Some minutes of a console, second by second, with a provider that answers the same each time."""

    def __init__(self, time_machine: TimeMachineFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        self.machine = time_machine
        self.asked: list[datetime] = []
        self.status = 200
        monkeypatch.setattr(clock, "now", timezone.now)
        monkeypatch.setattr(outbound, "request", self.answer)

    def answer(self, method: str, url: str, *, headers: dict[str, str], **_: Any) -> outbound.Answer:
        self.asked.append(timezone.now())
        body = json.dumps({"id": "lu-1", "state": "dreaming"}).encode()
        return outbound.Answer(self.status, {}, body, url)

    def __call__(self, seconds: int, each: Callable[[], object]) -> list[float]:
        """Return the seconds between the polls of this time."""
        start, self.asked = timezone.now(), []
        for second in range(seconds):
            self.machine.move_to(start + timedelta(seconds=second), tick=False)
            each()
            hints.take(catalogue())
            for one in leases.claim(catalogue()):
                polling.poll(one.task_id, one.lease, catalogue())
        return [(b - a).total_seconds() for a, b in zip(self.asked, self.asked[1:], strict=False)]


@pytest.fixture
def run(time_machine: TimeMachineFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    time_machine.move_to(datetime(2026, 3, 10, 12, tzinfo=UTC), tick=False)
    yield Run(time_machine, monkeypatch)


@pytest.fixture
def task(run: Run, alice: User, gateway: Gateway) -> AsyncTask:
    task_cast.a_key("luma", "k")
    now = timezone.now()
    return task_cast.a_task(
        alice, gateway, platform="luma", provider_task_id="lu-1", submitted_at=now, next_poll_at=now
    )


def test_a_flood_makes_us_ask_no_faster_than_the_schedule(client: Client, run: Run, task: AsyncTask) -> None:
    poll = built_in()["luma"].poll
    assert poll is not None
    every, longest = duration(poll.every).total_seconds(), duration(poll.longest).total_seconds()
    run(300, lambda: None)
    gaps = run(600, lambda: hook(client, "lu-1"))
    assert min(gaps) >= every
    assert len(gaps) + 1 <= 2 * 600 / (longest * 0.75) + 1
    assert TaskEvent.objects.filter(kind=EventKind.HINT).count() <= 600 / longest + 1


def test_a_hint_is_followed_within_the_schedule(client: Client, run: Run, task: AsyncTask) -> None:
    run(300, lambda: None)
    AsyncTask.objects.update(next_poll_at=timezone.now() + timedelta(seconds=50))
    TaskEvent.objects.update(at=timezone.now() - timedelta(seconds=30))
    hook(client, "lu-1")
    run(2, lambda: None)
    assert len(run.asked) == 1


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_no_flood_makes_us_ask_a_provider_that_failed_or_wants_peace(
    client: Client, run: Run, task: AsyncTask, status: int
) -> None:
    run.status = status
    run(20, lambda: None)
    due = AsyncTask.objects.get().next_poll_at
    assert due is not None and due > timezone.now()
    run(max(1, int((due - timezone.now()).total_seconds()) - 1), lambda: hook(client, "lu-1"))
    assert run.asked == [] and AsyncTask.objects.get().next_poll_at == due
    assert not TaskEvent.objects.filter(kind=EventKind.HINT).exists()
