"""The Django admin's door and index."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin as django_admin
from django.test import Client
from django.urls import reverse

from logs.models import UsageRecord
from tasks.models import AsyncTask
from tests.admin_pages import RECORDS, client, text

__all__ = ["client"]


@pytest.mark.django_db
def test_a_stranger_is_led_to_our_sign_in_page_and_back() -> None:
    response = Client().get("/admin/", follow=True)
    assert response.redirect_chain[-1][0].startswith("/accounts/login/?next=")
    assert "%2Fadmin%2F" in response.redirect_chain[-1][0]


def test_somebody_who_is_no_admin_gets_in_nowhere(alice_client: Client) -> None:
    assert alice_client.get("/admin/", follow=True).status_code == 403
    assert alice_client.get(RECORDS, follow=True).status_code == 403


def test_the_index_is_in_the_order_of_use(client: Client) -> None:
    page = text(client.get("/admin/"))
    assert "Routescope administration" in page
    content = page[page.index('id="content-main"') :]
    names = re.findall(r'<th scope="row" id="[\w-]+">\s*<a href="[^"]+">([^<]+)</a>', content)
    assert names[:5] == ["Usage records", "Tasks", "Users", "API tokens", "Groups"]
    assert re.findall(r'class="section"[^>]*>([^<]+)<', content)[:5] == [
        "Operation Records",
        "People",
        "Gateways",
        "Prices",
        "Privacy",
    ]


def test_no_two_lines_of_the_index_have_one_name(client: Client) -> None:
    app_list = client.get("/admin/").context["app_list"]
    names = [str(entry["name"]) for section in app_list for entry in section["models"]]
    assert len(names) > 15
    assert sorted(names) == sorted(set(names))


@pytest.mark.django_db
def test_every_list_opens_and_searches(client: Client) -> None:
    for model, model_admin in django_admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert client.get(reverse(f"{name}_changelist")).status_code == 200, name
        if model_admin.search_fields or model in (UsageRecord, AsyncTask):
            assert client.get(reverse(f"{name}_changelist"), {"q": "any"}).status_code == 200, name
        added = client.get(reverse(f"{name}_add")).status_code
        assert added == (403 if model in (UsageRecord, AsyncTask) else added), name
        assert added in (200, 403), name
