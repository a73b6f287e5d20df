"""Sending the demo gateway's past to the console: newest days first, so that today's pages fill at once."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext_noop

from routescope.demo import wire
from routescope.demo.book import Book, Entries, StretchLeft
from routescope.demo.delivery import Deliver, DeliveryAnswer
from routescope.demo.history import Stretch
from routescope.web import notices

NOTICE = gettext_noop("Loading demo history")
BATCH = 4_000
"""Records in a message."""
AT_ONCE = 2
"""Messages under way: one for each web process. One, two and three take as long where all share two cores."""
_TASKS_AT_ONCE = 100
"""Lines in a message: each changes a task in a transaction of its own."""
_EVERY = 1.0
"""Seconds between two notices."""


class Tally(NamedTuple):
    """How many records were stored, and were here already."""

    accepted: int = 0
    duplicates: int = 0

    def plus(self, answer: DeliveryAnswer) -> Tally:
        return Tally(self.accepted + answer.accepted, self.duplicates + answer.duplicates)


@dataclass(slots=True)
class Loaded:
    """What a load did: records stored or here already, tasks that were new, and what of either was refused.

    ``start`` and ``until`` are the time that it covered, None where there was nothing to send.
    """

    records: Tally = field(default_factory=Tally)
    tasks: int = 0
    refused: int = 0
    first_refusal: str = ""
    """In the console's words, why the first of them was."""
    start: datetime | None = None
    until: datetime | None = None

    def heed(self, answer: DeliveryAnswer) -> DeliveryAnswer:
        """Count what the console refused, and return the answer."""
        if answer.rejected:
            self.refused += len(answer.rejected)
            self.first_refusal = self.first_refusal or str(answer.rejected[0].get("error"))
        return answer


@dataclass(slots=True)
class _Day:
    """A UTC day that is under way."""

    left: StretchLeft
    stretch: Stretch
    day: datetime
    answers: list[Future[DeliveryAnswer]]


def load(book: Book, entries: Entries, deliver: Deliver, threads: Executor) -> Loaded:
    """Send what the entries of the book leave of the gateway's past, and note there what is sent.

    Messages with records are delivered in ``threads``. Pages say meanwhile how much of it is sent. Raises
    what ``deliver`` does: a later load goes on from there.
    """
    newest_first = sorted(entries.stretches, key=lambda left: left.until, reverse=True)
    return _Loading(book, deliver, threads).run([(left, entries.stretch(left)) for left in newest_first])


@dataclass
class _Loading:
    book: Book
    deliver: Deliver
    threads: Executor
    loaded: Loaded = field(default_factory=Loaded)
    under_way: deque[_Day] = field(default_factory=deque)
    to_do: float = 0.0
    done: float = 0.0
    told_at: float = 0.0

    def run(self, planned: list[tuple[StretchLeft, Stretch]]) -> Loaded:
        for left, stretch in planned:
            for day in stretch.days_newest_first():
                weight = stretch.expected(day)
                self.to_do += weight
                self.done += weight if day.date() in left.done else 0
        try:
            for left, stretch in planned:
                self.loaded.start = min(self.loaded.start or stretch.after, stretch.after)
                self.loaded.until = max(self.loaded.until or stretch.until, stretch.until)
                self._send(left, stretch)
        finally:
            if planned:
                with suppress(OperationalError, InterfaceError):
                    notices.take_down()
        return self.loaded

    def _send(self, left: StretchLeft, stretch: Stretch) -> None:
        self._tell()
        for day in stretch.days_newest_first():
            if day.date() in left.done:
                continue
            messages = wire.usage(stretch.records_of(day), BATCH)
            answers = [self.threads.submit(self.deliver, message) for message in messages]
            self.under_way.append(_Day(left, stretch, day, answers))
            # As many again may wait, so that none of the threads does.
            while sum(len(one.answers) for one in self.under_way) > 2 * AT_ONCE:
                self._settle(self.under_way.popleft())
        while self.under_way:
            self._settle(self.under_way.popleft())
        for message in wire.reports(stretch.news_of_open_tasks(), _TASKS_AT_ONCE):
            self.loaded.heed(self.deliver(message))
        self.book.finished(left)

    def _settle(self, day: _Day) -> None:
        """Wait for a day's records, and then send its tasks: what they were charged is here by then."""
        for answer in day.answers:
            self.loaded.records = self.loaded.records.plus(self.loaded.heed(answer.result()))
        tasks = day.stretch.tasks_of(day.day)
        messages = wire.registrations(tasks, _TASKS_AT_ONCE)
        answers = [self.loaded.heed(self.deliver(message)) for message in messages]
        if any(answer.accepted for answer in answers):
            self.loaded.tasks += len({task.task_id for task in tasks})
        self.book.sent(day.left, day.day.date())
        self.done += day.stretch.expected(day.day)
        self._tell()

    def _tell(self) -> None:
        if time.monotonic() - self.told_at < _EVERY:
            return
        self.told_at = time.monotonic()
        # While the database is away there is no page to say it on either.
        with suppress(OperationalError, InterfaceError):
            notices.show(NOTICE, int(100 * self.done / self.to_do) if self.to_do else 100)
