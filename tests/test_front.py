"""The web server, met as clients meet it: over sockets, well behaved and not."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
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

from accounts.exports import exporting
from accounts.models import Export, Gateway, IngestKey, User
from logs.models import UsageRecord
from tests.bench.serving import session
from tests.cast import NOON

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Reads the server's state from /proc."),
]

LIMIT = 60.0  # seconds; how long anything may take before its test fails
HEADER, STALL = 2, 3  # seconds; the server's deadlines here
POST = b"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LARGE = b"/static/admin/js/vendor/xregexp/xregexp.js"


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
    collect = "import django; django.setup(); from routescope import statics; statics.collect()"
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


# --- Slow and silent clients -----------------------------------------------------------------------------


def test_a_thousand_slow_connections_hold_up_nobody_and_are_closed(
    start: Callable[..., Server], key: str
) -> None:
    server = start(WEB_HEADER_SECONDS="20", WEB_STALL_SECONDS="20")
    starts = (
        b"",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
        b"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n[{",
        b"POST /hooks/suno/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n",
    )
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in range(1000)]
        for number, connected in enumerate(held):
            connected.sendall(starts[number % len(starts)])
        assert server.get("/accounts/login/")[0] == 200
        assert server.get("/static/css/base.css")[0] == 200
        answer = server.say(
            post(json.dumps(record(1)).encode(), f"Authorization: Bearer {key}", "Connection: close")
        )
        assert status_of(answer) == 200
        assert UsageRecord.objects.count() == 1
        assert {status_of(read_all(connected)) for connected in held} == {0, 408}


@pytest.mark.parametrize(
    ("begun", "status"),
    [
        (b"", 0),
        (b"\r\n", 0),
        (b"GET / HT", 408),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", 408),
        (b"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n", 408),
        (b"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n[", 408),
        (b"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[", 408),
        (b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\na=", 408),
    ],
)
def test_who_stops_in_the_middle_is_closed(server: Server, begun: bytes, status: int) -> None:
    started = time.monotonic()
    answer = server.say(begun)
    assert status_of(answer) == status
    assert time.monotonic() - started < STALL + 5
    if status:
        assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        (b"", b"\r\n"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"a"),
        (b"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n", b" "),
        (
            b"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\n \r\n",
        ),
        (b"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a"),
    ],
    ids=["line-ends", "header", "body", "chunks", "extension"],
)
def test_who_trickles_is_closed_too(server: Server, begun: bytes, piece: bytes) -> None:
    """A byte now and then is progress, and yet no way to stay for ever."""
    with server.connect() as connected:
        connected.sendall(begun)
        connected.settimeout(0.3)
        started = time.monotonic()
        while time.monotonic() - started < LIMIT:
            try:
                connected.sendall(piece)
                if not connected.recv(65536):
                    break
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                break
        assert time.monotonic() - started < HEADER + STALL + 5


def test_who_asks_again_and_again_and_never_reads_is_closed(server: Server) -> None:
    with server.connect() as connected:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connected.settimeout(0.5)
        started = time.monotonic()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while time.monotonic() - started < LIMIT:
                with contextlib.suppress(TimeoutError):
                    connected.sendall(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % LARGE)
        assert time.monotonic() - started < STALL + 20
    assert server.get("/accounts/login/")[0] == 200


def test_too_many_connections_cost_those_that_wait_longest(start: Callable[..., Server]) -> None:
    server = start(WEB_CONNECTIONS="50", WEB_HEADER_SECONDS="50")
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in range(80)]
        assert status_of(read_all(held[0])) == 503
        assert server.get("/accounts/login/")[0] == 200
        held[-1].sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert status_of(read_all(held[-1])) == 200


# --- Bodies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "framing",
    [
        lambda body: b"Content-Length: %d\r\n\r\n" % len(body) + body[:-1],
        lambda body: b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body[:-1],
        lambda body: b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n",
        lambda body: b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n",
    ],
)
def test_a_body_cut_off_in_transit_stores_nothing(
    server: Server, key: str, framing: Callable[[bytes], bytes]
) -> None:
    body = "\n".join(json.dumps(record(number)) for number in range(50)).encode()
    head = f"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n".encode()
    for end in (lambda cut: cut.shutdown(socket.SHUT_WR), lambda cut: None):
        with server.connect() as cut:
            cut.sendall(head + framing(body))
            end(cut)
            assert status_of(read_all(cut)) != 200
    assert not UsageRecord.objects.exists()


def test_bodies_of_every_size_and_framing_arrive_whole(server: Server, key: str) -> None:
    filler = "x" * 1000
    for turn, count in enumerate((1, 60, 5000)):
        lines = [json.dumps(record(turn * 10_000 + number, error_message=filler)) for number in range(count)]
        body = "\n".join(lines).encode()
        authorised = f"Authorization: Bearer {key}"
        answer = server.say(post(body, authorised, "Connection: close"))
        assert status_of(answer) == 200
        assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["accepted"] == count
        chunked = f"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorised}\r\nConnection: close\r\n"
        chunked += "Transfer-Encoding: chunked\r\n\r\n"
        pieces = [body[at : at + 70_000] for at in range(0, len(body), 70_000)]
        sent = [b"%x;name=value\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
        answer = server.say(chunked.encode(), *sent, b"0\r\nX-Trailer: 1\r\n\r\n")
        assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["duplicates"] == count


@pytest.mark.parametrize(
    ("path", "length"),
    [("/api/v1/usage", 64 << 20), ("/hooks/suno/", 4 << 20), ("/accounts/login/", 3 << 20)],
)
def test_a_body_that_is_too_large_is_refused_and_the_client_reads_why(
    server: Server, path: str, length: int
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
    answer = server.say(head + b"Content-Length: %d\r\n\r\n" % (length + 1) + b"x" * 100_000)
    assert status_of(answer) == 413
    assert b"connection: close" in answer
    with server.connect() as connected:
        connected.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        block = b"%x\r\n%s\r\n" % (1 << 20, b"x" * (1 << 20))
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for _ in range((length >> 20) + 1):
                connected.sendall(block)
        assert status_of(read_all(connected)) == 413


def test_whoever_asks_before_sending_is_told_to_go_on_or_not_to(server: Server, key: str) -> None:
    body = json.dumps(record(1)).encode()
    headers = (f"Authorization: Bearer {key}", "Expect: 100-continue", "Connection: close")
    whole = post(body, *headers)
    with server.connect() as connected:
        connected.sendall(whole[: -len(body)])
        assert status_of(connected.recv(100)) == 100
        connected.sendall(body)
        assert status_of(read_all(connected)) == 200
    refused = POST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
    assert status_of(server.say(refused)) == 413


# --- What is no HTTP, or two things at once ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nContent-Length: 4", 400),
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nContent-Length: 3", 400),
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3, 3", 400),
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: +3", 400),
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", 400),
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3", 400),
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x", 400),
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: xchunked", 400),
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: gzip, chunked", 400),
        ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding : chunked", 400),
        ("POST / HTTP/1.0\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked", 400),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: y", 400),
        ("GET / HTTP/1.1\r\nAccept: */*", 400),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n folded: 1", 400),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nNull: \0", 400),
        ("GET / HTTP/9.9\r\nHost: 127.0.0.1", 400),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + "\r\n".join(f"X-{n}: 1" for n in range(200)), 431),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + "x" * 100_000, 431),
        ("GET /" + "x" * 100_000 + " HTTP/1.1\r\nHost: 127.0.0.1", 431),
        ("\x16\x03\x01\x02\x00", 400),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(server: Server, head: str, status: int) -> None:
    more = b"\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answer = server.say(head.encode("latin-1") + more)
    assert status_of(answer) == status
    assert answer.count(b"HTTP/1.1 ") == 1, "nothing after it is taken for a request"


def test_headers_without_an_end_are_refused_before_they_fill_the_memory(server: Server) -> None:
    with server.connect() as connected:
        connected.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ")
        sent = 0
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < 100 << 20:
                connected.sendall(b"x" * 65536)
                sent += 65536
        assert sent < 20 << 20


def test_requests_that_are_sent_at_once_are_answered_in_their_order(server: Server) -> None:
    asked = [b"/livez", b"/accounts/login/", b"/static/css/none.css", b"/livez"]
    sent = b"".join(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path for path in asked)
    answer = server.say(sent + b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answer)]
    assert found == [200, 200, 404, 200, 200]


def test_a_head_request_has_the_headers_and_no_body(server: Server) -> None:
    asked = b"HEAD %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    for path in (b"/accounts/login/", b"/static/css/base.css", b"/livez", b"/readyz"):
        head, body = server.say(asked % path).split(b"\r\n\r\n", 1)
        assert (status_of(head), body) == (200, b"")


def test_the_host_of_a_whole_url_goes_before_the_header(start: Callable[..., Server]) -> None:
    server = start(BASE_URL="https://console.example", ALLOWED_HOSTS="console.example,other.example")
    asked = b"GET http://other.example:81/tokens/ HTTP/1.1\r\nHost: console.example\r\n"
    asked += b"Connection: close\r\n\r\n"
    assert b"location: https://other.example:81/tokens/" in server.say(asked).lower()


def test_old_clients_are_served(server: Server) -> None:
    assert status_of(server.say(b"GET /accounts/login/ HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")) == 200


def test_trailers_and_underscores_are_no_headers(start: Callable[..., Server]) -> None:
    """What a proxy checked stays as it was: nothing comes in behind its back."""
    server = start(BASE_URL="https://127.0.0.1", BEHIND_PROXY="1", ALLOWED_HOSTS="127.0.0.1")
    head = "GET /tokens/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    trailer = "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Forwarded-Proto: https\r\n\r\n"
    underscore = "X_Forwarded_Proto: https\r\n\r\n"
    for rest in (trailer, underscore):
        assert status_of(server.say((head + rest).encode())) == 301, "to https, since it did not come by it"
    said = "X-Forwarded-Proto: https\r\n\r\n"
    assert status_of(server.say((head + said).encode())) == 302, "to the sign-in page"
    assert server.get("/readyz")[0] == server.get("/livez")[0] == 200, "asked by machines, without https"


# --- Turns -------------------------------------------------------------------------------------------------


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


def test_pages_that_wait_keep_neither_gateways_nor_static_files_nor_the_api_waiting(
    server: Server, key: str, alice: User
) -> None:
    cookies = [session(User.objects.create(email=f"person-{number}@example.com")) for number in range(20)]
    asked = "GET /records/usage/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nCookie: %s\r\n\r\n"
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in cookies]
        with locked("accounts_savedview"):
            for connected, cookie in zip(held, cookies, strict=True):
                connected.sendall((asked % cookie).encode())
            wait(waits_for_a_lock)
            body = json.dumps(record(1)).encode()
            answer = server.say(post(body, f"Authorization: Bearer {key}", "Connection: close"))
            assert status_of(answer) == 200
            assert server.get("/static/css/base.css")[0] == 200
            assert server.get("/api/v1/openapi.json")[0] == 200
            assert server.get("/readyz")[0] == 200
        assert {status_of(read_all(connected)) for connected in held} <= {200, 503}


def test_gateways_that_wait_keep_no_page_waiting(server: Server) -> None:
    keys = [IngestKey.issue(Gateway.objects.create(name=f"edge-{number}"), "test")[1] for number in range(12)]
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in keys]
        with locked("accounts_ingestkey"):
            for connected, key in zip(held, keys, strict=True):
                connected.sendall(post(b"[]", f"Authorization: Bearer {key}", "Connection: close"))
            wait(waits_for_a_lock)
            assert server.get("/accounts/login/")[0] == 200
        assert {status_of(read_all(connected)) for connected in held} <= {200, 503}


def test_more_than_can_wait_are_told_to_come_again_and_the_gone_are_dropped(
    start: Callable[..., Server], key: str
) -> None:
    server = start()
    with contextlib.ExitStack() as stack:
        with locked("accounts_ingestkey"):
            held = [stack.enter_context(server.connect()) for _ in range(60)]
            for number, connected in enumerate(held):
                connected.sendall(post(json.dumps(record(number)).encode(), f"Authorization: Bearer {key}"))
            refused = server.say(post(b"[]", f"Authorization: Bearer {key}"))
            assert status_of(refused) == 503
            assert b"retry-after: 5" in refused
            assert json.loads(refused.split(b"\r\n\r\n", 1)[1])["error"]
            for connected in held:
                connected.close()
            asked = server.connect()
            stack.enter_context(asked)
            asked.sendall(post(b"[]", "Authorization: Bearer other", "Connection: close"))
        assert status_of(read_all(asked)) in {401, 503}
    assert UsageRecord.objects.count() < 10, "what nobody waits for is not worked on"
    assert server.get("/accounts/login/")[0] == 200


# --- Answers -----------------------------------------------------------------------------------------------


def test_a_download_is_sent_as_fast_as_it_is_read_and_holds_no_thread(server: Server, alice: User) -> None:
    export = Export.objects.create(
        user=alice, source="usage", format="csv", columns=[], status=Export.Status.DONE, sha256="a" * 64
    )
    export.folder.mkdir(parents=True)
    content = os.urandom(1 << 20) * 24
    export.path.write_bytes(content)
    path = f"/exports/file/{exporting.signed(export)}/"
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(12)]
        for connected in slow:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connected.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert status_of(connected.recv(20)) == 200
        status, _, body = server.get(path)
        assert (status, body == content) == (200, True)
        status, _, body = server.get(path, Range="bytes=1000000-9999999")
        assert (status, body == content[1_000_000:10_000_000]) == (206, True)
        assert server.get(path, "HEAD")[1]["content-length"] == str(len(content))
        # They read nothing more: they are cut off, and get what was under way at most.
        assert all(len(read_all(connected)) < len(content) for connected in slow[:3])
        wait(lambda: not open_files(server, export.path))


def open_files(server: Server, path: Path) -> list[str]:
    found = []
    for pid in server.workers():
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if link.readlink() == path:
                    found.append(link.name)
    return found


# --- Health ------------------------------------------------------------------------------------------------


def test_readiness_says_which_part_is_missing(server: Server) -> None:
    assert json.loads(server.get("/readyz")[2]) == {"database": "ok", "migrations": "ok"}
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE app = 'logs' AND name LIKE '0002%' RETURNING name"
        )
        [(name,)] = cursor.fetchall()
        try:
            status, _, body = server.get("/readyz")
            assert status == 503
            assert json.loads(body) == {"database": "ok", "migrations": f"1 not applied, logs.{name} first"}
            assert server.get("/livez")[0] == 200
        finally:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('logs', %s, now())", [name]
            )
    assert server.get("/readyz", "POST")[0] == 405


def test_a_database_that_does_not_answer_is_told_within_a_second_or_two(server: Server) -> None:
    with locked("django_migrations"):
        started = time.monotonic()
        status, _, body = server.get("/readyz")
        assert status == 503
        assert json.loads(body)["database"] != "ok"
        assert time.monotonic() - started < 5
        assert server.get("/livez")[0] == 200
    wait(lambda: server.get("/readyz")[0] == 200)


def test_a_database_that_is_away_is_told(tmp_path: Path) -> None:
    server = Server(tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    try:
        with contextlib.suppress(AssertionError):
            wait(lambda: _answers(server))
        status, _, body = server.get("/readyz")
        assert (status, json.loads(body)["database"]) == (503, "cannot be reached")
        assert server.get("/livez")[0] == 200
    finally:
        server.stop()


def _answers(server: Server) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return server.get("/livez")[0] == 200
    return False


# --- Processes ---------------------------------------------------------------------------------------------


def test_a_process_that_is_killed_is_replaced(start: Callable[..., Server]) -> None:
    server = start()
    [before] = server.workers()
    os.kill(before, signal.SIGKILL)
    wait(lambda: server.workers() not in ([], [before]) and _answers(server))
    assert server.get("/readyz")[0] == 200
    server.stop()
    server.said.write_text("")  # gunicorn tells of the kill, as it should.


def test_requests_under_way_are_answered_before_it_ends(start: Callable[..., Server], key: str) -> None:
    server = start(WEB_STALL_SECONDS="30")
    with contextlib.ExitStack() as stack:
        with locked("accounts_ingestkey"):
            asked = stack.enter_context(server.connect())
            asked.sendall(post(json.dumps(record(1)).encode(), f"Authorization: Bearer {key}"))
            silent = stack.enter_context(server.connect())
            wait(waits_for_a_lock)
            server.process.send_signal(signal.SIGTERM)
            assert read_all(silent) == b""
        status = status_of(read_all(asked))
    assert server.process.wait(LIMIT) == 0
    assert (status, UsageRecord.objects.count()) in {(200, 1), (503, 0)}, "503: the lock was held too long"


def test_it_listens_on_ipv6(tmp_path: Path) -> None:
    server = Server(tmp_path, HOST="::1")
    try:
        wait(lambda: _answers_at("::1", server.port))
    finally:
        assert server.stop() == ""


def _answers_at(host: str, port: int) -> bool:
    asking = http.client.HTTPConnection(host, port, timeout=LIMIT)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(asking):
        asking.request("GET", "/livez")
        return asking.getresponse().status == 200
    return False


def test_requests_are_told_one_by_one_where_that_is_asked_for(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    server = Server(tmp_path, ACCESS_LOG="1")
    server.until_ready()
    server.get("/accounts/login/?next=/tokens/")
    assert '"GET /accounts/login/?next=/tokens/ HTTP/1.1" 200' in server.stop()
