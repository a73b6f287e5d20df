"""Django called with a whole request, as WSGI has it (PEP 3333), and its whole answer."""

from __future__ import annotations

import ipaddress
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Protocol
from urllib.parse import unquote_to_bytes

from uvicorn._types import HTTPScope

from routescope.run.limits import MEBIBYTE

_IN_MEMORY = MEBIBYTE
_BLOCK = 256 * 1024

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class WsgiApplication(Protocol):
    def __call__(
        self, environ: dict[str, object], start_response: Callable[..., Callable[[bytes], object]]
    ) -> Iterable[bytes]: ...


@dataclass
class FilePart:
    """Bytes of a file, which whoever has them closes."""

    descriptor: int
    offset: int
    length: int

    def read(self) -> bytes:
        """Return the next block; nothing at the end."""
        block = os.pread(self.descriptor, min(_BLOCK, self.length), self.offset)
        self.offset += len(block)
        self.length -= len(block)
        return block

    def close(self) -> None:
        """Close the file, once or again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


@dataclass
class WholeResponse:
    """A whole response."""

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    content: bytes | FilePart = b""


def environ(scope: HTTPScope, body: IO[bytes], size: int) -> dict[str, object]:
    """Return the WSGI environment of a request whose body was taken in whole."""
    server = scope["server"] or ("", None)
    client = scope["client"] or ("", 0)
    found: dict[str, object] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or ""),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": _File,
    }
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:
            continue  # It would be taken for the header with a hyphen.
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        if name in {"CONTENT_LENGTH", "TRANSFER_ENCODING"}:
            continue
        name = name if name == "CONTENT_TYPE" else f"HTTP_{name}"
        before = found.get(name)
        found[name] = value if before is None else f"{before}{';' if name == 'HTTP_COOKIE' else ','}{value}"
    if size or scope["method"] not in {"GET", "HEAD", "DELETE", "OPTIONS"}:
        found["CONTENT_LENGTH"] = str(size)
    if found.get("HTTP_X_FORWARDED_PROTO") == "https" and _is_here(client[0]):
        found["wsgi.url_scheme"] = "https"  # A proxy on this machine.
    return found


def call(application: WsgiApplication, environ: dict[str, object]) -> WholeResponse:
    """Return the application's whole answer. Raises whatever it raises."""
    answer = WholeResponse(500)
    spool = _Spool()

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        answer.status = int(status.split(" ", 1)[0])
        answer.headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return spool.write

    body = application(environ, start_response)
    try:
        if isinstance(body, _File):
            if environ["REQUEST_METHOD"] != "HEAD":
                answer.content = body.part(answer.headers)
        else:
            for piece in body:
                spool.write(piece)
            answer.content = spool.content()
    finally:
        spool.close()
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return answer


class _File:
    """What Django wraps a file in, instead of reading it. (The wsgi.file_wrapper of PEP 3333.)"""

    def __init__(self, file: IO[bytes], block_size: int = _BLOCK) -> None:
        self._file = file
        self.close = file.close

    def part(self, headers: Iterable[tuple[bytes, bytes]]) -> FilePart:
        """Return what is to be sent, on a descriptor of its own: from where the file stands."""
        lengths = [int(value) for name, value in headers if name.lower() == b"content-length"]
        descriptor = os.dup(self._file.fileno())
        offset = self._file.tell()
        return FilePart(descriptor, offset, lengths[0] if lengths else os.fstat(descriptor).st_size - offset)

    def __iter__(self) -> Iterable[bytes]:
        return iter(lambda: self._file.read(_BLOCK), b"")


class _Spool:
    """What an application writes: in memory, and on disk once it is long."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= _IN_MEMORY:
            self._parts.append(part)
            return
        self._file.writelines([*self._parts, part])
        self._parts.clear()

    def content(self) -> bytes | FilePart:
        if self._size <= _IN_MEMORY:
            return b"".join(self._parts)
        self._file.flush()
        return FilePart(os.dup(self._file.fileno()), 0, self._size)

    def close(self) -> None:
        self._file.close()


def _is_here(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
