"""Odd bodies of hooks, odd reports of gateways and odd definitions of an admin: each has an answer."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Gateway, User
from tasks.intake import registration
from tasks.models import AsyncTask, EarlyReport, Provider, ProviderCredential, TaskStatus, WebhookDelivery
from tasks.providers.catalogue import built_in_source
from tests import task_cast as cast
from tests.cast import signed_in
from tests.hook_cast import DEEP, SECRET, hook, prediction, register, secret, signed

__all__ = ["secret"]

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
