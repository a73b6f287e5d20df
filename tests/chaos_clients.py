"""Clients of the chaos of connections: one that asks properly, and those that are slow and silent."""

from __future__ import annotations

import asyncio

Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and body."""


class Connected:
    """One connection of a client that reads HTTP as far as it must."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self._port = port
        self._source = source

    async def __aenter__(self) -> Connected:
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=(self._source, 0)
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._writer.transport.abort()

    async def ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = [
            (name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:])
        ]
        length = int(dict(found).get("content-length", 0))
        return int(head[0].split()[1]), found, await self._reader.readexactly(length)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def end(self) -> None:
        """Wait until the server ends it."""
        await self._reader.read()


async def once(port: int, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
    async with Connected(port) as connected:
        return await connected.ask(method, path, {**headers, "Connection": "close"}, body)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def cookies(headers: list[tuple[str, str]]) -> str:
    return "; ".join(value.partition(";")[0] for name, value in headers if name == "set-cookie")


async def silent(port: int) -> None:
    async with Connected(port) as connected:
        await connected.end()


async def in_mid_header(port: int) -> None:
    async with Connected(port) as connected:
        await connected.send(b"GET /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        await connected.end()


async def in_mid_body(port: int) -> None:
    async with Connected(port) as connected:
        await connected.send(
            b"POST /api/v1/usage HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n[{"
        )
        await connected.end()


async def trickling(port: int) -> None:
    async with Connected(port) as connected:
        await connected.send(
            b"POST /hooks/suno/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        while True:
            await connected.send(b"1\r\n \r\n")
            await asyncio.sleep(2)
