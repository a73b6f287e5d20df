"""The list sorted by hand: by a heading, and on a phone by the sheet; and the one line of time."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Device
from tests.e2e import menus
from tests.e2e.conftest import Seat
from tests.e2e.hands import Hand

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def device(seat: Seat) -> Device:
    return seat.device


def durations(page: Page) -> list[str]:
    return page.locator("tr.record > .c-duration").all_inner_texts()


def test_the_slowest_calls_come_first_and_the_newest_again(hand: Hand) -> None:
    page = hand.page
    page.goto("/records/usage/")
    newest = durations(page)
    in_sheet = page.locator("#filters-open").is_visible()
    if in_sheet:
        menu = menus.menu(hand, "menu-sort")
        menu.press(menu.option("Duration"))
        menu.press(menu.submit)
    else:
        hand.press(page.locator("#sort-duration"))
    expect(page).to_have_url(re.compile("sort=duration"))
    assert durations(page) == newest[::-1] or durations(page)[0] > newest[0]
    expect(page.locator("tr.record .c-time").first).to_have_text(
        re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
    )
    expect(page.locator(".pager-note")).to_contain_text("1–50 by duration, longest first.")
    expect(page.locator("#live")).to_have_count(0)
    if not in_sheet:
        time = page.locator("tr.record .c-time").first
        time.hover()
        expect(time).to_have_attribute("title", re.compile("ago$"))
    hand.press(page.locator("#page-older"))
    expect(page.locator("tr.record")).to_have_count(10)
    hand.press(page.locator("#page-newer"))
    expect(page.locator("tr.record")).to_have_count(50)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("tr.record-detail")).to_be_visible()
    expect(page.locator("tr.record-detail .ago").first).to_have_text(re.compile("ago$"))
    if in_sheet:
        menu.open()
        menu.press(menu.option("Newest first"))
        menu.press(menu.submit)
    else:
        hand.press(page.locator("#sort-time"))
    expect(page).not_to_have_url(re.compile("sort="))
    expect(page.locator("#live")).to_have_count(1)
