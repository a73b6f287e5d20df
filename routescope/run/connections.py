"""Connections: uvicorn's HTTP protocol, with a deadline for whatever a client may keep us waiting for.

uvicorn reads and writes HTTP. What is added here bounds it: how many connections there are, how long and how
large headers may be, how slowly a response may be read. It also refuses what two servers could read
differently (RFC 9112, section 11.2), beside what httptools refuses itself.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from routescope.run.limits import ServerLimits

_MOST_PIPELINED = 16
_MOST_FRAMING = 64 * 1024
"""Bytes beside a chunked body's own, and sixteen times the body: chunk sizes, extensions and trailers."""
_AT_ONCE = struct.pack("ii", 1, 0)
"""For SO_LINGER: what was not read is dropped, not kept for whom it was sent to."""


class Connections:
    """The connections of a process: makes them, and ends those that keep it waiting."""

    def __init__(self, limits: ServerLimits) -> None:
        """Raise the process's limit of open files for them."""
        self.limits = limits
        self._most = limits.make_room()
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}

    def protocol(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Connection:
        """Return the protocol of a new connection, as uvicorn asks for it."""
        return Connection(self, config, server_state, app_state, _loop)

    def opened(self, connection: Connection) -> None:
        """Count one more. Where that is too many, who waits longest is cut off, or else the new one."""
        self._open.add(connection)
        if len(self._open) > self._most:
            next(iter(self._waiting), connection).turn_away()

    def closed(self, connection: Connection) -> None:
        """Count one less."""
        self._open.discard(connection)
        self.works(connection)

    def waits(self, connection: Connection) -> None:
        """Say that the connection has no request under way from now on."""
        self.works(connection)
        self._waiting[connection] = None

    def works(self, connection: Connection) -> None:
        """Say that the connection has a request under way, or ends."""
        self._waiting.pop(connection, None)

    async def watch(self) -> None:
        """End whoever is past a deadline, again and again."""
        pause = min(1.0, self.limits.header_seconds / 4, self.limits.stall_seconds / 4)
        while True:
            await asyncio.sleep(pause)
            now = asyncio.get_running_loop().time()
            for connection in list(self._open):
                connection.judge(now)


class Connection(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._all = connections
        self._limits = connections.limits
        self._waits_since = 0.0
        self._is_fresh = True
        self._in_headers = False
        self._in_body = False
        self._is_broken = False
        self._header_bytes = 0
        self._framing = 0
        self._refusal: tuple[int, str] | None = None
        self._serving: RequestResponseCycle | None = None
        self._unread: _Unread | None = None

    # --- From the transport --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._counted = _Counted(transport)
        super().connection_made(cast(asyncio.Transport, self._counted))
        self._wait()
        self._all.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.closed(self)
        self.pipeline.clear()
        if self._serving is not None and not self._serving.response_complete:
            # The superclass tells the latest request only, and this may be one before it.
            self._serving.disconnected = True
            self._serving.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_broken:
            return
        if self._in_body:
            self._framing += len(data)
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > self._limits.header_bytes:
                self._refuse(431, "The headers are too large.")
        elif self._framing > _MOST_FRAMING:
            self._refuse(400, "The body's chunks are too small.")

    # --- From the parser -----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._is_fresh and self._serving is None:
            self._wait()
        self._is_fresh = False
        self._in_headers = True
        self._header_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come after a proxy's checks: nobody reads them as headers.
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._check()
        self._in_headers = False
        self._in_body = True
        self._framing = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._framing = max(0, self._framing - 17 * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def _check(self) -> None:
        """Raise what the parser hands on as an error where the request is not to be taken."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._limits.header_bytes or len(self.headers) > self._limits.header_count:
            self._object(431, "The headers are too large.")
        if len(self.pipeline) >= _MOST_PIPELINED:
            self._object(400, "Too many requests were sent without waiting for an answer.")
        values: dict[bytes, list[bytes]] = {}
        for name, value in self.headers:
            values.setdefault(name, []).append(value)
        hosts = values.get(b"host", [])
        is_old = self.parser.get_http_version() == "1.0"
        if len(hosts) > 1 or not (hosts or is_old):
            self._object(400, "A request has one Host header.")
        codings, lengths = values.get(b"transfer-encoding", []), values.get(b"content-length", [])
        if codings and (lengths or is_old or [coding.lower() for coding in codings] != [b"chunked"]):
            self._object(400, "Transfer-Encoding must be chunked, and without a Content-Length.")
        if len(lengths) > 1:
            self._object(400, "A request has one Content-Length.")
        url = httptools.parse_url(self.url)
        if url.path is None:
            self._object(400, "The request names no path.")
        if (
            url.host is not None
        ):  # The whole URL: its host goes before the header's (RFC 9112, section 3.2.2).
            place = url.host + (b":%d" % url.port if url.port else b"")
            self.headers[:] = [(name, place if name == b"host" else value) for name, value in self.headers]

    def _object(self, status: int, message: str) -> None:
        self._refusal = status, message
        raise ValueError(message)

    # --- Requests and responses ----------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._serving = cycle
        self._all.works(self)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._serving = None
        if not self.transport.is_closing():
            self._wait()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(*(self._refusal or (400, msg)))

    def _refuse(self, status: int, message: str) -> None:
        """Take nothing more, and say why: at once, or not at all where others' answers come before."""
        self._is_broken = True
        if self._serving is None:
            self._write(status, message)
        elif not self.cycle.more_body:
            self.cycle.keep_alive = False
            self.flow.pause_reading()
        elif self._serving is self.cycle and not self.cycle.response_started:
            self._write(status, message)
        else:
            self.transport.abort()

    def turn_away(self) -> None:
        """End it, since there are too many."""
        self._is_broken = True
        self._all.works(self)
        self._write(503, "Too many connections are open.")

    def _write(self, status: int, message: str) -> None:
        body = f"{message}\n".encode()
        headers = (
            b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + headers % len(body) + body)
        self.transport.close()

    # --- Deadlines -----------------------------------------------------------------------------------------

    def judge(self, now: float) -> None:
        """End the connection where its client is past a deadline."""
        if self._reads_too_slowly(now):
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self.transport.abort()
        elif self._serving is None and not self.transport.is_closing():
            is_asking = self._in_headers or self._is_fresh
            patience = self._limits.header_seconds if is_asking else self._limits.idle_seconds
            if now - self._waits_since > patience:
                if self._in_headers:
                    self._refuse(408, "The headers came too slowly.")
                else:
                    self.transport.close()

    def _wait(self) -> None:
        self._waits_since = self.loop.time()
        self._all.waits(self)

    def _reads_too_slowly(self, now: float) -> bool:
        buffered = self.transport.get_write_buffer_size()
        if not buffered:
            self._unread = None
            return False
        read = self._counted.written - buffered
        if self._unread is None:
            self._unread = _Unread(now, read)
        return self._unread.is_late(now, read, self._limits)


class _Unread:
    """A client that has something to read."""

    def __init__(self, now: float, read: int) -> None:
        self._started = self._progressed = now
        self._before = self._read = read

    def is_late(self, now: float, read: int, limits: ServerLimits) -> bool:
        if read > self._read:
            self._read, self._progressed = read, now
        return now > limits.response_deadline(self._started, self._progressed, read - self._before)


class _Counted:
    """A transport that counts what is written to it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.written = 0
        self._transport = transport

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)
