"""Live demo traffic: what a gateway would send, as time passes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from logs.models.events import JSONObject, UsageEvent
from routescope.data.ranges import DAY, HOUR, floor
from routescope.demo import wire
from routescope.demo.media import LONGEST, Order, orders, orders_of_hour
from routescope.demo.traffic import CALLS_PER_DAY, Traffic, ended

STREAM = "live"
LONGEST_STEP = timedelta(minutes=10)
"""How much time one step covers at most, so that a long pause is caught up with in small batches."""
_MOST_RECORDS = 500


class Message(NamedTuple):
    """One request to the API: NDJSON with so many objects."""

    method: str
    path: str
    body: bytes
    objects: int


@dataclass(frozen=True)
class _Hour:
    """``calls`` are in order of their ends, ``ends``."""

    calls: list[UsageEvent]
    ends: list[datetime]
    orders: list[Order]

    def ended_between(self, start: datetime, until: datetime) -> list[UsageEvent]:
        return self.calls[bisect_left(self.ends, start) : bisect_left(self.ends, until)]


class Live:
    """The demo gateway's side of the conversation, from ``start`` on: ``rate`` calls a second on average.

    ``end`` is when the history ended. ``waiting`` are the IDs of the tasks that the console still waits for:
    those of the history, and of an earlier run at the same rate, go on.
    """

    def __init__(self, end: datetime, rate: float, start: datetime, waiting: Collection[str] = ()) -> None:
        scale = rate * (DAY.total_seconds()) / CALLS_PER_DAY
        self._traffic = Traffic(floor(start - DAY, HOUR), end, scale, STREAM)
        self._hours: dict[datetime, _Hour] = {}
        self._open = [order for order in self._ordered_before(start) if order.task_id in waiting]
        self._late = [event for order in self._open for event in order.records() if event.created_at < start]
        self._said: dict[str, JSONObject] = {}
        self.until = start
        """Up to when everything has been taken."""

    def take(self, now: datetime) -> list[Message]:
        """Return what the gateway has learned since the last time, at most ``LONGEST_STEP`` of it."""
        since, self.until = self.until, max(self.until, min(now, self.until + LONGEST_STEP))
        hours = self._look_up(since)
        new = [order for hour in hours for order in hour.orders if since <= order.submitted_at < self.until]
        self._open += new
        calls = (event for hour in hours for event in hour.ended_between(since, self.until))
        of_tasks = (
            event
            for order in self._open
            for event in order.records()
            if since <= event.created_at < self.until
        )
        records = sorted([*self._late, *calls, *of_tasks], key=ended)
        self._late = []
        messages = [
            *_messages("POST", "/api/v1/usage", [wire.record(event) for event in records]),
            *_messages("POST", "/api/v1/tasks", [wire.registration(order) for order in new]),
            *_messages("PATCH", "/api/v1/tasks", list(self._news())),
        ]
        self._open = [order for order in self._open if order.finished_at >= self.until]
        return messages

    def _ordered_before(self, start: datetime) -> Iterator[Order]:
        end = self._traffic.end
        yield from orders(Traffic(end - 2 * LONGEST, end, scale=1.0), end - 2 * LONGEST, end)
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
        return _Hour(calls, [ended(event) for event in calls], orders_of_hour(self._traffic, start))

    def _news(self) -> Iterator[JSONObject]:
        for order in self._open:
            if order.started_at <= self.until:
                report = wire.report(order, self.until)
                if self._said.get(order.task_id) != report:
                    self._said[order.task_id] = report
                    yield report
            if order.finished_at < self.until:
                self._said.pop(order.task_id, None)


def _messages(method: str, path: str, objects: list[JSONObject]) -> Iterator[Message]:
    for first in range(0, len(objects), _MOST_RECORDS):
        part = objects[first : first + _MOST_RECORDS]
        yield Message(method, path, wire.ndjson(part), len(part))
