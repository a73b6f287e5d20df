"""fal's keys: fetched seldom, known soon, and no trouble where they cannot be had."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.cache import cache
from django.test import Client

from routescope.wire import outbound
from tasks.intake import published_keys
from tests.hook_cast import DEEP, secret

__all__ = ["secret"]


class Fal:
    """fal's side: what it publishes as its keys, how often it was asked, and its signatures."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.fetched = 0
        self.published: bytes = self.keys(self.key)
        monkeypatch.setattr(outbound, "request", self.fetch)

    @staticmethod
    def keys(*keys: Ed25519PrivateKey) -> bytes:
        found = []
        for key in keys:
            x = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
            found.append({"kty": "OKP", "crv": "Ed25519", "x": x})
        return json.dumps({"keys": found}).encode()

    def fetch(self, method: str, url: str, **_: Any) -> outbound.Answer:
        self.fetched += 1
        return outbound.Answer(200, {}, self.published, url)

    def send(self, client: Client, name: str = "fal-1", key: Ed25519PrivateKey | None = None) -> Any:
        body = json.dumps({"request_id": name, "status": "OK", "payload": {"text": "a poem"}}).encode()
        moment = str(int(time.time()))
        message = "\n".join((name, "user", moment, hashlib.sha256(body).hexdigest())).encode()
        headers = {
            "X-Fal-Webhook-Request-Id": name,
            "X-Fal-Webhook-User-Id": "user",
            "X-Fal-Webhook-Timestamp": moment,
            "X-Fal-Webhook-Signature": (key or self.key).sign(message).hex(),
        }
        return client.post("/hooks/fal/", body, "application/json", headers=headers)


@pytest.fixture
def fal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fal]:
    yield Fal(monkeypatch)
    cache.clear()


def test_forged_signatures_cannot_make_us_fetch_keys(client: Client, fal: Fal) -> None:
    forger = Ed25519PrivateKey.generate()
    for number in range(10):
        assert fal.send(client, f"forged-{number}", forger).status_code == 401
    assert fal.fetched == 1


def test_new_keys_are_known_within_ten_minutes(client: Client, fal: Fal) -> None:
    assert fal.send(client, "fal-1").status_code == 200
    new = Ed25519PrivateKey.generate()
    fal.published = fal.keys(new)
    assert fal.send(client, "fal-2", new).status_code == 401
    # As ten minutes later.
    cache.delete(_name("asked"))
    assert fal.send(client, "fal-3", new).status_code == 200
    assert fal.fetched == 2


@pytest.mark.parametrize(
    "published",
    [
        DEEP.encode(),
        b"not json",
        b"[]",
        b'{"keys": {"a": 1}}',
        b'{"keys": [1, null, "x", {"crv": "Ed25519"}, {"crv": "Ed25519", "x": 5}]}',
        b'{"keys": [{"crv": "Ed25519", "x": "AAAA"}, {"crv": "Ed25519", "x": "\xc3\xa9\xc3\xa9"}]}',
        b'{"keys": []}',
    ],
)
def test_keys_that_are_none_are_503_and_not_asked_for_again_at_once(
    client: Client, fal: Fal, published: bytes
) -> None:
    fal.published = published
    for number in range(5):
        answer = fal.send(client, f"fal-{number}")
        assert answer.status_code == 503 and answer["Retry-After"]
    assert fal.fetched == 1
    fal.published = fal.keys(fal.key)
    cache.delete(_name("tried"))
    assert fal.send(client).status_code == 200


def test_while_new_keys_cannot_be_had_the_old_ones_count(client: Client, fal: Fal) -> None:
    assert fal.send(client, "fal-1").status_code == 200
    fal.published = b"broken"
    cache.delete(_name("asked"))
    assert fal.send(client, "forged", Ed25519PrivateKey.generate()).status_code == 401
    assert fal.send(client, "fal-2").status_code == 200


def test_a_slow_publisher_holds_no_worker_for_long(
    client: Client, fal: Fal, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def slow(method: str, url: str, *, timeout: float, limit: int) -> outbound.Answer:
        asked.append(timeout)
        assert limit <= 100_000
        raise outbound.OutboundError("did not answer in time")

    monkeypatch.setattr(outbound, "request", slow)
    for number in range(5):
        assert fal.send(client, f"fal-{number}").status_code == 503
    assert asked == [published_keys.TIMEOUT] and published_keys.TIMEOUT <= 5


def _name(what: str) -> str:
    url = "https://rest.alpha.fal.ai/.well-known/jwks.json"
    return f"jwks:{hashlib.sha256(url.encode()).hexdigest()[:32]}:{what}"
