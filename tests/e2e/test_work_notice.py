"""The notice of a long work in a real browser: it moves on, and moves nothing that somebody is at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Gateway, User
from routescope.web import notices
from tests.cast import event, store
from tests.e2e import hands

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

WORK = "Counting <sheep>"


@pytest.fixture
def watched(page: Page, gateway: Gateway, alice: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """Alice's list of one call, while a work goes on."""
    # Machines are shared: a browser may take longer than a work is silent.
    monkeypatch.setattr(notices, "SPEAKS_FOR", 600)
    store(gateway, event(created_at=timezone.now() - timedelta(minutes=5)))
    notices.show(WORK, 45)
    hands.enter(page, "/records/usage/")
    expect(page.locator("tr.record")).to_have_count(1)
    yield page
    # The cache outlives what a test stores.
    notices.take_down()


def test_it_moves_on_without_taking_the_focus_and_ends_with_what_there_is_more(
    watched: Page, gateway: Gateway
) -> None:
    page = watched
    expect(page.get_by_role("status").filter(has_text="Counting <sheep>: 45 %")).to_be_visible()
    field = page.locator(".search-id input")
    hands.write(field, "req_typed")
    notices.show(WORK, 46)
    expect(page.get_by_text("Counting <sheep>: 46 %")).to_be_visible()
    expect(page.get_by_role("progressbar", name=WORK)).to_have_attribute("value", "46")
    expect(field).to_be_focused()
    expect(field).to_have_value("req_typed")
    store(gateway, event(created_at=timezone.now() - timedelta(hours=5)))
    place = page.locator("#panel").bounding_box()
    notices.take_down()
    expect(page.get_by_role("status").filter(has_text="More records have arrived.")).to_be_visible()
    expect(page.locator("#announce")).to_have_text("More records have arrived.")
    more = page.get_by_role("link", name="Show them")
    expect(more).to_be_visible()
    assert page.locator("#panel").bounding_box() == place
    expect(field).to_be_focused()
    expect(page.locator("tr.record")).to_have_count(1)
    more.click()
    expect(page.locator("tr.record")).to_have_count(2)
    expect(more).to_have_count(0)
    expect(page.locator("#work-notice")).to_have_count(0)


def test_a_new_list_leaves_the_notice_of_a_work_that_goes_on(watched: Page) -> None:
    page = watched
    page.get_by_role("link", name="Task Logs", exact=True).click()
    expect(page.locator("#tab-tasks")).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("status").filter(has_text="Counting <sheep>")).to_be_visible()
