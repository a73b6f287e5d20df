"""Webhooks that come before their task: they wait for it, and none is lost."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from accounts.models import Gateway, User
from tasks import jobs
from tasks.following import clock
from tasks.intake import early_webhooks, registration
from tasks.models import AsyncTask, EarlyWebhook, EventKind, ProviderCredential, TaskEvent, TaskStatus
from tasks.providers.catalogue import built_in
from tests import task_cast as cast
from tests.cast import signed_in
from tests.hook_cast import SECRET, hook, prediction, register, secret
from tests.test_hooks_fal import Fal

__all__ = ["secret"]

OTHER = "whsec_" + base64.b64encode(b"another gateway's secret").decode()


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


SIGNED = {slug: one.webhook for slug, one in built_in().items() if one.webhook.scheme == "standard"}


def test_every_signed_kind_is_tried_here_or_with_fals_own_signature() -> None:
    others = {slug for slug, one in built_in().items() if one.webhook.scheme not in ("none", "standard")}
    assert others == {"fal"} and len(SIGNED) >= 5


@pytest.mark.parametrize("slug", sorted(SIGNED))
def test_a_webhook_of_every_signed_kind_waits_and_is_applied_once(
    client: Client, alice: User, gateway: Gateway, slug: str
) -> None:
    ProviderCredential.objects.get_or_create(platform=slug, defaults={"webhook_secret": SECRET})
    names_alone = SIGNED[slug].task_id == "data.id"
    event = {"type": "response.completed", "data": {"id": "pred-1"}} if names_alone else prediction()
    assert hook(client, event, platform=slug).json() == {"tasks": 0}
    assert EarlyWebhook.objects.get().platform == slug
    register(client, gateway, platform=slug, created_at=timezone.now().isoformat())
    task = AsyncTask.objects.get()
    if names_alone:
        assert task.status == TaskStatus.QUEUED and task.next_poll_at and task.next_poll_at <= clock.now()
    else:
        assert task.status == TaskStatus.SUCCEEDED
    assert TaskEvent.objects.filter(task=task, kind=EventKind.WEBHOOK).count() == 1
    assert not EarlyWebhook.objects.exists()


def test_what_waits_of_fal_is_applied_too(
    client: Client, alice: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Fal(monkeypatch).send(client, "pred-1").json() == {"tasks": 0}
    register(client, gateway, platform="fal")
    task = AsyncTask.objects.get()
    assert task.status == TaskStatus.SUCCEEDED and task.result and task.result[0]["kind"] == "json"
    assert not EarlyWebhook.objects.exists()


def test_a_registration_that_dies_on_its_way_has_taken_in_what_waited(
    client: Client, alice: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(client, prediction())
    known, asked = registration._known, itertools.count()

    def dying(*args: Any) -> Any:
        if next(asked):  # The tasks are in the database, and their reports are next.
            raise RuntimeError("the server is gone")
        return known(*args)

    monkeypatch.setattr(registration, "_known", dying)
    with pytest.raises(AssertionError, match="Send the same again"):
        register(client, gateway)
    assert AsyncTask.objects.get().status == TaskStatus.SUCCEEDED
    assert not EarlyWebhook.objects.exists()


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
