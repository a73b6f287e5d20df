"""Whose turn it is: a bounded queue that is fair among those who ask.

Everyone has a line of their own, and the lines take turns. Three turns of four are for whoever came anew, the
latest first: a person who opens one page does not wait for a whole round of those who keep asking. (The idea
is that of fair queueing for networks, FQ-CoDel: RFC 8290, section 4.)
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

_ROUND = 4
"""Turns, of which one is for those who keep asking even where others come anew."""


class FullError(Exception):
    """Nobody more can wait, or not of this client."""


class Turns(Generic[T]):
    """Things that wait, each in the line of a client. Not thread-safe: its owner holds a lock."""

    def __init__(self, *, most: int, most_each: int, at_once_each: int) -> None:
        """``most`` may wait, ``most_each`` of one client, of which ``at_once_each`` are served at a time."""
        self._most = most
        self._most_each = most_each
        self._at_once_each = at_once_each
        self._lines: dict[str, _Line[T]] = {}
        self._new: deque[_Line[T]] = deque()
        self._old: deque[_Line[T]] = deque()
        self._turn = 0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def put(self, client: str, thing: T) -> None:
        """Let a thing wait at the end of the client's line. Raises FullError."""
        line = self._lines.get(client)
        if self._waiting >= self._most or (line is not None and len(line.things) >= self._most_each):
            raise FullError
        if line is None:
            line = self._lines[client] = _Line(client)
            self._new.appendleft(line)
        elif not line.queued:
            self._old.append(line)
        line.queued = True
        line.things.append(thing)
        self._waiting += 1

    def take(self) -> tuple[str, T] | None:
        """Return the next thing with its client, who is served until ``served``; None where nobody may go."""
        self._turn = (self._turn + 1) % _ROUND
        rings = (self._new, self._old) if self._turn else (self._old, self._new)
        for ring in rings:
            for _ in range(len(ring)):
                line = ring.popleft()
                if not line.things:
                    line.queued = False
                    self._forget(line)
                elif line.served >= self._at_once_each:
                    ring.append(line)
                else:
                    line.served += 1
                    # Also where nothing more waits: who asks again at once is no newcomer for a round.
                    self._old.append(line)
                    self._waiting -= 1
                    return line.client, line.things.popleft()
        return None

    def served(self, client: str) -> None:
        """Say that what was taken is done."""
        line = self._lines[client]
        line.served -= 1
        self._forget(line)

    def withdraw(self, client: str, thing: T) -> bool:
        """Take a thing out before its turn; say whether it still waited."""
        line = self._lines.get(client)
        if line is None or thing not in line.things:
            return False
        line.things.remove(thing)
        self._waiting -= 1
        return True

    def _forget(self, line: _Line[T]) -> None:
        if not (line.queued or line.served or line.things):
            del self._lines[line.client]


class _Line(Generic[T]):
    def __init__(self, client: str) -> None:
        self.client = client
        self.things: deque[T] = deque()
        self.served = 0
        self.queued = False
        """Whether it stands in one of the rings."""
