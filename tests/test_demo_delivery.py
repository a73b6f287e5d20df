"""How the demo's gateway delivers: what it makes of answers, and of a console that comes and goes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from routescope.demo import delivery
from routescope.demo.delivery import AwayError, Client, Courier, DeliveryAnswer, DeliveryRefusedError
from routescope.demo.wire import Message

MESSAGE = Message("POST", "/api/v1/usage", b'{"request_id": "req_1"}', 1)


class Console(BaseHTTPRequestHandler):
    """Answers as told, and notes what it was sent."""

    status = 200
    answer = b'{"accepted": 1}'
    headers_sent: dict[str, str] = {}
    seen: list[tuple[str, str, str, bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.command, self.path, self.headers["Authorization"], body))
        self._answer()

    def _answer(self) -> None:
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
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
    assert Client(address(console) + "/", "rsk_1").send(MESSAGE) == DeliveryAnswer(accepted=1)
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


# --- However often it takes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "pause"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("86400", 30.0),
        ("9" * 400, 30.0),
        ("Fri, 31 Dec 2027 23:59:59 GMT", None),
        ("", None),
    ],
)
def test_a_server_says_how_long_to_wait(console: HTTPServer, told: str, pause: float | None) -> None:
    console.RequestHandlerClass.status = 503  # type: ignore[attr-defined]
    console.RequestHandlerClass.headers_sent = {"Retry-After": told}  # type: ignore[attr-defined]
    with pytest.raises(AwayError) as caught:
        Client(address(console), "rsk_1").send(MESSAGE)
    assert caught.value.pause == pause


class Waiting(threading.Event):
    """Notes for how long it was to wait, and waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        return self.is_set()


def test_a_courier_waits_as_it_is_told_or_ever_longer_and_then_delivers() -> None:
    answers: list[AwayError | DeliveryAnswer] = [
        AwayError("429 Too Many Requests", 7.0),
        AwayError("Connection refused"),
        AwayError("Connection refused"),
        AwayError("503 Service Unavailable", 0.0),
        DeliveryAnswer(accepted=1),
    ]

    def deliver(message: Message) -> DeliveryAnswer:
        answer = answers.pop(0)
        if isinstance(answer, AwayError):
            raise answer
        return answer

    stopping = Waiting()
    assert Courier(deliver, stopping)(MESSAGE) == DeliveryAnswer(accepted=1)
    told, first, second, at_once = stopping.waited
    assert (told, at_once) == (7.0, 0.0)
    assert first and second and first < second < delivery.LONGEST_PAUSE


def away(message: Message) -> DeliveryAnswer:
    raise AwayError("Connection refused")


def test_a_courier_gives_up_where_nobody_answers_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = Waiting()
    clock = iter(range(0, 10_000, 25))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with pytest.raises(AwayError, match="Connection refused"):
        Courier(away, stopping)(MESSAGE)
    assert 5 < len(stopping.waited) < 10


def test_a_courier_that_is_to_stop_waits_no_more() -> None:
    stopping = Waiting()
    stopping.set()
    with pytest.raises(AwayError):
        Courier(away, stopping)(MESSAGE)
    assert stopping.waited == []


def test_a_courier_does_not_try_again_what_is_refused() -> None:
    tries: list[Message] = []

    def refuse(message: Message) -> DeliveryAnswer:
        tries.append(message)
        raise DeliveryRefusedError("401 Unauthorized")

    with pytest.raises(DeliveryRefusedError):
        Courier(refuse, Waiting())(MESSAGE)
    assert len(tries) == 1


# --- Whether a console is there ----------------------------------------------------------------------------


def test_a_console_is_known_by_asking_for_a_key(console: HTTPServer) -> None:
    console.RequestHandlerClass.status = 401  # type: ignore[attr-defined]
    asks = {"WWW-Authenticate": 'Bearer realm="ingest"'}
    console.RequestHandlerClass.headers_sent = asks  # type: ignore[attr-defined]
    Client(address(console), "").reach()
    console.RequestHandlerClass.headers_sent = {}  # type: ignore[attr-defined]
    for status in (401, 200, 404):
        console.RequestHandlerClass.status = status  # type: ignore[attr-defined]
        with pytest.raises(AwayError, match=str(status)):
            Client(address(console), "").reach()
