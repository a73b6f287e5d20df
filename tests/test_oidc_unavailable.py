"""An OpenID provider that is away, slow or odd, and people who try too often."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from accounts.sign_in.oidc.issuer import asked
from tests.oidc_cast import CALLBACK, change, question, who
from tests.oidc_provider import OpenIDProvider

pytestmark = pytest.mark.django_db


@contextmanager
def dripping() -> Iterator[str]:
    """A provider that sends a byte of an answer without end now and then."""

    class Drip(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                for _byte in range(100):
                    self.wfile.write(b" ")
                    time.sleep(0.1)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Drip) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


DISCOVERY = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    "lie",
    [
        {"status": {DISCOVERY: 500}},
        {"status": {DISCOVERY: 404}},
        {"status": {DISCOVERY: 302}},
        {"body": {DISCOVERY: "<html>"}},
        {"body": {DISCOVERY: "[]"}},
        {"body": {DISCOVERY: '{"issuer": "' + "x" * 600_000 + '"}'}},
        {"metadata": {"issuer": "https://evil.example"}},
        {"metadata": {"authorization_endpoint": None}},
        {"metadata": {"authorization_endpoint": "javascript:alert(1)"}},
        {"metadata": {"authorization_endpoint": 7}},
    ],
    ids=str,
)
def test_a_provider_that_cannot_be_used_gets_a_page_that_says_what_to_do(
    client: Client, provider: OpenIDProvider, lie: dict[str, Any]
) -> None:
    provider.lie(**lie)
    response = client.post(reverse("oidc_begin"))
    assert response.status_code == 503
    assert "Example Login does not answer" in response.content.decode()
    assert "Traceback" not in response.content.decode()
    assert int(response.headers["Retry-After"]) > 0


def test_a_provider_that_is_not_there_gets_the_same_page(
    client: Client, provider: OpenIDProvider, settings: LazySettings, another_port: int
) -> None:
    change(settings, issuer=f"http://localhost:{another_port}")
    assert client.post(reverse("oidc_begin")).status_code == 503


@pytest.mark.parametrize("path", ["/oauth2/token", "/jwks", DISCOVERY])
def test_a_provider_that_goes_away_in_between_gets_the_same_page(
    client: Client, provider: OpenIDProvider, alice: User, path: str
) -> None:
    url = question(client)
    location = provider.authorize(url, "sub-alice")
    provider.lie(status={path: 502})
    response = client.get(location)
    assert response.status_code == 503
    assert who(client) is None


def test_a_provider_that_hangs_is_left_when_the_time_is_over(
    client: Client, provider: OpenIDProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.sign_in.oidc.issuer.SECONDS", 1.0)
    provider.lie(seconds={DISCOVERY: 3})
    began = time.monotonic()
    assert client.post(reverse("oidc_begin")).status_code == 503
    assert time.monotonic() - began < 2.5


def test_a_provider_that_hangs_holds_two_sign_ins_of_a_process_at_most(
    client: Client, provider: OpenIDProvider, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.sign_in.oidc.issuer._WAIT", 0.1)
    assert settings.OIDC
    configured = settings.OIDC
    with asked(configured), asked(configured):
        assert client.post(reverse("oidc_begin")).status_code == 503
    assert client.post(reverse("oidc_begin")).status_code == 200


def test_a_byte_now_and_then_does_not_hold_a_sign_in(
    client: Client, provider: OpenIDProvider, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.sign_in.oidc.issuer.SECONDS", 1.0)
    with dripping() as url:
        change(settings, issuer=url)
        began = time.monotonic()
        assert client.post(reverse("oidc_begin")).status_code == 503
        assert time.monotonic() - began < 2.5


def test_pressing_too_often_gets_the_page_of_passwords(client: Client, provider: OpenIDProvider) -> None:
    provider.lie(status={DISCOVERY: 500})
    codes = [client.post(reverse("oidc_begin")).status_code for _attempt in range(31)]
    assert codes[29] == 503 and codes[30] == 429


def test_ten_refusals_a_minute_close_the_way_back(
    client: Client, provider: OpenIDProvider, alice: User
) -> None:
    for _attempt in range(10):
        assert client.get(f"{CALLBACK}?state=made-up&code=x").status_code == 403
    assert client.get(f"{CALLBACK}?state=made-up&code=x").status_code == 429
    assert AuditEntry.objects.filter(act="sign_in").count() == 10
