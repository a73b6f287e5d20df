"""Hooks under attack: nobody without a signature costs anything."""

from __future__ import annotations

import base64
import gzip
import time
from functools import partial
from io import BytesIO
from typing import Any

import pytest
from django.test import Client

from routescope.wire import outbound
from tasks.intake import webhooks
from tasks.models import ProviderCredential
from tests.hook_cast import secret, signed
from tests.pace import at_rest

__all__ = ["secret"]


class Unread(BytesIO):
    """A body that nobody may look at."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError("the body was read")


def refused_unread(client: Client, platform: str, headers: dict[str, str], length: int = 1_000) -> int:
    """Return the status of a callback whose body must not be read."""
    stream: dict[str, Any] = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(length)}
    answer = client.generic(
        "POST", f"/hooks/{platform}/", content_type="application/json", headers=headers, **stream
    )
    return int(answer.status_code)


SHAPE = "v1," + base64.b64encode(bytes(32)).decode()
UNSIGNED: list[dict[str, str]] = [
    {},
    {"webhook-id": "m", "webhook-timestamp": "now", "webhook-signature": SHAPE},
    {"webhook-id": "m", "webhook-timestamp": "nan", "webhook-signature": SHAPE},
    {"webhook-id": "m", "webhook-timestamp": "²", "webhook-signature": SHAPE},
    {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": SHAPE},
    {"webhook-id": "m", "webhook-timestamp": "9" * 11, "webhook-signature": SHAPE},
    {"webhook-id": "m", "webhook-timestamp": "{now}", "webhook-signature": "v1"},
    {"webhook-id": "m", "webhook-timestamp": "{now}", "webhook-signature": "nonsense"},
    {"webhook-id": "m" * 3_000, "webhook-timestamp": "{now}", "webhook-signature": SHAPE},
    {"webhook-id": "m", "webhook-timestamp": "{now}"},
]
UNSIGNED_FAL: list[dict[str, str]] = [
    {},
    {"Timestamp": "²"},
    {"Timestamp": "1"},
    {"Signature": "zz"},
    {"Signature": "ab"},
    {"Request-Id": ""},
    {"User-Id": "u" * 3_000},
]


@pytest.mark.parametrize("headers", UNSIGNED)
def test_what_is_not_signed_is_refused_before_its_body_is_read(
    client: Client, headers: dict[str, str]
) -> None:
    now = str(int(time.time()))
    timely = {name: value.replace("{now}", now) for name, value in headers.items()}
    assert refused_unread(client, "replicate", timely) == 401


@pytest.mark.parametrize("changed", UNSIGNED_FAL)
def test_what_is_not_fals_is_refused_before_its_body_is_read_and_no_key_is_fetched(
    client: Client, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str]
) -> None:
    def fetch(*args: Any, **more: Any) -> Any:
        raise AssertionError("keys were fetched")

    monkeypatch.setattr(outbound, "request", fetch)
    whole = {"Request-Id": "r", "User-Id": "u", "Timestamp": str(int(time.time())), "Signature": "0" * 128}
    headers = whole | changed if changed else {}
    assert refused_unread(client, "fal", {f"X-Fal-Webhook-{k}": v for k, v in headers.items()}) == 401


def test_without_a_secret_no_signature_is_looked_for(client: Client) -> None:
    ProviderCredential.objects.all().delete()
    assert refused_unread(client, "replicate", signed("{}")) == 401


@pytest.mark.parametrize(
    ("platform", "limit"),
    [("replicate", webhooks.MAX_SIGNED_BYTES), ("kling", webhooks.MAX_UNSIGNED_BYTES)],
)
def test_what_is_too_large_is_refused_by_its_length(client: Client, platform: str, limit: int) -> None:
    assert refused_unread(client, platform, signed("{}"), length=limit + 1) == 413
    assert refused_unread(client, "nobody", {}, length=limit) == 404


@pytest.mark.parametrize("platform", ["replicate", "kling", "fal"])
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "br", "deflate", "gzip, gzip"])
def test_nothing_is_unpacked_for_a_stranger(client: Client, platform: str, encoding: str) -> None:
    assert refused_unread(client, platform, {"Content-Encoding": encoding}) in (401, 415)


def test_four_mib_of_empty_gzip_members_cost_nothing(client: Client) -> None:
    member = gzip.compress(b"")
    body = member * (4 * 1024 * 1024 // len(member))
    for platform in ("kling", "replicate"):
        post = partial(
            client.post,
            f"/hooks/{platform}/",
            body,
            "application/json",
            headers={"Content-Encoding": "gzip", **signed(b"")},
        )
        assert post().status_code in (413, 415)
        assert at_rest(post) < 1
