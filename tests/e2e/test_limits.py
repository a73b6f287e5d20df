"""Am I near my limits? By mouse, finger and keyboard: the tokens, one token's page, and the ways to it."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from accounts.models import ApiToken
from tests.conftest import Device
from tests.e2e.conftest import SEATS, Seat
from tests.e2e.hands import Hand, Mouse, middle
from tests.test_shell import faults

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def device(seat: Seat) -> Device:
    return seat.device


@pytest.mark.parametrize("seat", [SEATS[0], SEATS[1], SEATS[-1]], indirect=True)
def test_from_the_tokens_to_the_calls_that_crossed(hand: Hand) -> None:
    page = hand.page
    ApiToken.objects.filter(name="prod").update(rpm_limit=0, tpm_limit=100_000)
    page.goto("/tokens/")
    assert faults(page) == []
    row = page.locator("tr[data-token=prod]")
    expect(row.locator(".gauge").first).to_have_class(re.compile("gauge-over"))
    hand.press(row.get_by_role("link", name="prod"))
    expect(page.get_by_role("heading", name="Token prod against its limits")).to_be_visible()
    hand.press(page.locator("#menu-range summary"))
    hand.press(page.get_by_role("link", name="Last 7 days"))
    expect(page).to_have_url(re.compile("token=prod&range=7d"))
    assert faults(page) == []
    expect(page.locator(".over-marks")).to_have_count(1)
    # From a minute over the limit to its calls, and from a refused one back, over the time around it.
    hand.press(page.locator("[data-minute] a").first)
    expect(page.locator("tr.record")).to_have_count(1)
    page.go_back()
    hand.press(page.get_by_role("link", name="List the refused calls"))
    expect(page.locator("tr.record .status-error").first).to_have_text("429 Rate limit")
    hand.press(page.locator("tr.record .toggle").first, middle)
    hand.press(page.locator(".verdict-next").get_by_role("link", name="Limits of prod"))
    expect(page.get_by_role("heading", name="Token prod against its limits")).to_be_visible()
    expect(page).to_have_url(re.compile("start=.*end="))


@pytest.mark.parametrize("seat", SEATS[:1], indirect=True)
def test_a_stretch_of_its_chart_narrows_the_page(hand: Mouse) -> None:
    page = hand.page
    page.goto("/records/usage/limits/?token=prod&range=1h")
    box = page.locator(".chart-plot").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 30)
    page.mouse.up()
    page.wait_for_url(re.compile("start="))
    asked = parse_qs(urlsplit(page.url).query)
    assert asked["token"] == ["prod"]
    assert {"start", "end"} <= set(asked)
    expect(page.get_by_role("heading", name="Token prod against its limits")).to_be_visible()
