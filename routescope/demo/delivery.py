"""Sending to the API as a gateway does: the answer tells whether to go on, to try again or to give up."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from routescope.demo.wire import USAGE, Message

TIMEOUT = 60.0
"""Seconds to wait for a connection, and for an answer: a batch waits for its turn, and is then stored."""
PATIENCE = 180.0
"""Seconds without any answer after which a courier gives up."""
LONGEST_PAUSE = 30.0
_FIRST_PAUSE = 0.5
_LONGEST_ANSWER = 1_000_000
_TRY_AGAIN = (408, 429, 500, 502, 503, 504)


class AwayError(Exception):
    """Nobody answers, or not now: the same may be sent again, after ``pause`` seconds where that is said."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class DeliveryRefusedError(Exception):
    """The server does not want what is sent, and will not want it the next time."""


class DeliveryAnswer(msgspec.Struct):
    """What became of a message's objects: new, here already, waiting for their task, refused."""

    accepted: int = 0
    duplicates: int = 0
    pending: int = 0
    rejected: list[dict[str, str | int | None]] = []


Deliver = Callable[[Message], DeliveryAnswer]
"""Sends a message and returns the answer, once it is stored. Raises AwayError and DeliveryRefusedError."""


class Client:
    """Sends messages to one console with one ingest key."""

    def __init__(self, url: str, key: str) -> None:
        """Raises ValueError for anything but ``http(s)://host[:port][/path]``."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not the address of a console, such as http://127.0.0.1:8000")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/x-ndjson",
            "User-Agent": "routescope-demo",
        }

    def send(self, message: Message) -> DeliveryAnswer:
        """Send a message and return the answer, as ``Deliver`` says."""
        response, body = self._ask(message.method, message.path, message.body)
        if response.status in _TRY_AGAIN:
            raise AwayError(f"{response.status} {response.reason}", _pause_of(response))
        if response.status != 200:
            said = body[:300].decode(errors="replace")
            raise DeliveryRefusedError(f"{response.status} {response.reason}: {said}")
        try:
            return msgspec.json.decode(body, type=DeliveryAnswer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DeliveryRefusedError(f"the answer to {message.path} is not the API's: {error}") from error

    def reach(self) -> None:
        """Return if a console answers at the address: one asks for an ingest key. Raises AwayError."""
        response, _ = self._ask("POST", USAGE, b"")
        if 'realm="ingest"' not in response.headers.get("WWW-Authenticate", ""):
            raise AwayError(f"{response.status} {response.reason}")

    def _ask(self, method: str, path: str, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        # A connection of its own: keeping one would only find out late that the server was restarted.
        connection = self._kind(self._host, self._port, timeout=TIMEOUT)
        try:
            connection.request(method, self._base + path, body, self._headers)
            with connection.getresponse() as response:
                return response, response.read(_LONGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise AwayError(_reason(error)) from error
        finally:
            connection.close()


class Courier:
    """Delivers, however often it takes: waits as long as the server asks to, or ever longer.

    Called from any thread. Raises AwayError after ``PATIENCE`` seconds in which no message got through, and
    DeliveryRefusedError.
    """

    def __init__(self, deliver: Deliver, stopping: threading.Event) -> None:
        """``stopping`` ends the waiting."""
        self._deliver = deliver
        self._stopping = stopping
        self._heard = time.monotonic()

    def __call__(self, message: Message) -> DeliveryAnswer:
        pause = _FIRST_PAUSE
        while True:
            try:
                answer = self._deliver(message)
            except AwayError as error:
                if self._stopping.is_set() or time.monotonic() - self._heard > PATIENCE:
                    raise
                self._stopping.wait(pause if error.pause is None else error.pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)
            else:
                self._heard = time.monotonic()
                return answer


def _pause_of(response: http.client.HTTPResponse) -> float | None:
    """Return the seconds that the server asks to wait, at most ``LONGEST_PAUSE``; None where it asks none."""
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_PAUSE) if asked.isascii() and asked.isdigit() else None


def _reason(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return f"no answer within {TIMEOUT:.0f} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
