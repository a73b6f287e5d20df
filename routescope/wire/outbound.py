"""Requests to addresses that others name: only to public ones, bounded in time and size.

A host name is resolved once, every address of it is checked, and the connection goes to a checked address: no
second look-up that could answer differently. Each redirect is checked again. Private, loopback, link-local
(169.254.169.254 hands out cloud credentials) and other special ranges are refused, unless the operator lists
them in ``OUTBOUND_ALLOWED``. Plain http is for those only.
"""

from __future__ import annotations

import ipaddress
import math
import os
import socket
import ssl
import time
import typing
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from urllib.parse import urljoin, urlsplit

import certifi
import httpcore

from routescope.wire import strict_json
from routescope.wire.allowed_hosts import NO_HOSTS, Hosts, IPAddress, is_allowed_host, is_listed, is_public
from routescope.wire.strict_json import JSON

MAX_BYTES = 4 * 1024 * 1024
MAX_REDIRECTS = 3
TIMEOUT = 15.0
CONNECT_TIMEOUT = 5.0
RESOLVE_TIMEOUT = 5.0

_OWN_HEADERS = {
    "User-Agent": "Routescope",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}
# What says whom is spoken to and where a request ends: another name there would send the key that comes along
# to somebody else behind the same address.
_RESERVED = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
_REDIRECTS = {301, 302, 303, 307, 308}


class OutboundError(Exception):
    """The request brought no answer: no connection, too slow, too large."""


class ForbiddenAddressError(OutboundError):
    """The URL leads where requests must not go."""


class UnsendableError(OutboundError):
    """The request cannot be sent: its headers hold a key that was pasted with more than itself, say."""


class UnusableAnswerError(OutboundError):
    """The host answered, but with what cannot be taken: too large, compressed, or redirects without end."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    def json(self) -> JSON:
        """Return the decoded body; a number that is none is null. Raises JSONError if it is not JSON."""
        return strict_json.decode(self.body, nan_is_null=True)

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait as ``Retry-After`` says, in seconds or as a date; None if it does not.

        They are finite and not negative, but as many as the server pleases: the caller bounds them.
        """
        value = self.headers.get("retry-after", "").strip()
        if not value:
            return None
        try:
            seconds = float(value)
        except ValueError:
            pass
        else:
            return max(0.0, seconds) if math.isfinite(seconds) else None
        try:
            moment = parsedate_to_datetime(value)
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return max(0.0, (aware - datetime.now(UTC)).total_seconds())
        except (ValueError, OverflowError):
            return None


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float | None = None,
    limit: int = MAX_BYTES,
    redirects: int = MAX_REDIRECTS,
    trusted: Hosts = NO_HOSTS,
) -> Answer:
    """Send a request and read the answer: ``timeout`` (``TIMEOUT``) seconds and ``limit`` bytes in all.

    Follows up to ``redirects``; credentials in ``headers`` are not sent on to another host. ``trusted`` hosts
    may be reached by this one request as if ``OUTBOUND_ALLOWED`` listed them. Raises
    ForbiddenAddressError before anything is sent to an address that is not allowed, UnsendableError,
    UnusableAnswerError where the host answered with what cannot be taken, and OutboundError otherwise.
    """
    ends = time.monotonic() + (TIMEOUT if timeout is None else timeout)
    sent = {**_OWN_HEADERS, **(headers or {})}
    _check_sendable(sent)
    for _ in range(redirects + 1):
        answer = _once(method, url, sent, body, ends, limit, trusted)
        target = answer.headers.get("location")
        if answer.status not in _REDIRECTS or not target:
            return answer
        try:
            target = urljoin(url, target)
            elsewhere = _origin(target) != _origin(url)
        except ValueError as error:
            raise UnusableAnswerError(f"{_host(url)} redirects to what is no URL.") from error
        if elsewhere:
            sent = dict(_OWN_HEADERS)
        if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
            method, body = "GET", b""
        url = target
    raise UnusableAnswerError(f"More than {redirects} redirects, the last one to {_host(url)}.")


def host_of(url: str) -> str:
    """Return the host that a URL asks, with its port unless that is its scheme's own; nothing if none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    own = {"https": 443, "http": 80}.get(parts.scheme)
    return host if not host or port in (None, own) else f"{host}:{port}"


def check(url: str) -> None:
    """Raise ForbiddenAddressError if ``url`` must not be asked, OutboundError if its host is not known."""
    ends = time.monotonic() + TIMEOUT
    host, port = _parts(url, ends)
    _addresses(host, port, ends)


def may_be_shown(url: str) -> bool:
    """Whether a browser may be given this URL to load: https, or plain http where the operator allows it.

    Nothing is resolved or asked.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:
        return False
    if not host or any(character in url for character in " ;,'\"<>\\") or parts.username:
        return False
    if parts.scheme == "https":
        return True
    if parts.scheme != "http":
        return False
    try:
        listed = is_listed(ipaddress.ip_address(host), port)
    except ValueError:
        listed = False
    return listed or is_allowed_host(host, port)


def _once(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    ends: float,
    limit: int,
    trusted: Hosts,
) -> Answer:
    _parts(url, ends, trusted)
    backend = _CheckedBackend(ends, trusted)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend, max_connections=1) as pool,
            pool.stream(method, url, headers=list(headers.items()), content=body) as response,
        ):
            found = {name.decode().lower(): value.decode("latin-1") for name, value in response.headers}
            if found.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
                # It was told that we take none. What unpacks to we know not what is not unpacked.
                raise UnusableAnswerError(f"The answer of {_host(url)} is compressed, unasked.")
            parts, size = [], 0
            for part in response.iter_stream():
                size += len(part)
                if size > limit:
                    raise UnusableAnswerError(f"The answer of {_host(url)} is larger than {limit:,} bytes.")
                parts.append(part)
            return Answer(response.status, found, b"".join(parts), url)
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise OutboundError(f"{_host(url)} did not answer in time.") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise OutboundError(f"{_host(url)} could not be reached: {error or type(error).__name__}.") from error


def _check_sendable(headers: Mapping[str, str]) -> None:
    """Raise UnsendableError for a header that HTTP cannot carry, or that is not the caller's to set."""
    for name, value in headers.items():
        if name.strip().lower() in _RESERVED:
            raise UnsendableError(f"The header {name[:40]!r} is not a definition's to set.")
        if not (name.isascii() and value.isascii() and value.isprintable()) or value != value.strip():
            raise UnsendableError(f"The header {name[:40]!r} holds characters that no request can carry.")


def _parts(url: str, ends: float, trusted: Hosts = NO_HOSTS) -> tuple[str, int]:
    """Return host and port. Raises ForbiddenAddressError for another scheme, and for plain http in public."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        str(url).encode("ascii")
    except ValueError as error:
        raise ForbiddenAddressError(f"This is not a URL that can be asked: {error}.") from error
    if parts.scheme not in ("https", "http") or not host or parts.username or parts.password:
        raise ForbiddenAddressError("Only https URLs without a user name are asked.")
    if parts.scheme == "http" and not is_allowed_host(host, port, trusted):
        addresses = _addresses(host, port, ends, trusted)
        if not all(is_listed(address, port) for address in addresses):
            raise ForbiddenAddressError(f"{host} is asked over https only.")
    return host, port


def _addresses(host: str, port: int, ends: float, trusted: Hosts = NO_HOSTS) -> list[IPAddress]:
    """Resolve a name and return its addresses, all of them allowed. One that is not refuses the name."""
    try:
        found = _look_up(host, port, ends)
    except (OSError, UnicodeError) as error:
        raise OutboundError(f"The name {host} cannot be resolved.") from error
    addresses = list(dict.fromkeys(ipaddress.ip_address(name.partition("%")[0]) for name in found))
    if not addresses:
        raise OutboundError(f"The name {host} has no address.")
    if not is_allowed_host(host, port, trusted):
        for address in addresses:
            if not is_public(address) and not is_listed(address, port):
                raise ForbiddenAddressError(f"{host} leads to {address}, which is not a public address.")
    return addresses


def _look_up(host: str, port: int, ends: float) -> Sequence[str]:
    """Resolve a name in the time that is left. Raises OSError, and TimeoutError, which is one.

    The system's resolver knows no deadline and no signal ends it: it runs beside us, and is left to itself.
    """
    asked = _resolver(os.getpid()).submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = asked.result(max(0.0, min(RESOLVE_TIMEOUT, ends - time.monotonic())))
    finally:
        asked.cancel()
    return [str(entry[4][0]) for entry in found]


@cache
def _resolver(process: int) -> ThreadPoolExecutor:
    """Return this process's resolving threads: those of the one that forked it are not here."""
    return ThreadPoolExecutor(8, thread_name_prefix=f"resolver-{process}")


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the address"


@cache
def _tls() -> ssl.SSLContext:
    own = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    return ssl.create_default_context(cafile=None if own else certifi.where())


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only, and lets nothing outlast the deadline."""

    def __init__(self, ends: float, trusted: Hosts) -> None:
        self._inner = httpcore.SyncBackend()
        self._ends = ends
        self._trusted = trusted

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for address in _addresses(host, port, self._ends, self._trusted):
            try:
                stream = self._inner.connect_tcp(
                    str(address), port, min(CONNECT_TIMEOUT, _left(self._ends)), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            return _BoundedStream(stream, self._ends)
        raise failure or httpcore.ConnectError(f"{host} has no address")


class _BoundedStream(httpcore.NetworkStream):
    """A connection whose every read and write gets only the time that is left in all.

    A timeout per read would let a server that sends a byte now and then hold the connection for ever.
    """

    def __init__(self, inner: httpcore.NetworkStream, ends: float) -> None:
        self._inner = inner
        self._ends = ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._ends))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._ends))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._inner.start_tls(ssl_context, server_hostname, _left(self._ends))
        return _BoundedStream(stream, self._ends)

    def get_extra_info(self, info: str) -> typing.Any:
        return self._inner.get_extra_info(info)


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for this request is over")
    return left
