"""Who is slow, silent or waits at the web server keeps nobody else waiting."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable

import pytest

from accounts.models import Gateway, IngestKey, User
from logs.models import UsageRecord
from tests.bench.serving import session
from tests.web_server import (
    HEADER,
    LIMIT,
    MARKS,
    STALL,
    Server,
    collected,
    key,
    locked,
    person,
    post,
    read_all,
    record,
    server,
    shared,
    start,
    status_of,
    wait,
    waits_for_a_lock,
)

__all__ = ["collected", "key", "person", "server", "shared", "start"]

pytestmark = MARKS

LARGE = b"/static/admin/js/vendor/xregexp/xregexp.js"


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


# --- Turns -------------------------------------------------------------------------------------------------


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
