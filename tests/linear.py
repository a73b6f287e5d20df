"""Whether work grows with the length of a text: measured, in seconds of CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from tests.pace import seconds

FIRST, SIZES = 4 * 1024, (64 * 1024, 256 * 1024)
BOUND = 0.2
"""Seconds for the last size, of one pattern, on a machine at rest."""
_LEAST = 0.05
"""Seconds of CPU below which a time says nothing on a shared machine: the bound of the shortest texts
alone, as what grows with the square is far above it at the longest, which the slowest are tried with."""
_GROWTH = 2.5
"""How many times more than the text work may grow, where a slow machine takes longer than the bound: with the
square of the length it grows four times more at the last step, and sixteen times at the one before."""
_SLOWEST = 8
"""How many times longer than the bound nothing may take, however it grows: no machine is slowed that much."""
_TRIES = 5
_HARDEST = 3


def check(
    work: Callable[[str], object], makers: Iterable[Callable[[int], str]], bound: float = BOUND
) -> None:
    """Fail where the work on a text of 256 KiB takes longer than ``bound``, in seconds, and grows faster than
    the text, or takes `_SLOWEST` times the bound.

    All texts are tried while they are short, and the ones that take longest at their full length: what grows
    with the square shows in the first step already.
    """
    took = []
    for make in makers:
        text = make(FIRST)
        took.append((_least(work, text, _share(bound, FIRST)), make))
    for first, make in sorted(took, key=lambda pair: pair[0], reverse=True)[:_HARDEST]:
        before, size_before = first, FIRST
        for size in SIZES:
            text = make(size)
            enough = _share(bound, size)
            grown = _GROWTH * (size / size_before) * max(before, _LEAST / 4)
            most = min(max(enough, grown), _SLOWEST * enough)
            before, size_before = _least(work, text, most), size
            assert before < most, f"{before:.3f} s for {len(text):,} characters, {text[:40]!r}…"


def _share(bound: float, size: int) -> float:
    return max(bound * size / SIZES[-1], _LEAST)


def _least(work: Callable[[str], object], text: str, enough: float) -> float:
    """Return the least of some times, the first that is short enough."""
    took = float("inf")
    for _ in range(_TRIES):
        took = min(took, seconds(partial(work, text)))
        if took < enough:
            break
    return took
