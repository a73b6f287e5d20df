"""The demo gateway's past, by stretches of time: which records and tasks each of their days has."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from operator import attrgetter

from routescope.data.ranges import DAY, HOUR, floor
from routescope.demo import wire
from routescope.demo.failures import REFUNDED_WITHIN
from routescope.demo.media import LONGEST, Order, orders
from routescope.demo.records import RecordSent, TaskSent
from routescope.demo.traffic import Traffic, adjustments, ended, scale_for

RECORDS, DAYS = 200_000, 90
"""How many records a history has, about, and over how many days."""


@dataclass(frozen=True)
class Stretch:
    """What the demo gateway did after ``since`` and by ``until``, or all of it by then where that is None.

    ``end`` is when its history became the present, with some ``records`` records over ``days`` days.
    ``open_tasks`` are the IDs of tasks that were under way at ``since``. It is always the same: sent again,
    all of it is duplicates.
    """

    end: datetime
    since: datetime | None
    until: datetime
    records: int
    days: int
    open_tasks: Collection[str] = ()

    @cached_property
    def begin(self) -> datetime:
        """When the gateway's traffic began."""
        return floor(self.end - self.days * DAY, HOUR)

    @cached_property
    def traffic(self) -> Traffic:
        return Traffic(self.begin, self.end, scale_for(self.records, self.begin, self.end))

    @cached_property
    def after(self) -> datetime:
        return self.since or self.begin

    def days_newest_first(self) -> list[datetime]:
        """Return the UTC days that may have a record."""
        # A call is known when it has ended, which takes less than an hour; a refund follows it.
        first = floor(self.after - HOUR - REFUNDED_WITHIN, DAY)
        return [first + number * DAY for number in reversed(range((self.until - first) // DAY + 1))]

    def expected(self, day: datetime) -> float:
        """Return about how many calls a day brings: what progress is measured by."""
        hours = (day + number * HOUR for number in range(24))
        return sum(self.traffic.expected(hour) for hour in hours if self.after - HOUR < hour < self.until)

    def records_of(self, day: datetime) -> list[RecordSent]:
        """Return the records of a day, in order of time but for refunds, which lie a little later."""
        hours = (day + number * HOUR for number in range(24))
        calls = (record for hour in hours if hour < self.until for record in self.traffic.hour(hour))
        found = [record for record in calls if self.after < ended(record) <= self.until]
        return found + [record for record in self._others if day <= record.created_at < day + DAY]

    def tasks_of(self, day: datetime) -> list[TaskSent]:
        """Return the tasks submitted on a day, registered together with what happened to them."""
        placed = [order for order in self._ordered if day <= order.submitted_at < day + DAY]
        return [
            line
            for order in sorted(placed, key=attrgetter("submitted_at"))
            for line in wire.registered(
                order, wire.in_short(wire.happened(order, order.submitted_at, self.until))
            )
        ]

    def news_of_open_tasks(self) -> list[TaskSent]:
        """Return what happened to the tasks that were under way."""
        return [
            report
            for order in self._under_way
            for report in wire.in_short(wire.happened(order, self.after, self.until))
        ]

    def still_open(self) -> list[str]:
        """Return the IDs of the tasks that are under way at its end, also of those that only others know."""
        over = {order.task_id for order in self._under_way if order.finished_at <= self.until}
        begun = {order.task_id for order in self._ordered if order.finished_at > self.until}
        return sorted({*self.open_tasks, *begun} - over)

    @cached_property
    def _ordered(self) -> list[Order]:
        return list(orders(self.traffic, self.after, self.until))

    @cached_property
    def _under_way(self) -> list[Order]:
        placed = orders(self.traffic, self.after - LONGEST, self.after)
        return [order for order in placed if order.task_id in self.open_tasks]

    @cached_property
    def _others(self) -> list[RecordSent]:
        """The records that are no calls of a workload: tasks, their refunds, and adjustments."""
        of_tasks = (record for order in (*self._under_way, *self._ordered) for record in order.records())
        found = [
            record
            for record in (*adjustments(self.end), *of_tasks)
            if self.after < record.created_at <= self.until
        ]
        return sorted(found, key=attrgetter("created_at"))
