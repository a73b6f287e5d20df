"""The first screen: the list is in sight at every size, and errors are within one press."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Device
from tests.e2e.conftest import SEATS, Seat
from tests.e2e.hands import Hand, middle

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def device(seat: Seat) -> Device:
    return seat.device


def top_of_first_row(page: Page) -> float:
    box = page.locator("tr.record").first.bounding_box()
    assert box is not None
    return box["y"]


@pytest.mark.parametrize("seat", [SEATS[0], SEATS[-1]], indirect=True)
def test_rows_are_in_sight(hand: Hand, seat: Seat) -> None:
    page = hand.page
    # What a finger presses is higher.
    more = 45 if seat.device.touch else 0
    sizes = ((1280, 720, 380 + more, 7), (1440, 900, 380 + more, 9), (390, 844, 700, 1))
    for width, height, lowest, least in sizes:
        page.set_viewport_size({"width": width, "height": height})
        page.goto("/records/usage/")
        assert top_of_first_row(page) <= lowest, (width, height)
        rows = page.locator("tr.record")
        seen = sum(
            (box := row.bounding_box()) is not None and box["y"] + box["height"] <= height
            for row in rows.all()
        )
        assert seen >= least, (width, seen)


def test_errors_are_within_one_press(hand: Hand) -> None:
    page = hand.page
    page.goto("/records/usage/")
    hand.press(page.locator("#failed"))
    expect(page).to_have_url(re.compile("errors=each"))
    expect(page.locator("tr.record .status-error").first).to_have_text("429 Rate limit")
    expect(page.locator("tr.record .c-message").first).to_have_text("Too many requests.")
    hand.press(page.locator("#errors-2"))
    expect(page.locator("tr.line")).to_have_count(1)
    expect(page.locator("tr.line .num a")).to_have_text("12")
    hand.press(page.locator("tr.line .num a"))
    expect(page.locator("tr.record")).to_have_count(12)
    hand.press(page.locator("#view-list"))
    expect(page).not_to_have_url(re.compile("errors="))


def test_the_chart_can_be_put_away_and_stays_so(hand: Hand) -> None:
    page = hand.page
    page.goto("/records/usage/")
    expect(page.locator("#chart")).to_be_visible()
    before = top_of_first_row(page)
    hand.press(page.locator("#chart-switch"), middle)
    expect(page.locator("#chart")).to_have_count(0)
    expect(page.locator("#chart-switch")).to_have_attribute("aria-pressed", "false")
    assert top_of_first_row(page) < before - 80
    page.goto("/records/usage/?range=7d")
    expect(page.locator("#chart")).to_have_count(0)
    # Its figures do not go with it.
    expect(page.locator("[data-stat=peak_rpm]")).to_have_count(1)
    hand.press(page.locator("#chart-switch"), middle)
    expect(page.locator("#chart")).to_be_visible()


def test_what_is_opened_comes_into_view_and_into_the_address(hand: Hand) -> None:
    page = hand.page
    page.goto("/records/usage/")
    height = (page.viewport_size or {"height": 0})["height"]
    rows = page.locator("tr.record")
    seen = [row for row in rows.all() if (box := row.bounding_box()) and box["y"] + box["height"] <= height]
    last = seen[-1]
    number = len(seen) - 1
    if last.locator(".toggle").evaluate("(toggle) => toggle.getBoundingClientRect().width") > 100:
        last.locator(".toggle").focus()
        page.keyboard.press("Enter")
    else:
        hand.press(last.locator(".toggle"), middle)
    detail = page.locator("tr.record-detail")
    expect(detail).to_be_visible()
    expect(page).to_have_url(re.compile("#open=[0-9a-f-]{36}$"))
    page.wait_for_function(
        "() => { const { top, bottom } = document.querySelector('tr.record-detail').getBoundingClientRect();"
        " return bottom <= innerHeight + 1 || top < 140; }"
    )
    page.reload()
    expect(page.locator("tr.record-detail")).to_be_visible()
    expect(page.locator("tr.record").nth(number)).to_have_class(re.compile("is-open"))
