"""How long work takes the processor, as of a machine at rest.

A shared machine computes three times slower for an hour now and then. What is bounded in seconds is therefore
measured beside a yardstick, and its bound holds for the machine at rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from time import process_time

_YARDSTICK = 0.01
"""Seconds of CPU that `_yardstick` takes at rest."""


def at_rest(work: Callable[[], object]) -> float:
    """Do ``work`` and return the seconds of CPU that it would take at rest."""
    before = _slowness()
    took = seconds(work)
    return took / max(before, _slowness())


def seconds(work: Callable[[], object]) -> float:
    """Do ``work`` and return the seconds of CPU that it took: other processes' are not counted."""
    started = process_time()
    work()
    return process_time() - started


def _slowness() -> float:
    return max(seconds(_yardstick) / _YARDSTICK, 1.0)


def _yardstick() -> None:
    """Work as patterns and parsers do: a scan in C, and steps in Python."""
    text = "word 12 " * 10_000
    assert len(re.findall(r"\d+", text)) == sum(1 for part in text.split(" ") if part.isdecimal())
