"""Request bodies, taken in whole before anybody works on them: with deadlines, and a bound on all together.

A body is held in memory up to a mebibyte, and on disk beyond. Where all bodies together would be too large,
the slowest of those that still come in is refused, so that slow ones never keep others out.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import Callable
from typing import IO

from uvicorn._types import ASGIReceiveCallable

from routescope.run.limits import MEBIBYTE, ServerLimits
from routescope.run.pools import GoneError

_IN_MEMORY = MEBIBYTE


class UploadRefusedError(Exception):
    """A body that is not taken. ``status`` is the HTTP status to answer with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Uploads:
    """The bodies that a process holds."""

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._held = 0
        self._coming: set[Body] = set()

    async def take_in(self, receive: ASGIReceiveCallable, declared: int | None, limit: int) -> Body:
        """Return the whole body, which its caller closes. ``declared`` is its Content-Length, if it has one.

        Raises RefusedError: 408 for one that is too slow, 413 over ``limit`` bytes, 503 where there is no
        room; GoneError where the client went before its end.
        """
        if declared is not None and declared > limit:
            raise _too_large(limit)
        body = Body(self._release)
        self._coming.add(body)
        try:
            await self._read(body, receive, limit)
        except asyncio.CancelledError:
            body.close()
            if body.is_refused and body.task.uncancel() == 0:
                raise _no_room() from None
            raise
        except OSError as error:
            body.close()
            raise _no_room() from error  # The disk is full, say.
        except BaseException:
            body.close()
            raise
        finally:
            self._coming.discard(body)
        return body

    async def _read(self, body: Body, receive: ASGIReceiveCallable, limit: int) -> None:
        more = True
        progressed = body.started
        while more:
            deadline = self._limits.body_deadline(body.started, progressed, body.size)
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise UploadRefusedError(408, "The body came too slowly. Send it again.") from None
            if message["type"] != "http.request":
                raise GoneError
            part = message.get("body", b"")
            more = message.get("more_body", False)
            if part:
                if body.size + len(part) > limit:
                    raise _too_large(limit)
                self._make_room(body, len(part))
                await body.append(part)
                progressed = body.loop.time()
        await body.complete()

    def _make_room(self, body: Body, count: int) -> None:
        """Count bytes for a body; slower ones give way. Raises RefusedError where it is the slowest."""
        self._held += count
        body.size += count
        while self._held > self._limits.bodies:
            slowest = min(self._coming, key=lambda other: other.rate)
            if slowest is body:
                raise _no_room()
            self._coming.discard(slowest)
            slowest.refuse()

    def _release(self, count: int) -> None:
        self._held -= count


class Body:
    """A request's body."""

    def __init__(self, release: Callable[[int], None]) -> None:
        self.size = 0
        self.file: IO[bytes] = io.BytesIO()
        """Read from its start, once it is complete."""
        self.is_refused = False
        self.loop = asyncio.get_running_loop()
        self.started = self.loop.time()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self.task = task
        self._release = release
        self._is_on_disk = False

    @property
    def rate(self) -> float:
        """Bytes a second until now."""
        return self.size / max(self.loop.time() - self.started, 0.001)

    def refuse(self) -> None:
        """Stop whoever takes it in, and give its room away at once."""
        self.is_refused = True
        self._give_room_away()
        self.task.cancel()

    async def append(self, part: bytes) -> None:
        if not self._is_on_disk:
            if self.size <= _IN_MEMORY:
                self.file.write(part)
                return
            self._is_on_disk = True
            self.file.seek(0)
            part = self.file.read() + part
            self.file = tempfile.TemporaryFile()  # noqa: SIM115
        # Not here: a busy disk would stop everybody.
        await asyncio.to_thread(self.file.write, part)

    async def complete(self) -> None:
        await asyncio.to_thread(self.file.seek, 0) if self._is_on_disk else self.file.seek(0)

    def close(self) -> None:
        self._give_room_away()
        self.file.close()

    def _give_room_away(self) -> None:
        self._release(self.size)
        self.size = 0


def _too_large(limit: int) -> UploadRefusedError:
    return UploadRefusedError(413, f"The body is larger than {_measure(limit)}. Send smaller batches.")


def _no_room() -> UploadRefusedError:
    return UploadRefusedError(503, "Too much is being sent at once. Send it again in some seconds.")


def _measure(count: int) -> str:
    return f"{count // MEBIBYTE} MiB" if count >= MEBIBYTE else f"{count // 1024} KiB"
