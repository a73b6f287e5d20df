"""Whether work grows with the length of a text: measured, in seconds of CPU at rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from tests.pace import at_rest, seconds

FIRST, SIZES = 4 * 1024, (64 * 1024, 256 * 1024)
BOUND = 0.2
"""Seconds for the last size, of one pattern."""
_LEAST = 0.05
"""Seconds of CPU below which a time says nothing on a shared machine: the bound of the shortest texts
alone, as what grows with the square is far above it at the longest, which the slowest are tried with."""
_TRIES = 5
_HARDEST = 3


def check(
    work: Callable[[str], object], makers: Iterable[Callable[[int], str]], bound: float = BOUND
) -> None:
    """Fail where the work on a text of 256 KiB takes longer than ``bound``, in seconds.

    All texts are tried while they are short, and the ones that take longest at their full length: what grows
    with the square shows in the first step already.
    """
    took = []
    for make in makers:
        text = make(FIRST)
        took.append((_bounded(work, text, max(bound * FIRST / SIZES[-1], _LEAST)), make))
    for _, make in sorted(took, key=lambda pair: pair[0], reverse=True)[:_HARDEST]:
        for size in SIZES:
            _bounded(work, make(size), max(bound * size / SIZES[-1], _LEAST))


def _bounded(work: Callable[[str], object], text: str, bound: float) -> float:
    measured = partial(work, text)
    if (took := seconds(measured)) < bound:
        return took
    for _ in range(_TRIES):
        if (took := at_rest(measured)) < bound:
            return took
    raise AssertionError(f"{took:.3f} s for {len(text):,} characters, {text[:40]!r}…")
