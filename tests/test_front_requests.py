"""Requests that the web server takes and refuses: bodies of every size and framing, and what is no HTTP."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Callable

import pytest

from logs.models import UsageRecord
from tests.web_server import (
    MARKS,
    Server,
    collected,
    key,
    person,
    post,
    read_all,
    record,
    server,
    shared,
    start,
    status_of,
)

__all__ = ["collected", "key", "person", "server", "shared", "start"]

pytestmark = MARKS

POST = b"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\n"


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
