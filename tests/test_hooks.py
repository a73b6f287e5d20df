"""Hooks under attack, and hooks that come too soon: nobody without a signature costs anything, no delivery is
lost.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from accounts.models import Gateway, User
from routescope.wire import outbound
from tasks import jobs
from tasks.following import clock
from tasks.intake import early_webhooks, published_keys, registration, webhooks
from tasks.models import (
    AsyncTask,
    EarlyReport,
    EarlyWebhook,
    EventKind,
    Provider,
    ProviderCredential,
    TaskEvent,
    TaskStatus,
    WebhookDelivery,
)
from tasks.providers.catalogue import built_in_source
from tests import task_cast as cast
from tests.cast import signed_in

SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes....").decode()
OTHER = "whsec_" + base64.b64encode(b"another gateway's secret").decode()
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture(autouse=True)
def secret(db: None) -> None:
    call_command("createcachetable", verbosity=0)
    cache.clear()
    ProviderCredential.objects.create(platform="replicate", webhook_secret=SECRET)


def signed(body: str | bytes, *, secret: str = SECRET, name: str = "msg_1") -> dict[str, str]:
    moment = datetime.now(UTC)
    text = body if isinstance(body, str) else body.decode("latin-1")
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, moment, text),
    }


def hook(client: Client, document: Any, *, platform: str = "replicate", **signing: Any) -> Any:
    body = document if isinstance(document, str) else json.dumps(document)
    return client.post(f"/hooks/{platform}/", body, "application/json", headers=signed(body, **signing))


def prediction(status: str = "succeeded", name: str = "pred-1", **fields: Any) -> dict[str, Any]:
    return {"id": name, "status": status, "output": ["https://replicate.delivery/x/out.png"], **fields}


def register(client: Client, gateway: Gateway, **fields: Any) -> None:
    body = {
        "task_id": "task_1",
        "created_at": (timezone.now() - timedelta(minutes=5)).isoformat(),
        "user": "alice@example.com",
        "platform": "replicate",
        "provider_task_id": "pred-1",
        "type": "image",
        **fields,
    }
    answer = client.post("/api/v1/tasks", json.dumps(body), "application/json", headers=cast.key(gateway))
    assert answer.status_code == 200 and not answer.json()["rejected"], answer.content


# --- Before a body is read -------------------------------------------------------------------------------


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
        started = time.process_time()
        answer = client.post(
            f"/hooks/{platform}/",
            body,
            "application/json",
            headers={"Content-Encoding": "gzip", **signed(b"")},
        )
        assert answer.status_code in (413, 415)
        assert time.process_time() - started < 1


# --- Odd bodies ------------------------------------------------------------------------------------------

ODD = {
    "deep": DEEP,
    "deep objects": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "2,000 levels": "[" * 2_000 + "]" * 2_000,
    "NaN": '{"id": NaN}',
    "Infinity": '{"id": -Infinity}',
    "digits": '{"id": ' + "9" * 4_000 + "}",
    "more digits": '{"id": ' + "9" * 50_000 + "}",
    "exponent": '{"id": 1e999}',
    "nothing": "",
    "cut off": '{"id": "pred-1"',
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
@pytest.mark.parametrize("platform", ["kling", "luma", "midjourney-proxy"])
def test_an_odd_body_of_a_stranger_is_400(client: Client, platform: str, body: str) -> None:
    answer = client.post(f"/hooks/{platform}/", body, "application/json")
    assert answer.status_code == 400 and answer.json()["error"]


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_an_odd_body_that_is_signed_is_400(client: Client, body: str) -> None:
    answer = client.post("/hooks/replicate/", body, "application/json", headers=signed(body))
    assert answer.status_code == 400 and not WebhookDelivery.objects.exists()


def test_bytes_that_are_no_text_are_no_500(client: Client) -> None:
    for body in (b'{"id": "\xff"}', b'{"id": "\xed\xa0\x80"}', b"\x00" * 100):
        assert client.post("/hooks/kling/", body, "application/json").status_code == 400
        answer = client.post("/hooks/replicate/", body, "application/json", headers=signed(body))
        assert answer.status_code in (400, 401)


@pytest.mark.parametrize(
    "odd", ["pred-\x00", "\ud83d", "x" * 10_000, ["pred-1", "pred-2"], {"a": "b"}, 10**30, True, None, ""]
)
def test_an_odd_name_of_a_task_is_an_answer(client: Client, alice: User, gateway: Gateway, odd: Any) -> None:
    assert hook(client, prediction() | {"id": odd}).status_code == 200
    assert client.post("/hooks/luma/", json.dumps({"id": odd}), "application/json").status_code == 200


def test_an_expression_that_breaks_is_logged_and_the_task_is_asked_about(
    client: Client, alice: User, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    broken = built_in_source("replicate").replace('status = "status"', 'status = "output[::0]"')
    Provider.objects.create(slug="replicate", definition=broken)
    later = timezone.now() + timedelta(minutes=1)
    task = cast.a_task(alice, gateway, platform="replicate", provider_task_id="pred-1", next_poll_at=later)
    assert hook(client, prediction()).status_code == 200
    task.refresh_from_db()
    assert task.status == TaskStatus.QUEUED and task.next_poll_at and task.next_poll_at <= timezone.now()
    assert "cannot be worked out" in caplog.text


def test_two_long_names_of_deliveries_are_two(client: Client, alice: User, gateway: Gateway) -> None:
    register(client, gateway)
    for tail in ("a", "b"):
        assert hook(client, prediction("processing"), name="m" * 300 + tail).status_code == 200
    assert WebhookDelivery.objects.count() == 2


def test_a_secret_that_cannot_be_read_is_503(client: Client, settings: Any) -> None:
    keys = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = ["another"]
    ProviderCredential.objects.update(webhook_secret=SECRET)
    settings.ENCRYPTION_KEYS = keys
    answer = hook(client, prediction())
    assert answer.status_code == 503 and answer["Retry-After"]


# --- Reports of gateways ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "deep", [DEEP, "[" * 900 + "]" * 900, "[" * 70 + "]" * 70], ids=["100,000", "900", "70"]
)
@pytest.mark.parametrize("registered", [True, False])
def test_a_deep_report_is_refused_and_costs_no_neighbour(
    client: Client, alice: User, gateway: Gateway, deep: str, registered: bool
) -> None:
    if registered:
        register(client, gateway)
        register(client, gateway, task_id="task_2", provider_task_id="pred-2")
    key = cast.key(gateway)
    one = f'{{"task_id": "task_1", "status": "succeeded", "result": {deep}}}'
    assert client.patch("/api/v1/tasks/task_1", one, "application/json", headers=key).status_code == 400
    lines = f'{one}\n{{"task_id": "task_2", "status": "running"}}'
    answer = client.patch("/api/v1/tasks", lines, "application/json", headers=key)
    assert answer.status_code == 200
    assert [entry["index"] for entry in answer.json()["rejected"]] == [0]
    assert answer.json()["accepted" if registered else "pending"] == 1


def test_a_cut_character_in_a_report_is_replaced(client: Client, alice: User, gateway: Gateway) -> None:
    register(client, gateway)
    body = b'{"status": "failed", "error": {"message": "cut \\ud83d here"}, "cost": 0.000000000001}'
    answer = client.patch("/api/v1/tasks/task_1", body, "application/json", headers=cast.key(gateway))
    assert answer.json()["accepted"] == 1, answer.content
    assert AsyncTask.objects.get().failure_message == "cut \ufffd here"


def test_no_more_early_reports_wait_than_there_is_room_for(
    client: Client, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "MAX_EARLY_REPORTS", 3)
    lines = "\n".join(
        f'{{"task_id": "t{number}", "status": "running", "junk": "{"x" * 5000}"}}' for number in range(5)
    )
    answer = client.patch("/api/v1/tasks", lines, "application/json", headers=cast.key(gateway)).json()
    assert (answer["pending"], [one["index"] for one in answer["rejected"]]) == (3, [3, 4])
    assert all("junk" not in row.body.reveal() for row in EarlyReport.objects.all())
    huge = json.dumps({"task_id": "t0", "error": {"message": "x" * 400_000}})
    assert client.patch("/api/v1/tasks", huge, "application/json", headers=cast.key(gateway)).json()[
        "rejected"
    ]


# --- The admin's page ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "sample", "says"),
    [
        ({}, DEEP, "This is not JSON"),
        ({}, '{"a": ' + "9" * 4_000 + "}", "This is not JSON"),
        ({}, '{"status": "running", "progress": NaN}', "Running"),
        ({"status || state": "|".join(["[@, @][]"] * 40)}, "[1, 2, 3]", "steps"),
        ({"status || state": "a[::0]"}, '{"a": [1]}', "cannot be worked out"),
        ({"status || state": "a" + ".a" * 900}, "{}", None),
        ({"status || state": "(" * 900 + "a" + ")" * 900}, "{}", "JMESPath"),
        ({"status || state": "a" * 5_000}, "{}", "length"),
        ({'every = "5s"': 'every = "99999999999999d"'}, "{}", "duration"),
        ({'every = "5s"': 'every = "900000000d"'}, "{}", "longer than"),
        ({'progress = "progress"': 'zone = "Mars/Olympus"'}, "{}", "time zone"),
        ({'progress = "progress"': 'zone = "../../../etc/passwd"'}, "{}", "time zone"),
        (
            {'{ path = "result': '{ url = "https://x.example/{value.__class__}", path = "result'},
            "{}",
            "neither",
        ),
        ({'types = ["other"]': "types = []"}, '{"status": "running"}', "Running"),
        ({'types = ["other"]': "types = " + "[" * 3_000}, "{}", "nested too deep"),
        ({'slug = "generic"': "slug = " + "9" * 5_000}, "{}", "cannot be read"),
    ],
)
def test_trying_an_odd_definition_or_sample_is_a_page(
    admin: User, definition: dict[str, str], sample: str, says: str | None
) -> None:
    text = built_in_source("generic")
    for old, new in definition.items():
        assert old in text
        text = text.replace(old, new)
    office = signed_in(admin)
    started = time.monotonic()
    page = office.post("/admin/tasks/provider/try/", {"definition": text, "sample": sample})
    assert page.status_code == 200 and time.monotonic() - started < 10
    if says is not None:
        assert says in page.content.decode()
    kept = office.post(
        "/admin/tasks/provider/add/", {"slug": "generic", "is_active": "on", "definition": text}
    )
    assert kept.status_code in (200, 302)


# --- Webhooks before their task --------------------------------------------------------------------------


def test_a_signed_webhook_waits_for_its_task(client: Client, alice: User, gateway: Gateway) -> None:
    assert hook(client, prediction()).json() == {"tasks": 0}
    assert hook(client, prediction()).status_code == 409
    waiting = EarlyWebhook.objects.get()
    assert (waiting.platform, waiting.provider_task_id) == ("replicate", "pred-1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM tasks_earlywebhook")
        assert "replicate.delivery" not in str(cursor.fetchall())
    register(client, gateway)
    task = AsyncTask.objects.get()
    assert task.status == TaskStatus.SUCCEEDED and task.next_poll_at is None
    assert task.result == [{"kind": "image", "url": "https://replicate.delivery/x/out.png"}]
    assert not EarlyWebhook.objects.exists()
    assert TaskEvent.objects.filter(kind=EventKind.WEBHOOK).count() == 1


def test_in_any_order_and_doubled_the_end_is_the_end_once(
    client: Client, alice: User, gateway: Gateway
) -> None:
    hook(client, prediction("failed", error="it broke"), name="msg_3")
    hook(client, prediction("processing"), name="msg_2")
    hook(client, prediction("failed", error="it broke"), name="msg_3b")
    register(client, gateway)
    assert hook(client, prediction("starting"), name="msg_1").json() == {"tasks": 1}
    assert hook(client, prediction("failed", error="it broke"), name="msg_3").status_code == 409
    task = AsyncTask.objects.get()
    assert (task.status, task.failure_message) == (TaskStatus.FAILED, "it broke")
    assert TaskEvent.objects.filter(task=task, after=TaskStatus.FAILED).count() == 1
    assert not EarlyWebhook.objects.exists()


def test_it_waits_for_the_providers_id_too_where_a_report_brings_that_later(
    client: Client, alice: User, gateway: Gateway
) -> None:
    register(client, gateway, provider_task_id=None)
    hook(client, prediction())
    body = json.dumps({"provider_task_id": "pred-1"})
    client.patch("/api/v1/tasks/task_1", body, "application/json", headers=cast.key(gateway))
    assert AsyncTask.objects.get().status == TaskStatus.SUCCEEDED


def test_it_speaks_only_for_the_tasks_of_its_own_gateway(
    client: Client, alice: User, gateway: Gateway
) -> None:
    other = cast.gateway("other")
    ProviderCredential.objects.create(platform="replicate", gateway=other, webhook_secret=OTHER)
    hook(client, prediction(), secret=OTHER)
    register(client, gateway)
    assert AsyncTask.objects.get().status == TaskStatus.QUEUED
    register(client, other, task_id="task_of_other")
    assert AsyncTask.objects.get(gateway=other).status == TaskStatus.SUCCEEDED


def test_only_what_is_signed_waits(client: Client) -> None:
    forged = "whsec_" + base64.b64encode(b"a forger's secret.......").decode()
    assert hook(client, prediction(), secret=forged).status_code == 401
    client.post("/hooks/luma/", json.dumps({"id": "lu-1"}), "application/json")
    assert not EarlyWebhook.objects.exists()


def test_a_hint_and_one_too_large_to_keep_make_us_ask_once_the_task_is_here(
    client: Client, alice: User, gateway: Gateway
) -> None:
    hook(client, prediction(output="x" * (early_webhooks.MAX_BODY + 1)))
    assert not EarlyWebhook.objects.get().body
    register(client, gateway, created_at=timezone.now().isoformat())
    task = AsyncTask.objects.get()
    assert task.status == TaskStatus.QUEUED and task.next_poll_at and task.next_poll_at <= clock.now()
    assert not EarlyWebhook.objects.exists()


def test_no_more_wait_than_there_is_room_for_and_no_longer_than_a_day(
    client: Client, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_webhooks, "MAX_WAITING", 3)
    for number in range(5):
        hook(client, prediction(name=f"pred-{number}"), name=f"msg_{number}")
    kept = EarlyWebhook.objects.order_by("pk").values_list("provider_task_id", flat=True)
    assert list(kept) == ["pred-2", "pred-3", "pred-4"]
    page = signed_in(admin).get("/admin/tasks/earlywebhook/").content.decode()
    assert "pred-3" in page and "3 webhooks that wait" in page
    row = EarlyWebhook.objects.first()
    assert row is not None
    details = signed_in(admin).get(f"/admin/tasks/earlywebhook/{row.pk}/change/").content.decode()
    assert "pred-2" in details and "replicate.delivery" not in details
    old = timezone.now() - early_webhooks.KEPT - timedelta(minutes=1)
    EarlyWebhook.objects.filter(provider_task_id="pred-3").update(received_at=old)
    jobs.tidy()
    assert sorted(EarlyWebhook.objects.values_list("provider_task_id", flat=True)) == ["pred-2", "pred-4"]


def test_one_that_cannot_be_read_costs_no_registration(
    client: Client, alice: User, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    hook(client, prediction())
    hook(client, prediction(name="pred-2"), name="msg_2")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tasks_earlywebhook SET body = 'garbage' WHERE provider_task_id = 'pred-1'")
    register(client, gateway)
    register(client, gateway, task_id="task_2", provider_task_id="pred-2")
    first, second = AsyncTask.objects.order_by("task_id")
    assert (first.status, second.status) == (TaskStatus.QUEUED, TaskStatus.SUCCEEDED)
    assert not EarlyWebhook.objects.exists() and "cannot be read" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_webhook_and_its_registration_in_one_moment_end_the_task() -> None:
    ProviderCredential.objects.get_or_create(platform="replicate", defaults={"webhook_secret": SECRET})
    gateway = cast.gateway()
    cast.person()
    barrier = threading.Barrier(2)

    def meet(step: Any) -> None:
        try:
            barrier.wait()
            step()
        finally:
            connections.close_all()

    for number in range(8):
        name = f"pred-{number}"
        steps = (
            lambda name=name, number=number: hook(Client(), prediction(name=name), name=f"msg_{number}"),
            lambda name=name: register(Client(), gateway, task_id=f"task {name}", provider_task_id=name),
        )
        threads = [threading.Thread(target=meet, args=(step,)) for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert AsyncTask.objects.count() == 8
    assert not AsyncTask.objects.exclude(status=TaskStatus.SUCCEEDED).exists()
    assert not EarlyWebhook.objects.exists()


# --- fal's keys ------------------------------------------------------------------------------------------


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
