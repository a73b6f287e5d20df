"""A provider that answers with any bytes, and the tasks that it is asked about."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings as SettingsWrapper

from accounts.models import Gateway, User
from tasks import jobs
from tasks.following import leases, waits
from tasks.models import AsyncTask, EventKind, EventReason, TaskEvent
from tasks.providers.catalogue import built_in, catalogue
from tests import task_cast as cast

DONE = b'{"status": "succeeded", "result": "a poem"}'


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1") + body


class Raw(socketserver.ThreadingTCPServer):
    """A provider that answers with the very bytes it is told to, by path."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, bytes | Callable[[_Handler], None]] = {}
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def url(self, name: str) -> str:
        return f"http://{self.host}/{name}"


class _Handler(socketserver.StreamRequestHandler):
    server: Raw

    def handle(self) -> None:
        path = self.rfile.readline().split(b" ")[1].decode().lstrip("/")
        while self.rfile.readline().strip():
            pass
        self.server.asked.append(path)
        said = self.server.answers.get(path, answer(b"{}", status="404 Not Found"))
        if callable(said):
            said(self)
        else:
            self.wfile.write(said)


@pytest.fixture
def raw(settings: SettingsWrapper) -> Iterator[Raw]:
    server = Raw()
    settings.OUTBOUND_ALLOWED = ["127.0.0.1"]
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def alice(db: None) -> User:
    return cast.person()


@pytest.fixture
def edge(db: None) -> Gateway:
    return cast.gateway()


def at(raw: Raw, name: str, alice: User, edge: Gateway, **fields: object) -> AsyncTask:
    """An open task of a service of the user's own, asked at ``/name``."""
    return cast.a_task(alice, edge, platform="generic", poll_url=raw.url(name), **fields)


def poll_all() -> int:
    claimed = leases.claim(catalogue())
    for one in claimed:
        jobs.poll.apply(args=(str(one.task_id), str(one.lease)), throw=True)
    return len(claimed)


def counted(task: AsyncTask, reason: EventReason) -> TaskEvent:
    """Assert that the task's only poll so far was a try that brought nothing, and that it is let go."""
    task.refresh_from_db()
    assert (task.polls, task.poll_failures) == (1, 1)
    assert (task.lease, task.leased_until, task.poll_begun_at) == (None, None, None)
    now = timezone.now()
    longest = waits.longest_wait(built_in()["generic"])
    assert task.next_poll_at and now < task.next_poll_at <= now + longest
    event = TaskEvent.objects.get(task=task, kind=EventKind.POLL)
    assert event.reason == reason, (event.reason, event.note)
    return event
