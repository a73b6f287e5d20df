"""The chart in a real browser: pointed at, dragged over, walked by keyboard."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from accounts.models import Gateway, User
from tests.cast import NOON, event, store
from tests.e2e import hands

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = "/records/usage/?start=2026-03-10T12:00&end=2026-03-10T13:00"


@pytest.fixture
def alice_page(page: Page, gateway: Gateway, alice: User) -> Page:
    store(
        gateway, *(event(created_at=NOON + timedelta(seconds=n * 20), model=f"m{n % 3}") for n in range(180))
    )
    hands.enter(page, HOUR)
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "180")
    return page


def test_a_drag_narrows_everything_to_the_same_stretch(alice_page: Page) -> None:
    page = alice_page
    box = page.locator(".chart-plot").bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    # From inside minute 15 to inside minute 29, of 60.
    page.mouse.move(box["x"] + box["width"] * 15.5 / 60, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 20.5 / 60, y)
    page.mouse.move(box["x"] + box["width"] * 29.5 / 60, y)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"start=2026-03-10T12%3A15Z&end=2026-03-10T12%3A30Z"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "45")
    expect(page.locator(".pager-note")).to_have_text("45 records")
    expect(page.locator("tr.record")).to_have_count(45)
    expect(page.locator("tr.record .c-time").first).to_have_text("12:29:40.000")


def test_the_keyboard_selects_the_same_stretch(alice_page: Page) -> None:
    page = alice_page
    hands.tab_to(page.locator(".chart-box"))
    page.keyboard.press("Home")
    for _ in range(15):
        page.keyboard.press("ArrowRight")
    for _ in range(14):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".chart-box")).to_have_attribute("aria-valuetext", re.compile("12:15 – .*12:30, Selected 15 min, Requests 45"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"start=2026-03-10T12%3A15Z&end=2026-03-10T12%3A30Z"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "45")


def test_pointing_at_a_bucket_tells_its_figures(alice_page: Page) -> None:
    page = alice_page
    box = page.locator(".chart-plot").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 10.5 / 60, box["y"] + 60)
    tip = page.locator(".chart-tip")
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("12:10")
    expect(tip).to_contain_text("360")
    page.mouse.move(box["x"], box["y"] - 40)
    expect(tip).to_be_hidden()


def test_the_peak_leads_to_its_minute_and_the_table_to_its_stretch(alice_page: Page) -> None:
    page = alice_page
    page.get_by_role("link", name=re.compile("peak 3 at")).click()
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "3")
    page.go_back()
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "180")
    page.get_by_text("View as table").click()
    row = page.locator(".chart-table tbody tr").first
    told = row.locator("td").first.inner_text()
    row.locator("a").click()
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", told)
    assert 3 <= int(told) < 180
