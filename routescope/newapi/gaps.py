"""The numbers below a position that had no row yet when they were passed by.

A database hands out numbers in one order and shows rows in another: each when its transaction commits. A row
that comes late therefore stands where a number was missing among those that were read. Every such gap is
remembered and looked at again until it is filled, or nobody can fill it any more:

- ``KEPT`` seconds after it was noticed, and on PostgreSQL not before all transactions have ended that ran
  then (``horizon``), though never longer than ``LONGEST``;
- at once, where the rows behind it were written longer than ``KEPT`` ago: whoever imports years reads their
  deleted rows' numbers once.

At most ``MOST`` gaps are kept; those that go beyond are given up, the surest to stay empty first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

import msgspec

KEPT = 24 * 3600
LONGEST = 7 * 24 * 3600
MOST = 1_000


class Gap(msgspec.Struct, array_like=True):
    """Numbers from ``low`` to ``high``, both included.

    ``noticed`` is epoch seconds; ``horizon`` the transaction of PostgreSQL before which all must have ended
    that could fill it, None where the source tells of none.
    """

    low: int
    high: int
    noticed: int
    horizon: int | None = None


class Gaps:
    """Gaps in the order of their numbers, none of which is in two."""

    def __init__(self, kept: Sequence[object] = ()) -> None:
        self._gaps: list[Gap] = msgspec.convert(list(kept), list[Gap])

    def __len__(self) -> int:
        return len(self._gaps)

    def __contains__(self, number: int) -> bool:
        place = self._place(number)
        return place >= 0 and number <= self._gaps[place].high

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The first and the last number of each."""
        return [(gap.low, gap.high) for gap in self._gaps]

    def kept(self) -> list[object]:
        """Return the gaps as JSON, as they are given to the constructor."""
        kept: list[object] = msgspec.to_builtins(self._gaps)
        return kept

    def notice(
        self, after: int, rows: Sequence[tuple[int, float | None]], now: float, horizon: int | None
    ) -> None:
        """Remember what is missing among rows that were read from beyond ``after`` on, in their order.

        Each row is its number and when it was written, epoch seconds; None where that is not known.
        """
        previous = after
        for place, (number, _) in enumerate(rows):
            around = rows[max(place - 1, 0) : place + 2]
            if number > previous + 1 and not _are_old(around, now):
                self._gaps.append(Gap(previous + 1, number - 1, int(now), horizon))
            previous = max(previous, number)

    def wait_for(self, number: int, now: float) -> None:
        """Look at a number again whose row is there, but not what it will be."""
        if number not in self:
            self._gaps.insert(self._place(number) + 1, Gap(number, number, int(now)))

    def fill(self, numbers: Iterable[int]) -> None:
        """Forget numbers: their rows were read."""
        for number in numbers:
            if number in self:
                place = self._place(number)
                self._gaps[place : place + 1] = _without(self._gaps[place], number)

    def expire(self, now: float, oldest: int | None) -> int:
        """Forget what nobody fills any more; return how many gaps more than may be kept were given up.

        ``oldest`` is the oldest transaction of PostgreSQL that still runs, None where that is not known.
        """
        self._gaps = [gap for gap in self._gaps if not _is_over(gap, now, oldest)]
        over = len(self._gaps) - MOST
        if over <= 0:
            return 0
        surest = sorted(self._gaps, key=lambda gap: (not _has_ended(gap, oldest), gap.noticed, gap.low))
        given_up = {gap.low for gap in surest[:over]}
        self._gaps = [gap for gap in self._gaps if gap.low not in given_up]
        return over

    def _place(self, number: int) -> int:
        """Return the place of the last gap that begins at or before a number, -1 for none."""
        return bisect_right(self._gaps, number, key=lambda gap: gap.low) - 1


def _are_old(rows: Sequence[tuple[int, float | None]], now: float) -> bool:
    """Tell whether rows were written longer ago than any is waited for. One alone may have an odd time."""
    return len(rows) > 1 and all(written is not None and now - written > KEPT for _, written in rows)


def _is_over(gap: Gap, now: float, oldest: int | None) -> bool:
    age = now - gap.noticed
    return age > LONGEST or (
        age > KEPT and (gap.horizon is None or oldest is None or _has_ended(gap, oldest))
    )


def _has_ended(gap: Gap, oldest: int | None) -> bool:
    return gap.horizon is not None and oldest is not None and oldest >= gap.horizon


def _without(gap: Gap, number: int) -> Iterator[Gap]:
    if gap.low < number:
        yield msgspec.structs.replace(gap, high=number - 1)
    if gap.high > number:
        yield msgspec.structs.replace(gap, low=number + 1)
