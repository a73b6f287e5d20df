"""Compare, "why can I not find it" and saved views in a real browser, with and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Gateway, User
from logs.models import Status
from tests.cast import event, store
from tests.e2e import hands, menus
from tests.e2e.hands import Mouse

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def records(gateway: Gateway, alice: User) -> None:
    now = timezone.now() - timedelta(minutes=5)
    store(
        gateway,
        *(
            event(
                created_at=now - timedelta(minutes=number),
                model="claude-sonnet" if number % 4 == 0 else "gpt-5",
                cost=Decimal("0.01") if number % 4 == 0 else Decimal("0.0012"),
            )
            for number in range(40)
        ),
        event(request_id="req_of_last_week", created_at=now - timedelta(days=8), model="gpt-5", group="vip"),
        event(
            created_at=now - timedelta(days=9), model="claude-sonnet", status=Status.ERROR, http_status=429
        ),
    )


@pytest.fixture
def alice_page(page: Page, records: None) -> Page:
    hands.enter(page, "/records/usage/")
    expect(page.get_by_role("heading", name="Operation Records")).to_be_visible()
    return page


@pytest.fixture
def plain_page(alice_page: Page) -> Iterator[Page]:
    """A page of the same person in a browser without JavaScript."""
    browser = alice_page.context.browser
    assert browser is not None
    context: BrowserContext = browser.new_context(
        java_script_enabled=False, base_url=alice_page.url.split("/records")[0]
    )
    context.set_default_timeout(60_000)
    context.add_cookies(alice_page.context.cookies())  # type: ignore[arg-type]
    page = context.new_page()
    page.goto("/records/usage/")
    yield page
    context.close()


def lines(page: Page) -> list[str | None]:
    page.wait_for_load_state()  # A page that is still read in has its address, and not all of its lines.
    return [line.get_attribute("data-line") for line in page.locator("tr.line[data-line]").all()]


def compare_and_narrow(page: Page) -> None:
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?compare=model$"))
    expect(page.locator("table.compare")).to_be_visible()
    assert lines(page) == ["claude-sonnet", "gpt-5"]
    page.get_by_role("columnheader", name="Requests").get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"compare=model&sort=-requests$"))
    expect(page.get_by_role("columnheader", name="Requests")).to_have_attribute("aria-sort", "descending")
    assert lines(page) == ["gpt-5", "claude-sonnet"]
    total = page.locator("tr[data-total]").get_attribute("data-requests")
    assert total == page.locator("[data-stat=requests]").get_attribute("data-value") == "40"
    page.get_by_role("link", name="Token", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?compare=token$"))
    page.get_by_role("link", name="Model", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?compare=model$"))
    page.locator("table.compare").get_by_role("link", name="claude-sonnet").click()
    expect(page).to_have_url(re.compile(r"\?model=claude-sonnet$"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "10")
    expect(page.locator("tr.record")).to_have_count(10)


def find_what_is_hidden(page: Page) -> None:
    page.goto("/records/usage/?group=vip")
    expect(page.locator("li[data-reason=range]")).to_contain_text("1 record outside the date range")
    page.get_by_role("link", name="Show that day").click()
    expect(page.locator("tr.record .id")).to_have_attribute("title", "req_of_last_week")
    page.goto("/records/usage/?model=claude-sonnet&status=error")
    page.locator("li[data-reason=filter]", has_text="Status").get_by_role("link", name="Remove it").click()
    expect(page.locator("tr.record")).to_have_count(10)


def save_and_use_a_view(page: Page) -> None:
    page.goto("/records/usage/?range=30d&status=error")
    views = menus.menu(Mouse(page), "saved-views")
    hands.write(page.get_by_label("Name this view"), "Failures")
    views.press(views.submit)
    expect(page.get_by_text("View “Failures” saved.")).to_be_visible()
    page.goto("/records/usage/")
    views.open()
    views.press(views.links.filter(has_text="Failures"))
    expect(page).to_have_url(re.compile(r"range=30d&status=error$"))
    expect(page.locator("tr.record")).to_have_count(1)
    views.open()
    hands.write(page.get_by_label("View name"), "Errors")
    views.press(views.submit.filter(has_text="Rename"))
    expect(page.get_by_text("View renamed to “Errors”.")).to_be_visible()
    views.open()
    views.press(views.panel.locator("#delete-view > summary"))
    expect(page.get_by_text("“Errors” will be removed from your saved views.")).to_be_visible()
    views.press(views.submit.filter(has_text="Delete"))
    expect(page.get_by_text("View “Errors” deleted.")).to_be_visible()


def test_compare_sort_and_narrow(alice_page: Page) -> None:
    compare_and_narrow(alice_page)
    alice_page.go_back()
    expect(alice_page.locator("table.compare")).to_be_visible()


def test_compare_sort_and_narrow_without_javascript(plain_page: Page) -> None:
    compare_and_narrow(plain_page)


def test_filters_change_under_a_comparison(alice_page: Page) -> None:
    page = alice_page
    page.goto("/records/usage/?compare=model&sort=name")
    menus.choose(page, "menu-model", "gpt-5")
    expect(page).to_have_url(re.compile(r"model=gpt-5&compare=model&sort=name$"))
    expect(page.locator("tr.line[data-line]")).to_have_count(1)
    page.get_by_role("link", name="Reset").click()
    expect(page.locator("tr.line[data-line]")).to_have_count(2)


def test_reasons_mend_what_they_name(alice_page: Page) -> None:
    find_what_is_hidden(alice_page)


def test_reasons_mend_what_they_name_without_javascript(plain_page: Page) -> None:
    find_what_is_hidden(plain_page)


def test_views_are_saved_opened_renamed_and_deleted(alice_page: Page) -> None:
    save_and_use_a_view(alice_page)


def test_what_was_said_goes_with_the_page_it_was_about(alice_page: Page) -> None:
    page = alice_page
    page.goto("/records/usage/?status=error&range=30d")
    menus.menu(Mouse(page), "saved-views")
    hands.write(page.get_by_label("Name this view"), "Failures")
    page.keyboard.press("Enter")
    expect(page.get_by_text("View “Failures” saved.")).to_be_visible()
    page.get_by_role("link", name="Reset").click()
    expect(page.locator("tr.record")).to_have_count(40)
    expect(page.get_by_text("View “Failures” saved.")).to_have_count(0)


def test_views_are_saved_opened_renamed_and_deleted_without_javascript(plain_page: Page) -> None:
    save_and_use_a_view(plain_page)


@pytest.mark.expects_browser_errors("404")
def test_a_pasted_key_is_not_left_in_the_address_bar(alice_page: Page) -> None:
    page = alice_page
    hands.write(page.locator("#search-id"), "sk-proj-abcdefghijklmnopqrstuvwx1234")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="This is an API key")).to_be_visible()
    expect(page.locator("#search-id")).to_have_value("sk-…1234")
    assert "abcdefgh" not in page.url
    assert "abcdefgh" not in page.content()


@pytest.mark.expects_browser_errors("404")
@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_every_state_meets_wcag_and_fits(alice_page: Page, scheme: str, width: int) -> None:
    page = alice_page
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for query in (
        "?range=30d&compare=model",
        "?range=30d&compare=day",
        "?group=vip&status=error",
        "?request_id=req_none",
    ):
        page.goto(f"/records/usage/{query}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, query
        menu = page.locator("#saved-views > summary")
        if menu.count():
            menu.click()
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
        assert not found.response["violations"], (query, found.generate_report())
