"""The browser's time zone is asked for once, where its clock is not that of the profile."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.e2e import hands


def test_a_time_zone_is_asked_for_once_and_taken_or_kept(alice_client: Client, alice: User) -> None:
    ask = 'data-zone-ask="UTC" hidden'
    assert ask in alice_client.get("/records/usage/").content.decode()
    answer = alice_client.post(
        reverse("time-zone"), {"zone": "Asia/Shanghai", "next": "/records/usage/?range=7d"}
    )
    assert answer.headers["Location"] == "/records/usage/?range=7d"
    alice.refresh_from_db()
    assert alice.time_zone == "Asia/Shanghai"
    assert "data-zone-ask" not in alice_client.get("/records/usage/").content.decode()
    refused = alice_client.post(reverse("time-zone"), {"zone": "Nowhere/At_all"})
    assert refused.status_code == 422
    away = alice_client.post(reverse("time-zone"), {"zone": "UTC", "next": "https://elsewhere.example/"})
    assert away.headers["Location"] == reverse("profile")


def test_who_chose_a_zone_in_the_profile_is_not_asked(alice_client: Client, alice: User) -> None:
    alice_client.post(reverse("profile"), {"name": "Alice", "time_zone": "Lima", "theme": "dark"})
    assert "data-zone-ask" not in alice_client.get("/records/usage/").content.decode()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_zone_that_is_kept_is_not_asked_for_again(page: Page, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(time_zone="Asia/Shanghai")
    hands.enter(page, "/records/usage/")
    ask = page.get_by_text("Times are in Asia/Shanghai, your browser is in UTC.")
    expect(ask).to_be_visible()
    page.get_by_role("button", name="Keep Asia/Shanghai").click()
    page.wait_for_url("**/records/usage/")
    expect(ask).to_have_count(0)
    alice.refresh_from_db()
    assert alice.time_zone == "Asia/Shanghai"
