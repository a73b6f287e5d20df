"""Sending to the API as a gateway does: the answer tells whether to go on, to try again or to give up."""

from __future__ import annotations

import http.client
import socket
from typing import Any
from urllib.parse import urlsplit

import msgspec

from routescope.demo.live import Message

TIMEOUT = 10.0
"""Seconds to wait for a connection, and for an answer."""
_LONGEST_ANSWER = 1_000_000
_TRY_AGAIN = (408, 429, 500, 502, 503, 504)


class AwayError(Exception):
    """Nobody answers, or not now: the same message may be sent again."""


class DeliveryRefusedError(Exception):
    """The server does not want what is sent, and will not want it the next time."""


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

    def send(self, message: Message) -> dict[str, Any]:
        """Send a message and return the answer, after which it is stored. Raises AwayError, RefusedError."""
        # A connection of its own: keeping one would only find out late that the server was restarted.
        connection = self._kind(self._host, self._port, timeout=TIMEOUT)
        try:
            connection.request(message.method, self._base + message.path, message.body, self._headers)
            response = connection.getresponse()
            body = response.read(_LONGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise AwayError(_reason(error)) from error
        finally:
            connection.close()
        if response.status in _TRY_AGAIN:
            raise AwayError(f"{response.status} {response.reason}")
        if response.status != 200:
            raise DeliveryRefusedError(
                f"{response.status} {response.reason}: {body[:300].decode(errors='replace')}"
            )
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise DeliveryRefusedError(f"the answer to {message.path} is not the API's: {error}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return f"no answer within {TIMEOUT:.0f} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
