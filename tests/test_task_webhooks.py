"""Signed callbacks are believed once; forged, stale and replayed ones are refused; unsigned ones make us
ask.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from accounts.models import Gateway, User
from routescope.wire import outbound
from tasks.intake import hints
from tasks.models import AsyncTask, EventKind, ProviderCredential, TaskEvent, TaskStatus, WebhookDelivery
from tasks.providers.catalogue import catalogue
from tests import task_cast

S = TaskStatus
SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes....").decode()


@pytest.fixture
def task(alice: User, gateway: Gateway) -> AsyncTask:
    ProviderCredential.objects.create(platform="replicate", webhook_secret=SECRET)
    return task_cast.a_task(alice, gateway, platform="replicate", provider_task_id="pred-1")


def prediction(status: str = "succeeded", **fields: Any) -> dict[str, Any]:
    return {"id": "pred-1", "status": status, "output": ["https://replicate.delivery/x/out.png"], **fields}


def send(client: Client, document: Any, *, secret: str = SECRET, name: str = "msg_1", age: float = 0) -> Any:
    body = json.dumps(document)
    moment = datetime.now(UTC) - timedelta(seconds=age)
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, moment, body),
    }
    return client.post("/hooks/replicate/", body, "application/json", headers=headers)


def test_a_signed_webhook_ends_a_task(client: Client, task: AsyncTask) -> None:
    assert send(client, prediction()).status_code == 200
    task.refresh_from_db()
    assert (task.status, task.provider_status) == (S.SUCCEEDED, "succeeded")
    assert task.result and task.result[0]["url"].endswith("out.png")


def test_a_webhook_is_of_when_it_came_whatever_it_says_of_reports(
    client: Client, task: AsyncTask, standing_clock: datetime
) -> None:
    earlier = (standing_clock - timedelta(hours=1)).isoformat()
    assert send(client, prediction(reported_at=earlier)).status_code == 200
    task.refresh_from_db()
    assert task.finished_at == task.updated_at == TaskEvent.objects.get().at == standing_clock


def test_a_replayed_webhook_is_refused_and_logged(
    client: Client, task: AsyncTask, caplog: pytest.LogCaptureFixture
) -> None:
    send(client, prediction("processing"))
    answer = send(client, prediction("processing"))
    assert answer.status_code == 409 and "delivered before" in caplog.text
    assert TaskEvent.objects.filter(kind=EventKind.WEBHOOK).count() == 1


@pytest.mark.parametrize(
    ("secret", "age"),
    [
        ("whsec_" + base64.b64encode(b"another secret, forged..").decode(), 0),
        (SECRET, 400),
        (SECRET, -400),
    ],
    ids=["forged", "stale", "from the future"],
)
def test_forged_and_stale_webhooks_are_refused_and_logged(
    client: Client, task: AsyncTask, caplog: pytest.LogCaptureFixture, secret: str, age: float
) -> None:
    assert send(client, prediction(), secret=secret, age=age).status_code == 401
    task.refresh_from_db()
    assert task.status == S.QUEUED and "was refused" in caplog.text
    assert not WebhookDelivery.objects.exists() and not TaskEvent.objects.exists()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-id": "m", "webhook-timestamp": "x", "webhook-signature": "v1,abc"},
        {"webhook-id": "m", "webhook-timestamp": "9" * 40, "webhook-signature": "v1,abc"},
        {"webhook-id": "m", "webhook-timestamp": "now", "webhook-signature": "nonsense"},
        {"webhook-id": "m", "webhook-timestamp": "now", "webhook-signature": "v1,%%%"},
    ],
)
def test_malformed_signatures_are_refused(client: Client, task: AsyncTask, headers: dict[str, str]) -> None:
    now = str(int(time.time()))
    headers = {name: now if value == "now" else value for name, value in headers.items()}
    answer = client.post("/hooks/replicate/", json.dumps(prediction()), "application/json", headers=headers)
    assert answer.status_code == 401


def test_a_webhook_about_a_changed_body_is_refused(client: Client, task: AsyncTask) -> None:
    moment = datetime.now(UTC)
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("m", moment, json.dumps(prediction("processing"))),
    }
    answer = client.post("/hooks/replicate/", json.dumps(prediction()), "application/json", headers=headers)
    assert answer.status_code == 401


def test_a_gateways_own_secret_speaks_for_its_own_tasks_only(
    client: Client, task: AsyncTask, alice: User
) -> None:
    other = task_cast.gateway("other")
    secret = "whsec_" + base64.b64encode(b"the other gateway's own.").decode()
    ProviderCredential.objects.create(platform="replicate", gateway=other, webhook_secret=secret)
    assert send(client, prediction(), secret=secret).json() == {"tasks": 0}
    task.refresh_from_db()
    assert task.status == S.QUEUED


def test_a_webhook_and_a_late_one_make_one_transition(client: Client, task: AsyncTask) -> None:
    send(client, prediction("failed", error="it broke"), name="msg_1")
    send(client, prediction("processing"), name="msg_2")
    send(client, prediction("failed", error="it broke"), name="msg_3")
    task.refresh_from_db()
    assert (task.status, task.failure_message) == (S.FAILED, "it broke")
    assert TaskEvent.objects.filter(task=task).exclude(after="").count() == 1


def test_an_event_that_only_names_the_task_makes_us_ask(
    client: Client, alice: User, gateway: Gateway
) -> None:
    ProviderCredential.objects.create(platform="openai-videos", webhook_secret=SECRET)
    later = timezone.now() + timedelta(minutes=1)
    task = task_cast.a_task(
        alice, gateway, platform="openai-videos", provider_task_id="video_1", next_poll_at=later
    )
    body = json.dumps({"type": "video.completed", "data": {"id": "video_1"}})
    moment = datetime.now(UTC)
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("evt_1", moment, body),
    }
    client.post("/hooks/openai-videos/", body, "application/json", headers=headers)
    task.refresh_from_db()
    assert task.status == S.QUEUED and task.next_poll_at and task.next_poll_at <= timezone.now()


def test_an_unsigned_callback_is_only_a_reason_to_ask(client: Client, alice: User, gateway: Gateway) -> None:
    later = timezone.now() + timedelta(minutes=1)
    task = task_cast.a_task(alice, gateway, platform="luma", provider_task_id="lu-1", next_poll_at=later)
    for _ in range(3):
        answer = client.post(
            "/hooks/luma/", json.dumps({"id": "lu-1", "state": "completed"}), "application/json"
        )
        assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert hints.take(catalogue()) == 1
    task.refresh_from_db()
    assert task.status == S.QUEUED and task.next_poll_at and task.next_poll_at <= timezone.now()
    assert TaskEvent.objects.get().kind == EventKind.HINT


@pytest.mark.parametrize(("slug", "status"), [("nobody", 404), ("replicate", 401), ("luma", 400)])
def test_what_is_no_webhook_is_refused(client: Client, db: None, slug: str, status: int) -> None:
    assert client.post(f"/hooks/{slug}/", b"not json", "application/json").status_code == status


class Fal:
    """fal's side: its key, published, and its signatures."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.key = Ed25519PrivateKey.generate()
        x = base64.urlsafe_b64encode(self.key.public_key().public_bytes_raw()).rstrip(b"=").decode()
        keys = json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]}).encode()
        self.fetched = 0
        self.now = int(time.time())

        def fetch(method: str, url: str, **_: Any) -> outbound.Answer:
            self.fetched += 1
            return outbound.Answer(200, {}, keys, url)

        monkeypatch.setattr(outbound, "request", fetch)

    def send(
        self, client: Client, document: Any, *, age: int = 0, key: Ed25519PrivateKey | None = None
    ) -> Any:
        body = json.dumps(document).encode()
        timestamp = str(self.now - age)
        message = "\n".join(("fal-1", "user", timestamp, hashlib.sha256(body).hexdigest())).encode()
        headers = {
            "X-Fal-Webhook-Request-Id": "fal-1",
            "X-Fal-Webhook-User-Id": "user",
            "X-Fal-Webhook-Timestamp": timestamp,
            "X-Fal-Webhook-Signature": (key or self.key).sign(message).hex(),
        }
        return client.post("/hooks/fal/", body, "application/json", headers=headers)


@pytest.fixture
def fal(monkeypatch: pytest.MonkeyPatch, db: None) -> Fal:
    call_command("createcachetable", verbosity=0)
    return Fal(monkeypatch)


def test_fals_signature_is_checked_against_its_published_keys(
    client: Client, alice: User, gateway: Gateway, fal: Fal
) -> None:
    task = task_cast.a_task(alice, gateway, platform="fal", provider_task_id="fal-1", type="image")
    document = {
        "request_id": "fal-1",
        "status": "OK",
        "payload": {"images": [{"url": "https://v3.fal.media/a.jpeg"}]},
    }
    assert fal.send(client, document, key=Ed25519PrivateKey.generate()).status_code == 401
    assert fal.send(client, document, age=400).status_code == 401
    assert fal.send(client, document).status_code == 200
    assert fal.send(client, document).status_code == 409
    task.refresh_from_db()
    assert task.status == S.SUCCEEDED
    assert task.result == [{"kind": "image", "url": "https://v3.fal.media/a.jpeg"}]
    assert fal.fetched == 1
    assert client.post("/hooks/fal/", b"{}", "application/json").status_code == 401
