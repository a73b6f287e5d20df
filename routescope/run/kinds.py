"""The kinds of request that do not wait for each other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

from routescope.run.limits import MEBIBYTE

_READING = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class _Rules:
    most_waiting: int
    """Requests; a quarter of them may be of one client."""
    patience: float
    """Seconds that a request may wait for its turn."""
    error_type: str


class RequestKind(Enum):
    """Each has threads and a queue of its own."""

    PAGES = _Rules(400, 30, "text/plain; charset=utf-8")
    INGEST = _Rules(200, 20, "application/json")
    """What gateways and providers send."""
    READS = _Rules(100, 20, "application/problem+json")
    """The read API."""

    @property
    def rules(self) -> _Rules:
        return self.value

    def at_once(self, threads: int) -> int:
        """Return how many of so many threads compute side by side; the others are for when those wait.

        They share one interpreter, and each more makes a batch wait longer for its turn there: records first.
        """
        return threads if self is RequestKind.INGEST else max(1, threads // 2)

    def error(self, status: int, message: str) -> bytes:
        """Return the body of an error, as this kind's clients expect it."""
        if self is RequestKind.PAGES:
            return f"{message}\n".encode()
        if self is RequestKind.INGEST:
            return json.dumps({"error": message}).encode()
        return json.dumps(
            {"title": "Refused by the web server", "status": status, "detail": message}
        ).encode()


def kind_of(method: str, path: str) -> RequestKind:
    """Return the kind of a request."""
    if path.startswith(("/hooks/", "/v1/")):
        return RequestKind.INGEST
    if path.startswith("/api/"):
        return RequestKind.READS if method in _READING else RequestKind.INGEST
    return RequestKind.PAGES


def body_limit(kind: RequestKind, path: str) -> int:
    """Return how many bytes a request's body may have, as it is sent."""
    if path.startswith("/hooks/"):
        return 4 * MEBIBYTE  # Anybody may send these; what a provider sends is small.
    return {RequestKind.PAGES: 3 * MEBIBYTE, RequestKind.INGEST: 64 * MEBIBYTE, RequestKind.READS: 64 * 1024}[
        kind
    ]
