"""What every wire format needs: answers, streams, numbers for IDs, and the order in a request."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from logs.models import Cause
from tests.clients import scenarios
from tests.clients.scenarios import Refusal, Scenario

SLOW_SECONDS = 4
"""How long "slow" takes: clients wait for two seconds."""
_CHUNK_SECONDS = 0.02
_numbers = itertools.count(1)


@dataclass
class Answer:
    """A whole answer."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass
class Stream:
    """An answer in parts; a cut one ends without an end."""

    parts: Iterable[bytes]
    content_type: str = "text/event-stream"
    is_cut: bool = False
    headers: dict[str, str] = field(default_factory=dict)


def number() -> int:
    """Return the next number, for an ID that no other answer has."""
    return next(_numbers)


def told(body: dict[str, Any], headers: dict[str, str], status: int = 200) -> Answer:
    """Return an answer in JSON."""
    return Answer(json.dumps(body).encode(), status, headers)


def spaced(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Give the parts of a stream one after the other, as a model does."""
    for part in parts:
        yield part
        time.sleep(_CHUNK_SECONDS)


def wanted(wire: str, order: str) -> tuple[Scenario, Refusal | None]:
    """Return the scenario of an order, after its time; an unknown one is a mistake of the test."""
    scenario = scenarios.WIRES[wire].get(order)
    if scenario is None:
        refusal = Refusal(418, None, "unknown_order", f"No scenario: {order!r}", Cause.UNKNOWN)
        return Scenario(), refusal
    if order == "slow":
        time.sleep(SLOW_SECONDS)
    return scenario, scenario.refusal


def text(content: Any) -> str:
    """Return the text of a message's content, in whatever parts it comes."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return text(content.get("text") or content.get("content") or content.get("parts") or "")
    if isinstance(content, list):
        return next((found for part in reversed(content) if (found := text(part))), "")
    return ""
