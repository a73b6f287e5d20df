"""manage.py demo_traffic: what is sent, and how it meets a server that comes and goes."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer
from time_machine import TimeMachineFixture

from accounts.models import IngestKey
from logs.models import RecordType, UsageRecord
from routescope.data.ranges import DAY
from routescope.demo import DEMO_USER_EMAIL
from routescope.demo.delivery import AwayError, Client, DeliveryRefusedError
from routescope.demo.history import load
from routescope.demo.live import LONGEST_STEP, Live, Message
from routescope.demo.people import demo_gateway
from routescope.demo.provider import DevelopmentProvider, plan
from routescope.demo.tasks import open_tasks
from tasks.models import AsyncTask, TaskEvent, TaskStatus

START = datetime(2026, 3, 11, 16, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def objects(messages: list[Message], method: str, path: str) -> list[dict[str, Any]]:
    bodies = [message.body for message in messages if (message.method, message.path) == (method, path)]
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def taken(live: Live, until: datetime, step: timedelta) -> list[Message]:
    messages = []
    while live.until < until:
        messages += live.take(min(until, live.until + step))
    return messages


# --- What is sent ------------------------------------------------------------------------------------------


def test_the_steps_do_not_change_what_is_sent() -> None:
    until = START + timedelta(hours=1)
    sent = [
        sorted(
            record["request_id"] + record["type"]
            for record in objects(
                taken(Live(START, 0.5, START), until, timedelta(seconds=step)), "POST", "/api/v1/usage"
            )
        )
        for step in (17, 600)
    ]
    assert sent[0] == sent[1]
    assert len(sent[0]) == len(set(sent[0])) == pytest.approx(3600 * 0.5, rel=0.8)


def test_it_is_mostly_the_demo_user() -> None:
    records = objects(taken(Live(START, 0.2, START), START + DAY, LONGEST_STEP), "POST", "/api/v1/usage")
    assert len(records) == pytest.approx(0.2 * 86_400, rel=0.3)
    assert 0.6 < sum(record["user"] == DEMO_USER_EMAIL for record in records) / len(records) < 0.95


def test_only_what_is_over_is_sent() -> None:
    live = Live(START, 0.5, START)
    records = objects(live.take(START + 5 * MINUTE), "POST", "/api/v1/usage")
    assert records
    for record in records:
        began = datetime.fromisoformat(record["created_at"])
        assert began + timedelta(milliseconds=record.get("duration_ms", 0)) < START + 5 * MINUTE


def test_a_long_pause_is_caught_up_with_step_by_step() -> None:
    live = Live(START, 0.2, START)
    live.take(START + DAY)
    assert live.until == START + LONGEST_STEP


def test_tasks_are_registered_followed_and_finished() -> None:
    messages = taken(Live(START, 1.0, START), START + timedelta(hours=3), MINUTE)
    registered = {task["task_id"]: task for task in objects(messages, "POST", "/api/v1/tasks")}
    reports = objects(messages, "PATCH", "/api/v1/tasks")
    records = objects(messages, "POST", "/api/v1/usage")
    assert len(registered) > 20
    assert {report["task_id"] for report in reports} <= registered.keys()
    assert {record["task_id"] for record in records if record["type"] == "task"} == registered.keys()
    finished = {report["task_id"] for report in reports if "finished_at" in report}
    assert len(finished) > 0.8 * len(registered)
    for record in records:
        if record["type"] == "refund" and "task_id" in record:
            assert record["cost"] == f"-{registered[record['task_id']]['cost']}"


def test_a_later_run_goes_on_with_the_tasks_of_an_earlier_one() -> None:
    killed_at, started_at = START + timedelta(minutes=30), START + timedelta(hours=5)
    before = taken(Live(START, 2.0, START), killed_at, MINUTE)
    finished = {
        task["task_id"] for task in objects(before, "PATCH", "/api/v1/tasks") if "finished_at" in task
    }
    waiting = {task["task_id"] for task in objects(before, "POST", "/api/v1/tasks")} - finished
    assert waiting
    after = Live(START, 2.0, started_at, waiting).take(started_at + MINUTE)
    reports = {task["task_id"]: task for task in objects(after, "PATCH", "/api/v1/tasks")}
    assert all("finished_at" in reports[task_id] for task_id in waiting)
    records = {record.get("task_id") for record in objects(after, "POST", "/api/v1/usage")}
    assert waiting <= records


# --- At the console's door ---------------------------------------------------------------------------------


class Door:
    """The console's API, reached without a network."""

    def __init__(self, key: str) -> None:
        self._browser, self._key = Browser(), key

    def send(self, message: Message) -> dict[str, Any]:
        answer = self._browser.generic(
            message.method,
            message.path,
            message.body,
            content_type="application/x-ndjson",
            headers={"Authorization": f"Bearer {self._key}"},
        )
        assert answer.status_code == 200, answer.content
        content: dict[str, Any] = json.loads(answer.content)
        return content


@pytest.mark.django_db
def test_the_console_takes_everything_and_knows_it_when_it_comes_again(
    time_machine: TimeMachineFixture,
) -> None:
    # What comes in within an hour differs from hour to hour.
    start, now = START, START + timedelta(hours=1)
    time_machine.move_to(now, tick=False)
    load(600, 3, start)
    gateway = demo_gateway()
    assert gateway is not None
    door = Door(IngestKey.issue(gateway)[1])
    messages = taken(Live(start, 2.0, start, open_tasks(gateway)), now, 5 * MINUTE)
    for message in messages:
        answer = door.send(message)
        assert answer["rejected"] == []
        assert answer["accepted"] + answer["duplicates"] == message.objects
        assert not answer.get("pending")
    before = UsageRecord.objects.count(), AsyncTask.objects.count(), TaskEvent.objects.count()
    for message in messages:
        assert door.send(message)["accepted"] == 0
    assert (UsageRecord.objects.count(), AsyncTask.objects.count(), TaskEvent.objects.count()) == before
    live = AsyncTask.objects.filter(submitted_at__gt=start)
    assert live.count() >= 5
    assert live.filter(status=TaskStatus.SUCCEEDED, result__isnull=False).exists()
    for task in live.exclude(refund=None):
        refund = UsageRecord.objects.get(task_id=task.task_id, type=RecordType.REFUND)
        assert refund.cost is not None and -refund.cost == task.refund == task.cost


# --- A server that comes and goes --------------------------------------------------------------------------


MESSAGE = Message("POST", "/api/v1/usage", b'{"request_id": "req_1"}', 1)


class Console(BaseHTTPRequestHandler):
    """Answers as told, and notes what it was sent."""

    status = 200
    answer = b'{"accepted": 1}'
    seen: list[tuple[str, str, str, bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.command, self.path, self.headers["Authorization"], body))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def console() -> Iterator[HTTPServer]:
    kind = type("Console", (Console,), {"seen": []})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def address(server: HTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_a_message_is_sent_with_the_key(console: HTTPServer) -> None:
    assert Client(address(console) + "/", "rsk_1").send(MESSAGE) == {"accepted": 1}
    assert console.RequestHandlerClass.seen == [  # type: ignore[attr-defined]
        ("POST", "/api/v1/usage", "Bearer rsk_1", MESSAGE.body)
    ]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_away(console: HTTPServer, status: int) -> None:
    console.RequestHandlerClass.status = status  # type: ignore[attr-defined]
    with pytest.raises(AwayError, match=str(status)):
        Client(address(console), "rsk_1").send(MESSAGE)


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_a_server_that_does_not_want_it_refuses(console: HTTPServer, status: int) -> None:
    console.RequestHandlerClass.status = status  # type: ignore[attr-defined]
    with pytest.raises(DeliveryRefusedError, match=str(status)):
        Client(address(console), "rsk_1").send(MESSAGE)


def test_another_server_on_the_port_is_noticed(console: HTTPServer) -> None:
    console.RequestHandlerClass.answer = b"<html>"  # type: ignore[attr-defined]
    with pytest.raises(DeliveryRefusedError, match="is not the API's"):
        Client(address(console), "rsk_1").send(MESSAGE)


def test_nobody_there_is_away() -> None:
    # Held, so that nobody else listens there, and not listened on.
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(AwayError, match="Connection refused"):
            Client(f"http://127.0.0.1:{port}", "rsk_1").send(MESSAGE)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a console"):
        Client(url, "rsk_1")


# --- The command -------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_demo_must_be_loaded_first() -> None:
    with pytest.raises(CommandError, match=r"run manage\.py load_demo first"):
        call_command("demo_traffic")


def test_a_rate_out_of_range_is_refused() -> None:
    with pytest.raises(CommandError, match="--rate"):
        call_command("demo_traffic", rate=0)


@pytest.fixture
def running(live_server: LiveServer) -> Iterator[subprocess.Popen[str]]:
    """demo_traffic as a process of its own, sending to the live server."""
    load(300, 2, timezone.now())
    facts = connection.settings_dict
    host = "".join(f"%{byte:02x}" for byte in os.fsencode(facts["HOST"]))
    database = f"postgresql://{facts['USER']}@{host}:{facts['PORT']}/{facts['NAME']}"
    if facts["PASSWORD"]:
        pytest.skip("The test database wants a password.")
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "manage.py", "demo_traffic", "--url", live_server.url, "--rate", "5"]
    with subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_traffic_comes_in_and_a_signal_ends_it(
    running: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert running.stdout is not None
    assert running.stdout.readline().startswith("Sending some 300 calls a minute to http://")
    assert IngestKey.objects.filter(revoked_at=None).count() == 1
    before = UsageRecord.objects.count()
    deadline = time.monotonic() + 120
    while UsageRecord.objects.count() == before:
        assert time.monotonic() < deadline, "no traffic came in"
        time.sleep(0.1)
    running.send_signal(number)
    assert running.wait(120) == 0
    assert running.stdout.read() == ""
    assert not IngestKey.objects.exists()


def test_a_client_that_goes_away_from_the_demos_provider_leaves_no_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with DevelopmentProvider() as provider:
        provider.start()
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", provider.server_port)) as client:
                client.sendall(b"GET /v1/tasks/x HTTP/1.1\r\nHost: ")
                # Closed so, a connection is reset.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        task = plan("image", "succeeded", 1, start=time.time(), seconds=20)
        with urllib.request.urlopen(f"{provider.url}/v1/tasks/{task}", timeout=20) as answer:
            assert answer.status == 200
        provider.shutdown()
    assert capfd.readouterr().err == ""
