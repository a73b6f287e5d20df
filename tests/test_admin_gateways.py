"""Gateways and their keys in the Django admin."""

from __future__ import annotations

import logging
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from playwright.sync_api import Page, expect

from accounts.models import Gateway, IngestKey, User
from tests.admin_pages import client, text
from tests.cast import signed_in
from tests.e2e import hands

__all__ = ["client"]

GATEWAYS = "/admin/accounts/gateway/"
KEY = re.compile(r"rsk_[\w-]{43}")


def test_a_new_gateway_leads_to_its_first_key(client: Client) -> None:
    response = client.post(f"{GATEWAYS}add/", {"name": "edge", "is_active": "on", "error_texts": "1"})
    assert response["Location"] == f"{GATEWAYS}{Gateway.objects.get().pk}/keys/issue/"


def test_an_issued_key_is_shown_once_and_kept_nowhere(
    client: Client, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{GATEWAYS}{gateway.pk}/keys/issue/"
    with caplog.at_level(logging.DEBUG):
        response = client.post(url, {"label": "host-1"})
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    [key] = set(KEY.findall(text(response)))
    row = IngestKey.objects.get()
    assert (row.key_hash, row.label, row.gateway) == (IngestKey.hash(key), "host-1", gateway)
    assert key not in str(response.headers) + str(response.cookies) + caplog.text
    for later in (url, f"{GATEWAYS}{gateway.pk}/change/", f"{GATEWAYS}{gateway.pk}/history/", "/admin/"):
        assert key not in text(client.get(later))
    assert not any(key in str(entry.change_message) for entry in LogEntry.objects.all())
    assert LogEntry.objects.get().change_message == f"Issued the ingest key {row.hint}."


def test_the_command_beside_the_key_sends_a_record(client: Client, gateway: Gateway) -> None:
    page = text(client.post(f"{GATEWAYS}{gateway.pk}/keys/issue/", {}))
    [key] = set(KEY.findall(page))
    body = re.search(r"-d '(\{.*\})'", page)
    assert body is not None
    answer = Client().post(
        "/api/v1/usage", body[1], content_type="application/json", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": []}


def test_a_revoked_key_is_refused(client: Client, gateway: Gateway) -> None:
    row, key = IngestKey.issue(gateway)
    url = f"{GATEWAYS}{gateway.pk}/keys/{row.pk}/revoke/"
    assert url in text(client.get(f"{GATEWAYS}{gateway.pk}/change/"))
    assert row.hint in text(client.get(url))
    assert IngestKey.objects.get().revoked_at is None
    assert "is now refused" in text(client.post(url, follow=True))
    headers = {"Authorization": f"Bearer {key}"}
    assert (
        Client().post("/api/v1/usage", "[]", content_type="application/json", headers=headers).status_code
        == 401
    )
    assert client.post(url).status_code == 404
    assert "Revoked" in text(client.get(f"{GATEWAYS}{gateway.pk}/change/"))


def test_keys_of_another_gateway_are_not_reached(client: Client, gateway: Gateway) -> None:
    row, _ = IngestKey.issue(gateway)
    other = Gateway.objects.create(name="other")
    assert client.post(f"{GATEWAYS}{other.pk}/keys/{row.pk}/revoke/").status_code == 404
    assert client.post(f"{GATEWAYS}999999/keys/issue/").status_code == 404


def test_keys_need_the_right_to_change_gateways(gateway: Gateway, bob: User) -> None:
    row, _ = IngestKey.issue(gateway)
    bob.is_staff = True
    bob.save()
    bob.user_permissions.add(Permission.objects.get(codename="view_gateway"))
    viewer = signed_in(User.objects.get(pk=bob.pk))
    page = text(viewer.get(f"{GATEWAYS}{gateway.pk}/change/"))
    assert "Issue a key" not in page
    assert viewer.post(f"{GATEWAYS}{gateway.pk}/keys/issue/").status_code == 403
    assert viewer.post(f"{GATEWAYS}{gateway.pk}/keys/{row.pk}/revoke/").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_in_a_browser_a_key_is_issued_and_copied(page: Page, admin: User, gateway: Gateway) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{GATEWAYS}{gateway.pk}/change/")
    hands.sign_in(page, str(admin.email), "admin-password")
    page.get_by_role("link", name="Issue a key").click()
    hands.write(page.get_by_label("Label"), "host-1")
    page.get_by_role("button", name="Issue key").click()
    page.get_by_role("button", name="Copy key").click()
    expect(page.get_by_role("button", name="Copy key")).to_have_attribute("data-state", "copied")
    key = page.evaluate("navigator.clipboard.readText()")
    assert IngestKey.objects.get().key_hash == IngestKey.hash(key)
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_text("host-1")).to_be_visible()
