"""Static files as WhiteNoise knows them, found without Django and sent without its threads."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from http import HTTPStatus
from typing import IO, Protocol, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware
from whitenoise.middleware import WhiteNoiseMiddleware

from routescope.run.wsgi_calls import WholeResponse

_Headers = list[tuple[bytes, bytes]]


class _Found(Protocol):
    """WhiteNoise's response."""

    status: HTTPStatus
    headers: Iterable[tuple[str, str]]
    file: IO[bytes] | None


class StaticFiles:
    """What lies under STATIC_URL: compressed beforehand, and kept for ever where the name holds a hash."""

    def __init__(self) -> None:
        """Read what there is, once."""
        self.prefix: str = settings.STATIC_URL
        self._known = WhiteNoiseMiddleware(_nothing)
        self._secure = _security_headers()

    def answer(self, method: str, path: str, headers: Iterable[tuple[bytes, bytes]]) -> WholeResponse:
        """Return the response to a request for a path under the prefix."""
        known = self._known.files.get(path)
        if known is None:
            return WholeResponse(
                404, [*self._secure, (b"content-type", b"text/plain")], b"There is no such file.\n"
            )
        asked = {
            f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}": value.decode("latin-1")
            for name, value in headers
        }
        found = cast(_Found, known.get_response(method, asked))
        content = b""
        if found.file is not None:
            with closing(found.file) as file:
                content = file.read()
        return WholeResponse(found.status, [*self._secure, *_encoded(found.headers)], content)


def _security_headers() -> _Headers:
    """Return what Django's SecurityMiddleware adds to every response."""
    response = HttpResponse()
    del response["Content-Type"]
    return _encoded(SecurityMiddleware(_nothing).process_response(HttpRequest(), response).items())


def _encoded(headers: Iterable[tuple[str, str]]) -> _Headers:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _nothing(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError("Nothing is asked of Django for a static file.")
