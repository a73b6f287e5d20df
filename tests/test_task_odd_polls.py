"""Whatever a provider answers, and however a poll dies: it is a try, it waits, and it costs no other task."""

from __future__ import annotations

import gzip
import json
import logging
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings as SettingsWrapper

from accounts.models import Gateway, User
from routescope.wire import outbound
from tasks import jobs
from tasks.following import clock, leases, lifecycle, polling, refunds, waits
from tasks.models import (
    AsyncTask,
    EventKind,
    EventReason,
    HostHealth,
    Provider,
    ProviderCredential,
    TaskEvent,
    TaskStatus,
)
from tasks.outcomes.observations import Observation
from tasks.providers.catalogue import built_in, built_in_source, catalogue
from tasks.providers.reading import read
from tests import task_cast as cast
from tests.cast import signed_in

DONE = b'{"status": "succeeded", "result": "a poem"}'
DEEP = b"[" * 100_000 + b"]" * 100_000


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


# --- What a provider may answer --------------------------------------------------------------------------

UNREADABLE = {
    "deep arrays": answer(DEEP),
    "deep objects": answer(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "4,000 digits": answer(b'{"status": "running", "progress": ' + b"9" * 4_000 + b"}"),
    "a number beyond floats": answer(b'{"status": "running", "progress": 1e999}'),
    "invalid UTF-8": answer(b'{"status": "\xff\xfe"}'),
    "a page": answer(b"<html>\x1b[31m\x00not found</html>", "Content-Type: text/html"),
    "nothing": answer(b""),
    "a list": answer(b"[1, 2]"),
    "a gzip bomb": answer(gzip.compress(b" " * 10_000_000), "Content-Encoding: gzip"),
    "too much": answer(b'{"a": "' + b"x" * 5_000_000 + b'"}'),
    "a redirect to no URL": answer(b"", "Location: http://[", status="302 Found"),
    "a redirect to itself": answer(b"", "Location: /again", status="302 Found"),
}


@pytest.mark.parametrize("said", UNREADABLE.values(), ids=UNREADABLE)
def test_an_answer_that_nobody_can_read_is_a_try_and_not_the_hosts_fault(
    raw: Raw, alice: User, edge: Gateway, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    raw.answers |= {"odd": said, "again": said, "well": answer(DONE)}
    odd, well = at(raw, "odd", alice, edge), at(raw, "well", alice, edge)
    assert poll_all() == 2
    event = counted(odd, EventReason.UNREADABLE)
    assert event.note.isprintable()
    well.refresh_from_db()
    assert well.status == TaskStatus.SUCCEEDED
    assert not HostHealth.objects.exists() and "Traceback" not in caplog.text
    assert signed_in(alice).get(f"/records/tasks/{odd.pk}/").status_code == 200


@pytest.mark.parametrize(
    "said",
    [
        b'{"status": "succeeded", "progress": NaN, "result": "a poem"}',
        b'{"status": "succeeded", "result": "a \\ud83d poem"}',
        b'{"status": "failed", "status": "succeeded", "result": "a poem \\u0000"}',
        b'\xef\xbb\xbf{"status": "succeeded", "result": ["https://[", "https://x.example/a.png"]}',
        b'{"status": "succeeded", "result": [1e308, 0.0, -1], "expires_at": 1e300}',
        b'{"status": "succeeded", "result": {"a": "b"}, "started_at": "0001-01-01T00:00:00+14:00"}',
    ],
)
def test_an_odd_answer_that_can_be_read_ends_the_task(
    raw: Raw, alice: User, edge: Gateway, said: bytes
) -> None:
    raw.answers["odd"] = answer(said)
    task = at(raw, "odd", alice, edge)
    poll_all()
    task.refresh_from_db()
    assert task.status == TaskStatus.SUCCEEDED and task.result
    assert signed_in(alice).get(f"/records/tasks/{task.pk}/").status_code == 200


@pytest.mark.parametrize(
    "after", ["1e300", "inf", "nan", "-5", "9" * 400, "Fri, 31 Dec 9999 23:59:59 -2359", "soon"]
)
def test_no_retry_after_breaks_a_poll_or_stops_a_host_for_more_than_an_hour(
    raw: Raw, alice: User, edge: Gateway, after: str
) -> None:
    raw.answers["odd"] = answer(b"{}", f"Retry-After: {after}", status="429 Too Many Requests")
    task = at(raw, "odd", alice, edge)
    poll_all()
    counted(task, EventReason.SLOWED)
    paused = HostHealth.objects.get(host=raw.host).paused_until
    assert paused is None or paused <= timezone.now() + timedelta(hours=1)


def test_a_provider_that_drips_is_cut_off(
    raw: Raw, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "TIMEOUT", 0.5)
    over = threading.Event()

    def drip(handler: _Handler) -> None:
        handler.wfile.write(answer(b"{", length=10_000))
        while not over.wait(0.05):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return

    raw.answers["odd"] = drip
    task = at(raw, "odd", alice, edge)
    started = time.monotonic()
    poll_all()
    over.set()
    assert time.monotonic() - started < 5
    counted(task, EventReason.NO_ANSWER)
    assert HostHealth.objects.get(host=raw.host).failures == 1


def test_a_key_that_no_request_can_carry_is_told(
    raw: Raw, alice: User, edge: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    cast.a_key("runway", "key—\n", base_url=raw.url("")[:-1])
    task = cast.a_task(alice, edge)
    poll_all()
    assert "no request can carry" in counted(task, EventReason.NO_ANSWER).note
    assert not raw.asked and not HostHealth.objects.exists() and "Traceback" not in caplog.text


def test_a_credential_of_another_key_is_told_and_stops_nobody(
    raw: Raw, alice: User, edge: Gateway, settings: SettingsWrapper
) -> None:
    keys = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = ["another"]
    ProviderCredential.objects.create(platform="runway", api_key="secret")
    settings.ENCRYPTION_KEYS = keys
    raw.answers["well"] = answer(DONE)
    task, well = cast.a_task(alice, edge), at(raw, "well", alice, edge)
    poll_all()
    counted(task, EventReason.NO_ANSWER)
    well.refresh_from_db()
    assert well.status == TaskStatus.SUCCEEDED


# --- Definitions that break ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("result[::0]", "cannot be worked out"),
        ("ceil(to_number('1e999'))", "cannot be worked out"),
        ("|".join(["[@, @][]"] * 40), "steps"),
        ("result[].[" + ", ".join(["map(&[@, @], @)"] * 30) + "][][][]", None),
    ],
)
def test_an_expression_without_end_is_a_try_and_its_fault_is_named(
    raw: Raw, alice: User, edge: Gateway, expression: str, says: str | None
) -> None:
    mine = built_in_source("generic").replace('status = "status || state"', f'status = "{expression}"')
    Provider.objects.create(slug="generic", definition=mine)
    raw.answers["odd"] = answer(json.dumps({"status": "running", "result": [list(range(50))] * 50}).encode())
    task = at(raw, "odd", alice, edge)
    started = time.monotonic()
    poll_all()
    assert time.monotonic() - started < 10
    event = counted(task, EventReason.UNREADABLE)
    assert says is None or says in event.note


def test_a_stored_definition_that_breaks_its_reader_costs_no_other(
    raw: Raw, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Provider.objects.create(slug="mine", definition="a = " + "[" * 5_000)
    Provider.objects.create(slug="mine-2", definition="a = " + "9" * 5_000)
    Provider.objects.create(slug="mine-3", definition='slug = "' + "x" * 70_000 + '"')
    raw.answers["well"] = answer(DONE)
    well = at(raw, "well", alice, edge)
    assert poll_all() == 1
    well.refresh_from_db()
    assert well.status == TaskStatus.SUCCEEDED and all(
        f"The provider {slug} as changed" in caplog.text for slug in ("mine", "mine-2", "mine-3")
    )


# --- Polls that die --------------------------------------------------------------------------------------


def test_a_fault_of_our_own_is_logged_counted_and_costs_no_neighbour(
    raw: Raw, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(reading: object, document: object, **more: object) -> object:
        if document == {"status": "odd"}:
            raise KeyError("a slip of ours")
        return read(reading, document, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("tasks.following.provider_calls.read", broken)
    raw.answers |= {"odd": answer(b'{"status": "odd"}'), "well": answer(DONE)}
    odd, well = at(raw, "odd", alice, edge), at(raw, "well", alice, edge)
    with caplog.at_level(logging.ERROR):
        assert poll_all() == 2
    event = counted(odd, EventReason.BROKEN)
    assert event.note == "KeyError" and "a slip of ours" in caplog.text and "Traceback" in caplog.text
    well.refresh_from_db()
    assert well.status == TaskStatus.SUCCEEDED
    assert "fault of the console" in signed_in(alice).get(f"/records/tasks/{odd.pk}/").content.decode()


def test_a_poll_that_takes_too_long_is_a_try(
    raw: Raw, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(*args: object) -> None:
        raise SoftTimeLimitExceeded  # As the worker raises it into whatever is running.

    monkeypatch.setattr(polling, "ask", hangs)
    task = at(raw, "odd", alice, edge)
    poll_all()
    counted(task, EventReason.CUT_SHORT)


def test_a_task_that_breaks_every_poll_still_ends_at_its_deadline(
    raw: Raw, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise KeyError("a slip of ours")

    monkeypatch.setattr(polling, "ask", broken)
    task = at(raw, "odd", alice, edge, deadline_at=timezone.now() - timedelta(hours=2))
    poll_all()
    task.refresh_from_db()
    assert (task.status, task.next_poll_at, task.lease) == (TaskStatus.EXPIRED, None, None)


def test_a_poll_whose_worker_died_is_a_try_once_its_lease_is_over(
    raw: Raw, alice: User, edge: Gateway
) -> None:
    task = at(raw, "odd", alice, edge)
    [claim] = leases.claim(catalogue())
    begun = leases.begin(task, claim.lease, raw.host, anyones=[])
    assert begun is leases.Begun.YES
    # The broker hands a message out again whose worker died: that poll does not begin a second time.
    polling.poll(task.pk, claim.lease, catalogue())
    assert not raw.asked and not TaskEvent.objects.exists()
    assert leases.claim(catalogue()) == []
    AsyncTask.objects.update(leased_until=timezone.now())
    assert leases.claim(catalogue()) == []
    counted(task, EventReason.CUT_SHORT)
    assert "cut short" in signed_in(alice).get(f"/records/tasks/{task.pk}/").content.decode()


def test_a_claim_whose_message_was_lost_is_due_again_and_no_try(raw: Raw, alice: User, edge: Gateway) -> None:
    raw.answers["well"] = answer(DONE)
    task = at(raw, "well", alice, edge)
    leases.claim(catalogue())
    AsyncTask.objects.update(leased_until=timezone.now())
    assert poll_all() == 1
    task.refresh_from_db()
    assert (task.status, task.polls) == (TaskStatus.SUCCEEDED, 1)
    assert TaskEvent.objects.filter(task=task, reason=EventReason.CUT_SHORT).count() == 0


def test_a_task_that_kills_each_of_its_workers_ends_at_its_deadline(
    raw: Raw, alice: User, edge: Gateway
) -> None:
    task = at(raw, "odd", alice, edge, deadline_at=timezone.now() - timedelta(hours=2))
    [claim] = leases.claim(catalogue())
    leases.begin(task, claim.lease, raw.host, anyones=[])
    AsyncTask.objects.update(leased_until=timezone.now())
    leases.claim(catalogue())
    task.refresh_from_db()
    assert (task.status, task.next_poll_at, task.polls) == (TaskStatus.EXPIRED, None, 1)


_WORKER = """
import os, sys
import django
django.setup()
from django.conf import settings
from uuid import UUID
settings.DATABASES["default"]["NAME"] = sys.argv[3]
settings.OUTBOUND_ALLOWED = ["127.0.0.1"]
from tasks import polling
from tasks.providers.catalogue import catalogue
polling.poll(UUID(sys.argv[1]), UUID(sys.argv[2]), catalogue())
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_in_the_midst_of_a_poll_leaves_a_try_behind(raw: Raw) -> None:
    alice, edge = cast.person(), cast.gateway()
    reached, over = threading.Event(), threading.Event()

    def hold(handler: _Handler) -> None:
        reached.set()
        over.wait(30)

    raw.answers["odd"] = hold
    task = at(raw, "odd", alice, edge)
    [claim] = leases.claim(catalogue())
    command = [
        sys.executable,
        "-c",
        _WORKER,
        str(task.pk),
        str(claim.lease),
        connection.settings_dict["NAME"],
    ]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    worker = subprocess.Popen(command, cwd=Path(__file__).parent.parent, env=environment)
    try:
        assert reached.wait(60)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        over.set()
    task.refresh_from_db()
    assert task.lease == claim.lease and task.poll_begun_at
    AsyncTask.objects.update(leased_until=timezone.now())
    assert leases.claim(catalogue()) == []
    counted(task, EventReason.CUT_SHORT)


# --- Clocks that step back -------------------------------------------------------------------------------


def test_leases_and_waits_set_an_hour_ahead_do_not_stall_a_task(raw: Raw, alice: User, edge: Gateway) -> None:
    """As after the clock has stepped back an hour: what was set by the old one lies far ahead."""
    raw.answers["well"] = answer(DONE)
    ahead = timezone.now() + timedelta(hours=1)
    waiting = at(raw, "well", alice, edge, next_poll_at=ahead, poll_host=raw.host)
    unknown = at(raw, "well", alice, edge, next_poll_at=ahead)
    leased = at(raw, "well", alice, edge, next_poll_at=ahead)
    AsyncTask.objects.filter(pk=leased.pk).update(lease=uuid4(), leased_until=ahead)
    HostHealth.objects.create(
        host=raw.host, failures=9, paused_until=ahead + timedelta(minutes=1), noted_at=ahead
    )
    assert poll_all() >= 1
    for _ in range(3):
        poll_all()
    for task in (waiting, unknown, leased):
        task.refresh_from_db()
        assert task.status == TaskStatus.SUCCEEDED


def test_what_waits_for_its_deadline_alone_is_not_asked_about(raw: Raw, alice: User, edge: Gateway) -> None:
    """Tasks that another console follows (new-api) wait here for their end, or for the deadline."""
    deadline = timezone.now() + timedelta(days=7)
    task = at(raw, "odd", alice, edge, next_poll_at=deadline, deadline_at=deadline)
    assert leases.claim(catalogue()) == []
    task.refresh_from_db()
    assert task.next_poll_at == deadline


def test_no_wait_is_longer_than_the_longest(alice: User, edge: Gateway) -> None:
    for definition in built_in().values():
        longest = waits.longest_wait(definition)
        for count in (0, 1, 10, 1_000):
            for _ in range(20):
                assert waits.after_answer(definition, count) < longest
                assert waits.after_failure(definition, count) < longest


def test_the_time_is_the_databases(db: None) -> None:
    assert abs(clock.now() - timezone.now()) < timedelta(minutes=1)
    assert clock.now() < clock.now()


# --- The jobs beside it ----------------------------------------------------------------------------------


def test_a_refund_that_breaks_keeps_no_other_from_its_money(
    alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = cast.a_task(alice, edge), cast.a_task(alice, edge)
    for minutes, task in enumerate((first, second)):
        lifecycle.transition(
            task.pk,
            Observation(key="end", kind=EventKind.REPORT, status=TaskStatus.FAILED),
        )
        AsyncTask.objects.filter(pk=task.pk).update(
            finished_at=timezone.now() - refunds.WAIT_FOR_CHARGE - timedelta(minutes=10 - minutes)
        )
    settle = refunds.settle

    def broken(task: AsyncTask) -> bool:
        if task.pk == first.pk:
            raise KeyError("a slip of ours")
        return settle(task)

    monkeypatch.setattr(refunds, "settle", broken)
    assert refunds.settle_waiting() == (0, 1)
    assert "a slip of ours" in caplog.text


def test_any_trouble_with_handing_over_leaves_the_tasks_due(
    raw: Raw, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [at(raw, "odd", alice, edge) for _ in range(3)]
    sent: list[UUID] = []

    def once(arguments: tuple[str, str], **more: object) -> None:
        if sent:
            raise TypeError("a slip of ours")
        sent.append(UUID(arguments[0]))

    monkeypatch.setattr(jobs.poll, "apply_async", once)
    with pytest.raises(TypeError):
        jobs.dispatch()
    left = AsyncTask.objects.filter(lease=None, next_poll_at__lte=timezone.now())
    assert left.count() == 2 and len(tasks) == 3
