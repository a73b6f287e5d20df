"""The application that the web server runs: takes in whole requests, lets them take turns, sends the answers.

Everything slow happens under asyncio, where a client costs a little memory and no thread. Django runs in
threads, one pool for each kind of request, so that people, gateways and programs that read never wait for
each other: only for their own kind, and there in turns.
"""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from typing import cast

from django.conf import settings
from django.core.servers.basehttp import get_internal_wsgi_application
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from routescope.run.health import OK, Health
from routescope.run.kinds import RequestKind, body_limit, kind_of
from routescope.run.limits import ServerLimits
from routescope.run.pools import FullError, GoneError, LateError, Pool
from routescope.run.static_files import StaticFiles
from routescope.run.uploads import UploadRefusedError, Uploads
from routescope.run.wsgi_calls import FilePart, WholeResponse, WsgiApplication, call, environ

_BUSY = "The console is busy. Try again in some seconds."
_RETRY_AFTER = b"5"  # seconds
_LINGER_SECONDS = 2.0
_COOKIES = [
    re.compile(rb"(?:^|;\s*)" + re.escape(name.encode()) + rb"=([^;]+)")
    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)
]
"""What tells people apart: once they are signed in, and while they sign in."""


class Front:
    """What answers requests in one process."""

    def __init__(self, application: WsgiApplication, static_files: StaticFiles, limits: ServerLimits) -> None:
        """Start the threads: in the process that serves, since a fork would leave them behind."""
        self._application = application
        self._static_files = static_files
        self._limits = limits
        self._uploads = Uploads(limits)
        self._health = Health()
        self._pools: dict[RequestKind, Pool[WholeResponse]] = {
            kind: Pool(
                kind.name.lower(),
                limits.threads,
                at_once=kind.at_once(limits.threads),
                most=kind.rules.most_waiting,
                most_each=kind.rules.most_waiting // 4,
                patience=kind.rules.patience,
            )
            for kind in RequestKind
        }

    async def answer(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer a request."""
        path, method = scope["path"], scope["method"]
        if path in ("/livez", "/readyz"):
            await _send_bytes(await self._healthy(method, path), scope, send)
        elif path.startswith(self._static_files.prefix):
            await _send_bytes(self._static_files.answer(method, path, scope["headers"]), scope, send)
        else:
            await self._through_django(scope, receive, send)

    async def _healthy(self, method: str, path: str) -> WholeResponse:
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        if method not in ("GET", "HEAD"):
            return WholeResponse(405, [*headers, (b"allow", b"GET, HEAD")], b"{}\n")
        if path == "/livez":
            return WholeResponse(200, headers, b'{"process": "ok"}\n')
        found = await self._health.readiness()
        parts = {"database": found.database, "migrations": found.migrations}
        status = 200 if set(parts.values()) == {OK} else 503
        return WholeResponse(status, headers, json.dumps(parts).encode() + b"\n")

    async def _through_django(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        kind = kind_of(scope["method"], scope["path"])
        refuse = partial(_refuse, kind, scope, receive, send)
        headers = dict(scope["headers"])
        declared = int(headers[b"content-length"]) if b"content-length" in headers else None
        try:
            body = await self._uploads.take_in(receive, declared, body_limit(kind, scope["path"]))
        except UploadRefusedError as error:
            await refuse(error.status, str(error), is_unread=error.status != 408)
            return
        except GoneError:
            return
        watch = asyncio.create_task(_disconnected(receive))
        try:
            work = partial(call, self._application, environ(scope, body.file, body.size))
            job = self._pools[kind].submit(_client(kind, scope, headers), work)
            watch.add_done_callback(lambda _: job.leave())
            answer = await job.outcome
            if isinstance(answer.content, bytes):
                await _send_bytes(answer, scope, send)
            else:
                await _send_file(answer, answer.content, scope, send, watch)
        except (FullError, LateError, asyncio.CancelledError):
            # Cancelled where the server ends and its patience is over.
            await refuse(503, _BUSY, is_unread=False)
        except GoneError:
            pass
        finally:
            watch.cancel()
            body.close()


class Application:
    """The ASGI application of a process, loaded before the processes part."""

    def __init__(self, django: WsgiApplication) -> None:
        self._django = django
        self._static_files = StaticFiles()
        self._front: Front | None = None

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and self._front is not None:
            await self._front.answer(scope, receive, send)
        else:
            raise RuntimeError(f"Nothing here answers a scope of type {scope['type']}.")

    async def _live(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await receive()
        self._front = Front(self._django, self._static_files, ServerLimits.from_environment())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


application = Application(cast(WsgiApplication, get_internal_wsgi_application()))


def _client(kind: RequestKind, scope: HTTPScope, headers: dict[bytes, bytes]) -> str:
    """Return whose line a request waits in: the bearer of its credentials, or else its address."""
    credentials = headers.get(b"authorization")
    if kind is RequestKind.PAGES:
        sent = headers.get(b"cookie", b"")
        credentials = next((found[1] for cookie in _COOKIES if (found := cookie.search(sent))), None)
    if credentials:
        return credentials.decode("latin-1")
    return f"at {scope['client'][0]}" if scope["client"] else ""


async def _disconnected(receive: ASGIReceiveCallable) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(answer: WholeResponse, scope: HTTPScope, send: ASGISendCallable, length: int) -> None:
    has_length = any(name.lower() == b"content-length" for name, _ in answer.headers)
    if not has_length and scope["method"] != "HEAD" and answer.status not in (204, 304):
        answer.headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})


async def _send_bytes(answer: WholeResponse, scope: HTTPScope, send: ASGISendCallable) -> None:
    """Hand an answer over whole: it is the server's to wait for a slow reader."""
    assert isinstance(answer.content, bytes)  # noqa: S101
    await _start(answer, scope, send, len(answer.content))
    await send({"type": "http.response.body", "body": answer.content, "more_body": False})


async def _send_file(
    answer: WholeResponse, part: FilePart, scope: HTTPScope, send: ASGISendCallable, watch: asyncio.Task[None]
) -> None:
    """Send a file block by block, as fast as the client reads; the server ends who reads too slowly."""
    try:
        await _start(answer, scope, send, part.length)
        while not watch.done() and (block := await asyncio.to_thread(part.read)):
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        part.close()


async def _refuse(
    kind: RequestKind,
    scope: HTTPScope,
    receive: ASGIReceiveCallable,
    send: ASGISendCallable,
    status: int,
    message: str,
    *,
    is_unread: bool,
) -> None:
    """Answer with an error, and end the connection.

    Where the client still sends, what it sends is read on for a moment: a connection that is closed with
    bytes unread is reset, and the client would not see the answer.
    """
    body = kind.error(status, message)
    headers = [
        (b"content-type", kind.rules.error_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"cache-control", b"no-store"),
    ]
    if status == 503:
        headers.append((b"retry-after", _RETRY_AFTER))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if is_unread and scope["method"] != "HEAD":
        await send({"type": "http.response.body", "body": body, "more_body": True})
        body = b""
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while (message_of := await receive())["type"] == "http.request" and message_of["more_body"]:
                    pass
        except TimeoutError:
            pass
    await send({"type": "http.response.body", "body": body, "more_body": False})
