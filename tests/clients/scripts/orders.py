"""Making calls one after the other, and telling of each what the client knows, as lines of JSON.

Runs in the clients' environments, so it leans on nothing of the console.
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

PATIENCE_SECONDS = 2
"""How long a client waits for an answer: the stand-in's "slow" takes longer."""
_APART_SECONDS = 0.01
"""Records are put in order by their time in milliseconds."""


@dataclass
class Call:
    """One order in the words of a wire format; ``make`` returns the answer's ID where the client sees it."""

    wire: str
    order: str
    make: Callable[[], str | None]
    api: str = "chat"
    stream: bool = False


def make(call: Call) -> None:
    """Make one call and print what became of it."""
    told = {"wire": call.wire, "order": call.order, "api": call.api, "stream": call.stream}
    try:
        told["id"] = call.make()
    except Exception as error:
        told["raised"] = type(error).__name__
        told["said"] = str(error)[:300]
    print(json.dumps(told), flush=True)  # noqa: T201
    time.sleep(_APART_SECONDS)


def failures(wire: str, text: str) -> list[tuple[str, str]]:
    """Return the refusals ``fail X`` of a wire format by their names in one text."""
    return [(wire, f"fail {name}") for name in text.split()]
