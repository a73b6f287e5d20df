"""Looking further back for what no rollup knows, as hands do it: mouse, finger, keyboard, no JavaScript."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from accounts.models import Gateway, User
from logs.selection import lookback
from tests.cast import event, store

pytestmark = pytest.mark.django_db(transaction=True)
COSTLY = "/records/usage/?range=all&cost_min=5"


@pytest.fixture
def records(gateway: Gateway, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty records of which every seventh is costly; ten are looked at."""
    monkeypatch.setattr(lookback, "MOST_RECORDS", 10)
    now = timezone.now() - timedelta(minutes=5)
    store(
        gateway,
        *(
            event(created_at=now - timedelta(minutes=number), cost=Decimal(9 if number % 7 == 0 else 1))
            for number in range(30)
        ),
    )


@pytest.fixture
def alice_page(page: Page, records: None) -> Page:
    page.goto(COSTLY)
    page.locator("input[name=login]").fill("alice@example.com")
    page.locator("input[name=password]").fill("alice-password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#newest-note")).to_contain_text("the newest 10 records")
    return page


@pytest.mark.parametrize("hand", ["mouse", "keyboard"])
def test_what_was_found_stays_and_the_rest_is_said(alice_page: Page, hand: str) -> None:
    rows, link = alice_page.locator("tr.record"), alice_page.get_by_role("link", name="Search further back")
    expect(rows).to_have_count(2)
    for count in (3, 5):
        if hand == "mouse":
            link.scroll_into_view_if_needed()
            box = link.bounding_box()
            assert box is not None
            alice_page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        else:
            link.focus()
            alice_page.keyboard.press("Enter")
        expect(rows).to_have_count(count)
        expect(alice_page.locator("#announce")).to_contain_text("found")
        if count == 3:
            expect(link).to_be_focused()
    expect(link).to_have_count(0)
    expect(alice_page.locator("#further")).to_be_focused()
    expect(alice_page.locator("#further")).to_contain_text("The whole range was searched.")
    # Rows that came later open as the others do.
    rows.last.locator(".toggle").click()
    expect(alice_page.locator("tr.record-detail")).to_have_count(1)
    assert alice_page.url.partition("#")[0].endswith(COSTLY), "what was appended has no address of its own"


def test_a_finger_looks_further_on_a_phone(alice_page: Page, browser: Browser) -> None:
    phone = browser.new_context(
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
        base_url=alice_page.url.split("/records")[0],
        storage_state=alice_page.context.storage_state(),
    )
    page = phone.new_page()
    page.goto(COSTLY)
    link = page.get_by_role("link", name="Search further back")
    link.tap()
    expect(page.locator("tr.record")).to_have_count(3)
    box = link.bounding_box()
    assert box is not None
    assert box["height"] >= 40
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    phone.close()


def test_without_javascript_the_link_leads_to_the_next_page(alice_page: Page, browser: Browser) -> None:
    plain = browser.new_context(
        java_script_enabled=False,
        base_url=alice_page.url.split("/records")[0],
        storage_state=alice_page.context.storage_state(),
    )
    page = plain.new_page()
    page.goto(COSTLY)
    page.get_by_role("link", name="Search further back").click()
    expect(page).to_have_url(re.compile(r"older="))
    expect(page.locator("tr.record")).to_have_count(1)
    expect(page.locator("#newest-note")).to_contain_text("the newest 10 records")
    plain.close()


def test_it_is_accessible(alice_page: Page) -> None:
    results = Axe().run(alice_page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    assert results.violations_count == 0, results.generate_report()
