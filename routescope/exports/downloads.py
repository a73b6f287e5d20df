"""Sending a file with range requests (RFC 9110, section 14): an interrupted download goes on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.http import content_disposition_header

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def send(request: HttpRequest, path: Path, name: str, content_type: str, sha256: str) -> HttpResponseBase:
    """Return the file, or the one range of it that is asked for.

    206 for a range, 416 for one outside of the file; several ranges at once and unreadable ones are answered
    with the whole file, as the standard allows. ``If-Range`` holds to the file's ``ETag``.
    """
    size = path.stat().st_size
    etag = f'"{sha256[:32]}"'
    first, last, status = 0, size - 1, 200
    asked = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if asked and any(asked.groups()) and request.headers.get("If-Range", etag) == etag:
        start, end = asked.groups()
        if start:
            first, last = int(start), min(int(end), size - 1) if end else size - 1
        else:
            first = max(size - int(end), 0)
        if end and start and int(end) < first:
            first, last = 0, size - 1
        elif first >= size or (not start and not int(end)):
            refused = HttpResponse(status=416)
            refused["Content-Range"] = f"bytes */{size}"
            return refused
        else:
            status = 206
    # A file, not a stream of its bytes: the web server sends it by itself, and holds no thread meanwhile.
    response = FileResponse(_Part(path, first, last - first + 1), status=status, content_type=content_type)
    if status == 206:
        response["Content-Range"] = f"bytes {first}-{last}/{size}"
    response["Content-Length"] = str(last - first + 1)
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    # Named so that no middleware compresses it: a range is of the file's own bytes.
    response["Content-Encoding"] = "identity"
    return response


class _Part:
    """Some of a file, which is opened when somebody reads it."""

    def __init__(self, path: Path, first: int, length: int) -> None:
        self._path, self._first, self._left = path, first, length
        self._file: BinaryIO | None = None

    def fileno(self) -> int:
        return self._opened().fileno()

    def tell(self) -> int:
        """Return where the part begins."""
        return self._first

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            return b""
        block = self._opened().read(self._left if size < 0 else min(size, self._left))
        self._left -= len(block)
        if not self._left:
            self.close()
        return block

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = self._path.open("rb")
            self._file.seek(self._first)
        return self._file
