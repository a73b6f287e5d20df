"""What the demo remembers of what it has sent, in a small file of the state folder.

Without it everything is sent again, and the console, which knows it all, keeps none of it twice. Two commands
write in it, the history's and the live traffic's: each while it holds a lock, and never for long.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from routescope.data.ranges import MINUTE
from routescope.demo.history import DAYS, RECORDS, Stretch
from routescope.demo.traffic import Traffic
from routescope.embedded import place, private

GAP = 5 * MINUTE
"""Shorter than this, a pause in the demo's traffic is no gap: the live traffic goes on where it was."""


class StretchLeft(msgspec.Struct):
    """A stretch of the gateway's past that is to be sent, and which of its UTC days are sent."""

    since: datetime | None
    until: datetime
    open_tasks: list[str] = []
    done: list[date] = []


class Entries(msgspec.Struct):
    """``until``: up to then everything is sent, or left in ``stretches``.

    The gateway's history, which ended at ``end``, has some ``records`` records over ``days`` days; what fills
    a gap later is as dense. ``open_tasks`` are the IDs of tasks that the console waits for, and
    ``followed_until`` is up to when it was told of them as it happened.
    """

    gateway: int
    end: datetime
    records: int
    days: int
    until: datetime
    followed_until: datetime
    open_tasks: list[str] = []
    stretches: list[StretchLeft] = []

    def stretch(self, left: StretchLeft) -> Stretch:
        return Stretch(self.end, left.since, left.until, self.records, self.days, frozenset(left.open_tasks))

    @property
    def traffic(self) -> Traffic:
        """The traffic of the history, which also fills the gaps after it."""
        return Stretch(self.end, None, self.end, self.records, self.days).traffic


@dataclass(frozen=True, slots=True)
class Sender:
    """The gateway that the book is about: its row, when its history ended, and when it last sent anything."""

    gateway: int
    end: datetime
    last_sent_at: datetime | None


class Book:
    """The file, and what may be written in it. Raises OSError where the state folder cannot be written to."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._file = place.state() / "demo.json"
        self._locks = place.state() / "locks"

    def resume(self, now: datetime, records: int = RECORDS, days: int = DAYS) -> Entries:
        """Return the entries as of ``now``, with the time since the gateway last sent left to be filled.

        A gateway that the book does not know has all of its history to send: ``records`` records over
        ``days`` days. Whoever comes first, history or live traffic, writes that down.
        """
        with self._locked() as entries:
            if entries is None:
                end = self._sender.end
                until = max(end, self._sender.last_sent_at or end)
                entries = Entries(self._sender.gateway, end, records, days, until, followed_until=end)
                self._leave(entries, None, end)
            if now - entries.until > GAP:
                self._leave(entries, entries.until, now)
                entries.until = now
            self._write(entries)
            return entries

    def sent(self, left: StretchLeft, day: date) -> None:
        """Note that a day of a stretch is sent."""
        with self._locked() as entries:
            for one in entries.stretches if entries else ():
                if (one.since, one.until) == (left.since, left.until) and day not in one.done:
                    one.done.append(day)
            self._write(entries)

    def finished(self, left: StretchLeft) -> None:
        """Note that all of a stretch is sent."""
        with self._locked() as entries:
            if entries is not None:
                entries.stretches = [
                    one for one in entries.stretches if (one.since, one.until) != (left.since, left.until)
                ]
            self._write(entries)

    def lived(self, until: datetime, open_tasks: list[str]) -> None:
        """Note that everything is sent up to ``until``, as it happened, and which tasks were open then."""
        with self._locked() as entries:
            if entries is not None and until >= entries.until:
                entries.until = entries.followed_until = until
                entries.open_tasks = open_tasks
            self._write(entries)

    def _leave(self, entries: Entries, since: datetime | None, until: datetime) -> None:
        left = StretchLeft(since, until, entries.open_tasks)
        entries.stretches.append(left)
        entries.open_tasks = entries.stretch(left).still_open()

    @contextmanager
    def _locked(self) -> Iterator[Entries | None]:
        """Hold the book, and yield its entries; None where they are lost, or of another gateway."""
        private.folder(self._locks)
        with private.opened(self._locks / "demo", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._read()

    def _read(self) -> Entries | None:
        try:
            entries = msgspec.json.decode(self._file.read_bytes(), type=Entries)
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return entries if entries.gateway == self._sender.gateway else None

    def _write(self, entries: Entries | None) -> None:
        """Replace the file: who is killed in the midst of it leaves the old one."""
        if entries is None:
            return
        written = self._file.with_suffix(".json.new")
        with private.opened(written, "w") as file:
            file.write(msgspec.json.encode(entries).decode())
        written.replace(self._file)
