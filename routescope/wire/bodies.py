"""Request bodies of the ingest endpoints: bounded, optionally gzipped, whole or refused."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from django.http import HttpRequest

MAX_BODY_BYTES = 64 * 1024 * 1024
"""What a body may measure after decompression."""

_CHUNK = 256 * 1024
_PIECE = 8 * 1024
_MOST_MEMBERS = 1_000
"""Of one gzip body. Clients send one; files put one after the other have some."""
_GZIP = 16 + zlib.MAX_WBITS


class BodyError(Exception):
    """A body that cannot be taken. ``status`` is the HTTP status to answer with, ``str()`` what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_body(request: HttpRequest, limit: int = MAX_BODY_BYTES) -> bytes:
    """Return the decompressed body.

    Raises BodyError: 400 for a body that ends early or is no gzip, 413 over ``limit`` bytes, 415 for another
    encoding. Nothing of a refused body is used: a cut-off upload never counts as a shorter one.
    """
    raw = _read_raw(request, limit)
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return raw
    if encoding in ("gzip", "x-gzip"):
        return _gunzip(raw, limit)
    raise BodyError(415, f"Content-Encoding {encoding!r} is not supported: send gzip, or no encoding.")


def _read_raw(request: HttpRequest, limit: int) -> bytes:
    length = request.META.get("CONTENT_LENGTH")
    if length:
        declared = int(length) if length.isdigit() else -1
        if declared < 0:
            raise BodyError(400, "Content-Length is not a number.")
        if declared > limit:
            raise _too_large(limit)
        # Django bounds request.read() by Content-Length, and stops early where the client did.
        body = _read_stream(request, declared)
        if len(body) < declared:
            raise BodyError(400, f"The body ended after {len(body)} of {declared} bytes. Send it again.")
        return body
    if request.META.get("wsgi.input_terminated"):
        # Chunked: the server ends the stream, and raises where the last chunk never came. Django alone
        # would read nothing, since there is no Content-Length.
        stream: BinaryIO = request.META["wsgi.input"]
        body = _read_stream(stream, limit + 1)
        if len(body) > limit:
            raise _too_large(limit)
        return body
    return b""


def _read_stream(stream: HttpRequest | BinaryIO, at_most: int) -> bytes:
    parts = []
    remaining = at_most
    try:
        while remaining and (part := stream.read(min(_CHUNK, remaining))):
            parts.append(part)
            remaining -= len(part)
    except OSError as error:
        # Django's UnreadablePostError and the server's "no more data" are both OSErrors.
        raise BodyError(400, f"The body ended early ({error}). Send it again.") from error
    return b"".join(parts)


def _gunzip(raw: bytes, limit: int) -> bytes:
    """Inflate what may be several gzip members one after the other.

    Fed in small pieces: what a member leaves over is copied for the next one, so that many members in one
    piece would be copied as often as there are members.
    """
    inflated = bytearray()
    members = 1
    stream = zlib.decompressobj(_GZIP)
    for start in range(0, len(raw), _PIECE):
        piece = raw[start : start + _PIECE]
        while piece:
            if stream.eof:
                members += 1
                if members > _MOST_MEMBERS:
                    raise BodyError(400, f"The gzip body has more than {_MOST_MEMBERS:,} members. Send one.")
                stream = zlib.decompressobj(_GZIP)
            try:
                inflated += stream.decompress(piece, limit + 1 - len(inflated))
            except zlib.error as error:
                raise BodyError(400, f"The body is not valid gzip ({error}).") from error
            if len(inflated) > limit:
                raise _too_large(limit)
            piece = stream.unconsumed_tail or stream.unused_data
    if raw and not stream.eof:
        raise BodyError(400, "The gzip body ends early. Send it again.")
    return bytes(inflated)


def _too_large(limit: int) -> BodyError:
    return BodyError(413, f"The body is larger than {limit // (1024 * 1024)} MiB. Send smaller batches.")
