"""The web server on the test's own database: how tests start it, talk to it and keep it waiting."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection

from accounts.models import Gateway, IngestKey
from tests.cast import NOON

MARKS = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Reads the server's state from /proc."),
]
"""What every module is marked with that starts one."""

LIMIT = 60.0  # seconds; how long anything may take before its test fails
HEADER, STALL = 2, 3  # seconds; the server's deadlines here


class Server:
    """The web server on the test's own database, with short deadlines."""

    def __init__(self, folder: Path, **variables: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.said = folder / f"said-{self.port}"
        whole = urlsplit(settings.DATABASE_URL)
        environment = {
            **os.environ,
            "DATABASE_URL": urlunsplit(whole._replace(path=f"/{connection.settings_dict['NAME']}")),
            "REDIS_URL": settings.REDIS_URL,
            "SECRET_KEY": settings.SECRET_KEY,
            # Without one it says at its start that no mail is sent.
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "DJANGO_SETTINGS_MODULE": "routescope.settings",
            "PORT": str(self.port),
            "WEB_WORKERS": "1",
            "WEB_HEADER_SECONDS": str(HEADER),
            "WEB_STALL_SECONDS": str(STALL),
            "EXPORTS_DIR": str(settings.EXPORTS_DIR),
            **variables,
        }
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "routescope/run/gunicorn.py"],
                cwd=settings.BASE_DIR,
                env=environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def until_ready(self) -> None:
        """Wait until it says that it is."""

        def is_ready() -> bool:
            assert self.process.poll() is None, self.said.read_text()
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self.get("/readyz")[0] == 200
            return False

        wait(is_ready)

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Ask over a connection of its own."""
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        try:
            asking.request(
                method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
            )
            answer = asking.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            asking.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), LIMIT)

    def say(self, *parts: bytes) -> bytes:
        """Send something, and return all that comes until the server ends the connection."""
        with self.connect() as connected:
            for part in parts:
                connected.sendall(part)
            return read_all(connected)

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in children.split()]

    def stop(self) -> str:
        """End it in order, and return what it said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(LIMIT)
        return self.said.read_text()


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read_all(connected: socket.socket) -> bytes:
    """Return what comes until the end, which may be a reset."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connected.recv(65536):
            found += part
    return found


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def post(body: bytes, *headers: str, path: str = "/api/v1/usage") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def record(number: int, **more: object) -> dict[str, object]:
    moment = (NOON + timedelta(seconds=number)).isoformat()
    return {"request_id": f"req_{number}", "created_at": moment, "user": Person.name, **more}


class Person:
    """Whose records a test sends."""

    name = ""


@pytest.fixture(autouse=True)
def person() -> None:
    """Somebody else in each test: the server that they share keeps the names it knows, not so the tests."""
    Person.name = f"{uuid.uuid4()}@example.com"


@pytest.fixture(scope="module", autouse=True)
def collected() -> None:
    """Collect the static files as the server's settings have them, which are not the tests'."""
    variables = {"DATABASE_URL": settings.DATABASE_URL, "SECRET_KEY": settings.SECRET_KEY}
    collect = "import django; django.setup(); from routescope.run import statics; statics.collect()"
    subprocess.run(
        [sys.executable, "-c", collect],
        cwd=settings.BASE_DIR,
        env={**os.environ, **variables, "DJANGO_SETTINGS_MODULE": "routescope.settings"},
        check=True,
    )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers; all of them end with the test, and none may have complained."""
    started: list[Server] = []

    def begin(**variables: str) -> Server:
        started.append(Server(tmp_path, **variables))
        started[-1].until_ready()
        return started[-1]

    yield begin
    for server in started:
        assert server.stop() == ""


@pytest.fixture(scope="module")
def shared(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that need nothing else of it."""
    running = Server(tmp_path_factory.mktemp("front"))
    yield running
    assert running.stop() == ""


@pytest.fixture
def server(shared: Server) -> Server:
    shared.until_ready()
    return shared


@pytest.fixture
def key() -> str:
    return IngestKey.issue(Gateway.objects.create(name="edge"), "test")[1]


@contextlib.contextmanager
def locked(table: str) -> Iterator[None]:
    """Hold a table, as a dump or a migration does: who needs it waits."""
    from django.db import transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
