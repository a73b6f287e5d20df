"""The real web server, killed in the middle of a stream of batches: nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import Sum

from accounts.models import Gateway, IngestKey
from logs.models import UsageDay, UsageHour, UsageRecord
from tests.cast import NOON

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

BATCHES, SIZE = 60, 50
LIMIT = 120
"""Seconds for a start, an answer, an end: a busy machine's."""


class Server:
    """gunicorn on the test's own database, as the console runs it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "DATABASE_URL": _database_url(),
            "REDIS_URL": settings.REDIS_URL,
            "SECRET_KEY": settings.SECRET_KEY,
            "PORT": str(self.port),
            "DJANGO_SETTINGS_MODULE": "routescope.settings",
            "WEB_WORKERS": "2",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "routescope/run/gunicorn.py"],
            cwd=settings.BASE_DIR,
            env=environment,
            start_new_session=True,
        )
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return process
            time.sleep(0.05)
        raise AssertionError("The server did not start.")

    def kill_and_restart(self) -> None:
        """SIGKILL every process of the server at once, then start it again."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = self._start()

    def kill_a_worker(self) -> None:
        """SIGKILL one worker: the server goes on with the others."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        if children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(random.choice(children)), signal.SIGKILL)

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(LIMIT)


def _database_url() -> str:
    """Return the URL of the test's database, which is not the one that DATABASE_URL names."""
    whole = urlsplit(settings.DATABASE_URL)
    return urlunsplit(whole._replace(path=f"/{connection.settings_dict['NAME']}"))


@pytest.fixture
def server(port: int) -> Iterator[Server]:
    running = Server(port)
    yield running
    running.stop()


def batch(number: int) -> bytes:
    lines = [
        json.dumps(
            {
                "request_id": f"req_{number}_{position}",
                "created_at": (NOON + timedelta(seconds=number * SIZE + position)).isoformat(),
                "user": f"user-{position % 5}",
                "token": "t",
                "model": f"m{position % 3}",
                "input_tokens": 10,
                "cost": "0.25",
            }
        )
        for position in range(SIZE)
    ]
    return gzip.compress("\n".join(lines).encode())


def send(port: int, key: str, body: bytes) -> dict[str, int]:
    """Send a batch until it is acknowledged, as a client does."""
    for _ in range(200):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/usage",
            body,
            {
                "Authorization": f"Bearer {key}",
                "Content-Encoding": "gzip",
                "Content-Type": "application/x-ndjson",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                outcome: dict[str, int] = json.load(answer)
                return outcome
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
    raise AssertionError("The batch was never acknowledged.")


@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="Finds the server's workers through Linux's /proc."
)
def test_killing_the_server_mid_stream_loses_and_doubles_nothing(server: Server) -> None:
    gateway = Gateway.objects.create(name="edge")
    key = IngestKey.issue(gateway)[1]
    chance = random.Random(5)
    new = seen_before = 0
    for number in range(BATCHES):
        if number in (15, 40):
            # In the middle of a request: it is on its way while the server dies.
            with socket.create_connection(("127.0.0.1", server.port)) as half:
                half.sendall(
                    b"POST /api/v1/usage HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf a batch"
                )
                server.kill_and_restart()
        elif chance.random() < 0.15:
            server.kill_a_worker()
        outcome = send(server.port, key, batch(number))
        assert not outcome["rejected"]
        new += outcome["accepted"]
        seen_before += outcome["duplicates"]
        assert UsageRecord.objects.count() == (number + 1) * SIZE, "acknowledged, yet not kept"
    assert new + seen_before == BATCHES * SIZE
    # Every batch once more: a client that was never answered resends what may have been stored.
    for number in range(0, BATCHES, 7):
        assert send(server.port, key, batch(number)) == {"accepted": 0, "duplicates": SIZE, "rejected": []}
    for rollup in (UsageHour, UsageDay):
        sums = rollup.objects.aggregate(records=Sum("records"), cost=Sum("cost"), tokens=Sum("input_tokens"))
        assert sums == {"records": BATCHES * SIZE, "cost": BATCHES * SIZE / 4, "tokens": BATCHES * SIZE * 10}


def test_a_body_that_stops_short_stores_nothing(server: Server) -> None:
    key = IngestKey.issue(Gateway.objects.create(name="edge"))[1]
    whole = gzip.decompress(batch(0))
    head = f"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    for framing, body in (
        (f"Content-Length: {len(whole)}\r\n\r\n", whole[:-200]),
        ("Transfer-Encoding: chunked\r\n\r\n", f"{len(whole):x}\r\n".encode() + whole[:-200]),
        ("Transfer-Encoding: chunked\r\n\r\n", f"{len(whole) - 200:x}\r\n".encode() + whole[:-200] + b"\r\n"),
    ):
        with socket.create_connection(("127.0.0.1", server.port)) as cut:
            cut.sendall((head + framing).encode() + body)
            cut.shutdown(socket.SHUT_WR)
            answer = cut.makefile("rb").read()
        assert b" 200 " not in answer.split(b"\r\n", 1)[0]
    assert not UsageRecord.objects.exists()


def test_a_chunked_body_is_taken_whole(server: Server) -> None:
    key = IngestKey.issue(Gateway.objects.create(name="edge"))[1]
    body = batch(0)
    head = (
        f"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        "Connection: close\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connected:
        chunks = b"".join(
            f"{len(body[i : i + 100]):x}\r\n".encode() + body[i : i + 100] + b"\r\n"
            for i in range(0, len(body), 100)
        )
        connected.sendall(head.encode() + chunks + b"0\r\n\r\n")
        answer = connected.makefile("rb").read()
    assert b" 200 " in answer.split(b"\r\n", 1)[0]
    assert UsageRecord.objects.count() == SIZE
