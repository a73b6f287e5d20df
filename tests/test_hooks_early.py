"""Webhooks that come before their task: they wait for it, and none is lost."""

from __future__ import annotations

import base64
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
from tasks.intake import early_webhooks
from tasks.models import AsyncTask, EarlyWebhook, EventKind, ProviderCredential, TaskEvent, TaskStatus
from tests import task_cast as cast
from tests.cast import signed_in
from tests.hook_cast import SECRET, hook, prediction, register, secret

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
