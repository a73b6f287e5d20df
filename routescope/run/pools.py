"""Threads for one kind of request each, so that no kind waits for another's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Generic, TypeVar

from routescope.run.frames import with_room
from routescope.run.turns import FullError, Turns

T = TypeVar("T")

_SLOW_SECONDS = 0.5
"""Who runs that long waits for the database, most likely."""

__all__ = ["FullError", "GoneError", "LateError", "Pool", "PoolJob"]


class LateError(Exception):
    """Its turn did not come in time."""


class GoneError(Exception):
    """Whoever asked is gone."""


class Pool(Generic[T]):
    """Threads that live as long as the process, and keep their database connection; those who wait for them.

    Asked from the event loop; the work runs in the threads.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        *,
        most: int,
        most_each: int,
        patience: float,
        at_once: int | None = None,
    ) -> None:
        """``most`` jobs wait, ``most_each`` of one client, each for up to ``patience`` seconds.

        ``at_once`` jobs run side by side, and more only beside slow ones. One client never has every thread,
        where there is more than one.
        """
        self._at_once = at_once or threads
        self._begun: dict[int, float] = {}
        self._turns: Turns[PoolJob[T]] = Turns(
            most=most, most_each=most_each, at_once_each=max(1, threads - 1)
        )
        self._patience = patience
        self._changed = threading.Condition()
        for number in range(threads):
            # Daemons: the end of the process waits for requests under way, and then no longer.
            serve = partial(with_room, self._serve)
            threading.Thread(target=serve, name=f"{name}-{number}", daemon=True).start()

    def submit(self, client: str, work: Callable[[], T]) -> PoolJob[T]:
        """Queue work; what becomes of it is the job's ``outcome``. Raises FullError.

        The outcome is what the work returns or raises; LateError where its turn did not come in time,
        GoneError where it was withdrawn before.
        """
        job = PoolJob(self, client, work)
        with self._changed:
            self._turns.put(client, job)
            self._changed.notify()
        job.expiry = job.loop.call_later(self._patience, self.withdraw, job, LateError())
        return job

    def withdraw(self, job: PoolJob[T], reason: Exception) -> None:
        """Take a job out of the queue, if its turn has not come."""
        with self._changed:
            waited = self._turns.withdraw(job.client, job)
        if waited:
            job.end(reason)

    def _serve(self) -> None:
        while True:
            client, job = self._next()
            outcome: T | BaseException
            try:
                outcome = job.work()
            except BaseException as error:
                outcome = error
            with self._changed:
                self._turns.served(client)
                del self._begun[threading.get_ident()]
                # Somebody may have waited for just this.
                self._changed.notify()
            with suppress(RuntimeError):  # The loop is closed: the process ends.
                job.loop.call_soon_threadsafe(job.end, outcome)
            del job, outcome

    def _next(self) -> tuple[str, PoolJob[T]]:
        """Wait for the next job."""
        with self._changed:
            while True:
                pause = self._pause()
                taken = self._turns.take() if pause is None else None
                if taken is not None:
                    self._begun[threading.get_ident()] = monotonic()
                    if self._turns:
                        self._changed.notify()
                    return taken
                self._changed.wait(pause)

    def _pause(self) -> float | None:
        """Return for how long so many run side by side that one more would be too many; None if one may."""
        slow_since = monotonic() - _SLOW_SECONDS
        quick = sorted(begun for begun in self._begun.values() if begun > slow_since)
        return quick[-self._at_once] - slow_since if len(quick) >= self._at_once else None


class PoolJob(Generic[T]):
    """Work that was submitted."""

    def __init__(self, pool: Pool[T], client: str, work: Callable[[], T]) -> None:
        self.client = client
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[T] = self.loop.create_future()
        self.expiry: asyncio.TimerHandle | None = None
        self._pool = pool

    def leave(self) -> None:
        """Give up waiting; work under way goes on to its end."""
        self._pool.withdraw(self, GoneError())

    def end(self, outcome: T | BaseException) -> None:
        """Tell the outcome, in the loop's thread."""
        if self.expiry is not None:
            self.expiry.cancel()
        if self.outcome.done():
            return
        if isinstance(outcome, BaseException):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)
