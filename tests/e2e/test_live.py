"""New records in a real browser: announced, not moved; shown as they come in live mode."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Gateway, User
from tests.cast import event, just_now, store
from tests.e2e import hands, menus

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def alice_page(page: Page, gateway: Gateway, alice: User) -> Page:
    now = timezone.now() - timedelta(minutes=5)
    store(gateway, *(event(created_at=now - timedelta(seconds=n)) for n in range(20)))
    hands.enter(page, "/records/usage/")
    expect(page.locator("tr.record")).to_have_count(20)
    return page


def test_new_records_announce_themselves_without_moving_the_list(alice_page: Page, gateway: Gateway) -> None:
    page = alice_page
    top = page.locator("table.listing").bounding_box()
    store(gateway, event(request_id="fresh", created_at=just_now()))
    expect(page.get_by_role("link", name="1 new record")).to_be_visible()
    expect(page.locator("tr.record")).to_have_count(20)
    assert page.locator("table.listing").bounding_box() == top
    page.get_by_role("link", name="1 new record").click()
    expect(page.locator("tr.record")).to_have_count(21)
    expect(page.locator("tr.record .id").first).to_have_attribute("title", "fresh")


def test_live_shows_them_as_they_come_but_not_over_an_open_record(alice_page: Page, gateway: Gateway) -> None:
    page = alice_page
    page.get_by_role("switch", name="Live").click()
    expect(page).to_have_url(re.compile("live=on"))
    store(gateway, event(created_at=just_now()))
    expect(page.locator("tr.record")).to_have_count(21)
    page.locator("tr.record .toggle").first.click()
    expect(page.locator("tr.record-detail")).to_be_visible()
    store(gateway, event(created_at=just_now()))
    expect(page.get_by_role("link", name="1 new record")).to_be_visible()
    expect(page.locator("tr.record-detail")).to_be_visible()


def test_columns_are_chosen_in_place(alice_page: Page) -> None:
    page = alice_page
    menus.choose(page, "menu-columns", "Model")
    expect(page.locator("th.c-model")).to_have_count(0)
    expect(page.locator("tr.record")).to_have_count(20)
    expect(page).to_have_url(re.compile("/records/usage/$"))
    page.reload()
    expect(page.locator("th.c-model")).to_have_count(0)
