"""Distinct times for what casts make.

Rows are listed by an id that begins with their millisecond and goes on with a hash: of two rows of one
millisecond nothing but chance says which comes first. A test that expects one of the two orders passes on one
machine and fails on the next. Hence a cast gives every row a millisecond of its own, and refuses one that its
test gives twice, unless the test says that ties are meant.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime, timedelta
from threading import Lock

import pytest

_MILLISECOND = timedelta(milliseconds=1)


class Moments:
    """The milliseconds that the running test gave to rows of one table."""

    def __init__(self) -> None:
        self._taken: dict[datetime, Hashable] = {}
        self._given: set[datetime] = set()
        self._next: dict[datetime, datetime] = {}
        self._lock = Lock()

    def begin(self) -> None:
        """Begin a test: no time is taken yet."""
        self._taken.clear()
        self._given.clear()
        self._next.clear()

    def free(self, wanted: datetime) -> datetime:
        """Return the wanted time, or the first millisecond after it that is neither taken nor given out."""
        start = _whole(wanted)
        with self._lock:  # Some tests send from several threads.
            found = self._next.get(start, wanted)
            while _whole(found) in self._taken or _whole(found) in self._given:
                found += _MILLISECOND
            self._given.add(_whole(found))
            self._next[start] = found + _MILLISECOND
        return found

    def took(self, moment: datetime, row: Hashable, *, ties: bool = False) -> None:
        """Note the time of a row; the same row may come again.

        Raises AssertionError for a second row of one millisecond, unless ``ties`` are meant.
        """
        holder = self._taken.setdefault(_whole(moment), row)
        assert ties or holder == row, (
            f"{row} and {holder} are of one millisecond, {moment.isoformat(timespec='milliseconds')}: "
            "their order is chance. Give them distinct times, or say that ties are meant."
        )


records, tasks = Moments(), Moments()


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@pytest.fixture(autouse=True)
def distinct_moments() -> None:
    """Begin every test without taken times."""
    for moments in (records, tasks):
        moments.begin()
