"""Live demo traffic: what a gateway would send, as time passes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from routescope.data.ranges import DAY, HOUR, floor
from routescope.demo import wire
from routescope.demo.media import LONGEST, Order, orders, orders_of_hour
from routescope.demo.records import RecordSent, TaskSent
from routescope.demo.traffic import CALLS_PER_DAY, Traffic, ended
from routescope.demo.wire import Message

STREAM = "live"
LONGEST_STEP = timedelta(minutes=10)
"""How much time one step covers at most, so that a long pause is caught up with in small batches."""
_MOST_OBJECTS = 500
"""Objects in a message."""


@dataclass(frozen=True)
class _Hour:
    """``calls`` are in order of their ends, ``ends``."""

    calls: list[RecordSent]
    ends: list[datetime]
    orders: list[Order]

    def ended_between(self, since: datetime, until: datetime) -> list[RecordSent]:
        return self.calls[bisect_right(self.ends, since) : bisect_right(self.ends, until)]


class Live:
    """The demo gateway's side of the conversation, after ``start``: ``rate`` calls a second on average.

    ``end`` is when the history ended. ``waiting`` are the IDs of the tasks that the console still waits for,
    and was told of up to ``followed_until`` (``start``, where it is not given): those of the ``history``, and
    of an earlier run at the same rate, go on.
    """

    def __init__(
        self,
        end: datetime,
        rate: float,
        start: datetime,
        waiting: Collection[str] = (),
        followed_until: datetime | None = None,
        history: Traffic | None = None,
    ) -> None:
        scale = rate * (DAY.total_seconds()) / CALLS_PER_DAY
        self._traffic = Traffic(floor(start - DAY, HOUR), end, scale, STREAM)
        self._hours: dict[datetime, _Hour] = {}
        placed = self._ordered_before(start, history) if waiting else ()
        self._open = [order for order in placed if order.task_id in waiting]
        self._told_until = min(followed_until or start, start)
        self.until = start
        """Up to when everything has been taken."""

    @property
    def open_tasks(self) -> list[str]:
        """The IDs of the tasks that are under way."""
        return [order.task_id for order in self._open]

    def take(self, now: datetime) -> list[Message]:
        """Return what the gateway has learned since the last time, at most ``LONGEST_STEP`` of it."""
        since, self.until = self.until, max(self.until, min(now, self.until + LONGEST_STEP))
        hours = self._look_up(since)
        # What was open when this run began was followed up to a time before it.
        told, self._told_until = self._told_until, self.until
        new = [order for hour in hours for order in hour.orders if since < order.submitted_at <= self.until]
        calls = [record for hour in hours for record in hour.ended_between(since, self.until)]
        of_open = self._records(self._open, told)
        records = sorted([*calls, *of_open, *self._records(new, since)], key=ended)
        messages = [
            *wire.usage(records, _MOST_OBJECTS),
            *wire.registrations(
                [line for order in new for line in wire.registered(order, self._happened(order, since))],
                _MOST_OBJECTS,
            ),
            *wire.reports(
                [report for order in self._open for report in self._happened(order, told)], _MOST_OBJECTS
            ),
        ]
        self._open = [order for order in (*self._open, *new) if order.finished_at > self.until]
        return messages

    def _records(self, placed: list[Order], since: datetime) -> Iterator[RecordSent]:
        for order in placed:
            yield from (record for record in order.records() if since < record.created_at <= self.until)

    def _happened(self, order: Order, since: datetime) -> list[TaskSent]:
        return wire.happened(order, since, self.until)

    def _ordered_before(self, start: datetime, history: Traffic | None) -> Iterator[Order]:
        """Yield the tasks that may be under way: of the history or a gap after it, and of an earlier run."""
        if history is not None:
            yield from orders(history, start - 2 * LONGEST, start)
        hour = self._traffic.begin
        while hour < start:
            placed = orders_of_hour(self._traffic, hour)
            yield from (order for order in placed if order.submitted_at < start)
            hour += HOUR

    def _look_up(self, since: datetime) -> list[_Hour]:
        """Return the hours whose calls may have ended since then: a call takes less than an hour."""
        first = floor(since, HOUR) - HOUR
        starts = [first + number * HOUR for number in range((self.until - first) // HOUR + 1)]
        self._hours = {start: self._hours.get(start) or self._make(start) for start in starts}
        return list(self._hours.values())

    def _make(self, start: datetime) -> _Hour:
        calls = sorted(self._traffic.hour(start), key=ended)
        return _Hour(calls, [ended(record) for record in calls], orders_of_hour(self._traffic, start))
