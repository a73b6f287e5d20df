"""Every list of the admin says what it is and when it fills, and in the theme that the person chose."""

from __future__ import annotations

import re
from decimal import Decimal
from html import escape

import pytest
from django.contrib import admin as django_admin
from django.db import models
from django.test import Client
from django.urls import reverse

from accounts.models import AIModel, ApiToken, AuditEntry, Gateway, Group, User
from accounts.staff import audit
from logs.models import ModelPrice
from routescope.admin import GuardedAdmin
from tests.admin_pages import client, text
from tests.cast import event, just_now, signed_in, store
from tests.task_cast import a_task

__all__ = ["client"]


def _lists() -> list[tuple[str, GuardedAdmin]]:  # type: ignore[type-arg]
    found = []
    for model, its in django_admin.site._registry.items():
        assert isinstance(its, GuardedAdmin)
        found.append((reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"), its))
    return found


@pytest.mark.django_db
def test_every_list_says_what_it_is_and_an_empty_one_when_it_fills(client: Client) -> None:
    for url, its in _lists():
        about, fills = str(its.about), str(its.fills)
        assert its.section is not None, url
        assert about.endswith(".") and fills.endswith("."), url
        page = text(client.get(url))
        assert about in page and fills in page, url
        assert not its.search_fields or "Clear search and filters" in text(
            client.get(url, {"q": "no such"})
        ), url


def test_the_index_says_what_each_list_is(client: Client) -> None:
    page = text(client.get("/admin/"))
    assert all(str(its.about) in page for _url, its in _lists())


@pytest.mark.django_db
def test_an_address_that_fills_in_what_is_no_key_opens_an_empty_form(client: Client) -> None:
    for model, its in django_admin.site._registry.items():
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
        keys = [one.name for one in model._meta.concrete_fields if isinstance(one, models.ForeignKey)]
        for value in ("x", "9" * 30, "-1"):
            answer = client.get(url, dict.fromkeys(keys, value))
            assert answer.status_code in (200, 403), (url, value, its)


@pytest.mark.parametrize("theme", ["light", "dark", "system"])
def test_the_persons_theme_holds_in_the_admin(admin: User, theme: str) -> None:
    User.objects.filter(pk=admin.pk).update(theme=theme)
    page = signed_in(admin).get("/admin/").content.decode()
    assert f'<meta name="theme" content="{escape(theme)}">' in page
    assert "admin/js/theme.js" not in page


@pytest.mark.django_db
def test_what_lists_and_pages_link_to_can_be_opened(client: Client, gateway: Gateway, alice: User) -> None:
    """Related things are a link away, and no link of a list or an object asks what its list refuses."""
    store(gateway, event(alice, created_at=just_now()))
    a_task(alice, gateway)
    ModelPrice.objects.create(model=AIModel.objects.get(name="gpt-5"), input=Decimal(1))
    audit.note_unattended(AuditEntry.Act.RETENTION, "what", "nobody")
    rows = (alice, gateway, *AIModel.objects.all(), *ApiToken.objects.all(), *Group.objects.all())
    pages = [url for url, _its in _lists()]
    pages += [reverse(f"admin:accounts_{row._meta.model_name}_change", args=[row.pk]) for row in rows]
    followed = set()
    for url in pages:
        page = text(client.get(url))
        part = page[page.index('id="content-main"') :]
        followed |= set(re.findall(r'<a href="(/admin/[^"#]*\?[^"#]+)"', part))
    assert len(followed) > 15
    for url in sorted(followed):
        answer = client.get(url)
        assert answer.status_code == 200, (url, answer.headers.get("Location"))
