"""The marks of what was unlike usual, under the chart's bars: pressed, and reached by keyboard."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from accounts.models import Gateway, User
from logs.models import UnusualHour
from tests.cast import NOON, event, store
from tests.e2e import hands

pytestmark = pytest.mark.django_db(transaction=True)

DAY = "/records/usage/?start=2026-03-10T06:00&end=2026-03-10T14:00"
HOUR = timedelta(hours=1)
NARROWED = re.compile(r"start=2026-03-10T13%3A00Z&end=2026-03-10T14%3A00Z")


@pytest.fixture
def mark(page: Page, gateway: Gateway, alice: User) -> Locator:
    """The mark of the range's last hour, at the edge of the chart."""
    store(gateway, *(event(created_at=NOON + timedelta(seconds=n * 60)) for n in range(100)))
    UnusualHour.objects.create(user_id=alice.pk, start=NOON + HOUR, what="requests", value=40, usual=3)
    hands.enter(page, DAY)
    return page.locator(".unlike-link")


@pytest.mark.parametrize("width", [1440, 390, 320])
def test_a_press_narrows_to_it_at_any_width(mark: Locator, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    expect(mark).to_have_attribute("title", re.compile("Requests 13.3 times the usual for a Tuesday 13:00"))
    place = mark.bounding_box()
    assert place
    assert place["width"] >= 24 and place["height"] >= 24
    assert place["x"] >= 0 and place["x"] + place["width"] <= width
    mark.click()
    expect(page).to_have_url(NARROWED)
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "40")


def test_it_is_reached_and_read_by_keyboard(mark: Locator, page: Page) -> None:
    hands.tab_to(mark)
    link = page.locator(".chart").get_by_role("link", name=re.compile("Requests 13.3 times the usual"))
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(NARROWED)
