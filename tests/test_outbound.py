"""Requests go to public addresses only, whatever a name resolves to and wherever a redirect leads."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pytest_django.fixtures import Settings as SettingsWrapper

from routescope.wire import allowed_hosts, outbound
from routescope.wire.outbound import ForbiddenAddressError, OutboundError

SPECIAL = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.0.0.7",
    "172.16.3.4",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a00:1::",
]


class Resolver:
    """Stands in for the system's resolver: answers by name, counts, and may change its mind."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self.answer)

    def answer(self, host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if host not in self.names:
            return list(self.real(host, port, *args, **kwargs))
        self.asked.append(host)
        answers = self.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        found: list[Any] = []
        for address in addresses:
            found += self.real(address, port, type=socket.SOCK_STREAM)
        return found


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[BaseHTTPRequestHandler], None]], str]]:
    """Start servers on loopback; return their URLs."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[BaseHTTPRequestHandler], None]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"{}", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not allowed_hosts.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_ordinary_addresses_are_public(address: str) -> None:
    assert allowed_hosts.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", SPECIAL)
def test_a_name_that_leads_to_a_special_address_is_refused(resolver: Resolver, address: str) -> None:
    resolver.names["api.example.com"] = [[address]]
    with pytest.raises(ForbiddenAddressError):
        outbound.request("GET", "https://api.example.com/v1")


def test_a_name_with_one_private_address_among_public_ones_is_refused(resolver: Resolver) -> None:
    resolver.names["api.example.com"] = [["8.8.8.8", "10.0.0.1"]]
    with pytest.raises(ForbiddenAddressError):
        outbound.request("GET", "https://api.example.com/v1")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://2130706433/",
        "https://0x7f.1/",
        "http://api.example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://user:secret@example.com/",
        "https:///nothing",
    ],
)
def test_urls_that_must_not_be_asked(resolver: Resolver, url: str) -> None:
    resolver.names["api.example.com"] = [["8.8.8.8"]]
    with pytest.raises(ForbiddenAddressError):
        outbound.request("GET", url)


def test_the_checked_address_is_the_one_connected_to(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers publicly first and privately then (DNS rebinding) is not asked a second time."""
    resolver.names["api.example.com"] = [["8.8.8.8"], ["127.0.0.1"]]
    connected: list[str] = []

    def connect(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(OutboundError):
        outbound.request("GET", "https://api.example.com/v1")
    assert connected == ["8.8.8.8"] and resolver.asked == ["api.example.com"]


def test_what_the_operator_allows_is_asked(settings: SettingsWrapper, serve: Any) -> None:
    url = serve(lambda handler: reply(handler, 200, b'{"ok": true}'))
    with pytest.raises(ForbiddenAddressError):
        outbound.request("GET", url)
    for allowed in ("127.0.0.1", "127.0.0.0/8", url.removeprefix("http://")):
        settings.OUTBOUND_ALLOWED = [allowed]
        assert outbound.request("GET", url).json() == {"ok": True}
    settings.OUTBOUND_ALLOWED = ["127.0.0.1:1"]
    with pytest.raises(ForbiddenAddressError):
        outbound.request("GET", url)


@pytest.mark.parametrize(
    "target", ["https://127.0.0.1/", "https://metadata.example/", "http://[::1]:80/", "https://10.0.0.1/"]
)
def test_a_redirect_to_a_private_address_is_refused(
    resolver: Resolver, settings: SettingsWrapper, serve: Any, target: str
) -> None:
    resolver.names["metadata.example"] = [["169.254.169.254"]]
    url = serve(lambda handler: reply(handler, 302, Location=target))
    settings.OUTBOUND_ALLOWED = [url.removeprefix("http://")]
    with pytest.raises(ForbiddenAddressError):
        outbound.request("GET", url)


def test_the_key_is_not_sent_on_to_another_host(settings: SettingsWrapper, serve: Any) -> None:
    seen: list[str | None] = []

    def second(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("Authorization"))
        reply(handler, 200)

    other = serve(second)
    url = serve(lambda handler: reply(handler, 307, Location=other))
    settings.OUTBOUND_ALLOWED = ["127.0.0.1"]
    outbound.request("GET", url, headers={"Authorization": "Bearer secret"})
    assert seen == [None]


def test_redirects_are_followed_three_times_and_no_more(settings: SettingsWrapper, serve: Any) -> None:
    settings.OUTBOUND_ALLOWED = ["127.0.0.1"]
    url = serve(lambda handler: reply(handler, 302, Location="/again"))
    with pytest.raises(OutboundError, match="redirects"):
        outbound.request("GET", url)


def test_an_answer_that_is_too_large_is_cut_off(settings: SettingsWrapper, serve: Any) -> None:
    settings.OUTBOUND_ALLOWED = ["127.0.0.1"]
    url = serve(lambda handler: reply(handler, 200, b"x" * 100_000))
    with pytest.raises(OutboundError, match="larger"):
        outbound.request("GET", url, limit=50_000)


def test_a_server_that_drips_bytes_does_not_hold_us(settings: SettingsWrapper, serve: Any) -> None:
    settings.OUTBOUND_ALLOWED = ["127.0.0.1"]

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10000")
        handler.end_headers()
        for _ in range(2000):  # 100 s, unless whoever asked goes away
            try:
                handler.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.05)

    started = time.monotonic()
    with pytest.raises(OutboundError, match="in time"):
        outbound.request("GET", serve(drip), timeout=0.5)
    assert time.monotonic() - started < 50


def test_retry_after_is_read_in_both_forms(settings: SettingsWrapper, serve: Any) -> None:
    settings.OUTBOUND_ALLOWED = ["127.0.0.1"]
    answers = ["7", "Wed, 21 Oct 2099 07:28:00 GMT", "soon"]
    url = serve(lambda handler: reply(handler, 429, Retry_After=answers.pop(0)))
    assert outbound.request("GET", url).retry_after == 7
    assert (outbound.request("GET", url).retry_after or 0) > 1e9
    assert outbound.request("GET", url).retry_after is None
