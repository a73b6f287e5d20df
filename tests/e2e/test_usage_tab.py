"""Usage Logs in a real browser."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Gateway, User
from logs.models import Status
from logs.models.events import Failure
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
                request_id=f"req_{number:032x}",
                created_at=now - timedelta(minutes=number),
                model="claude-sonnet" if number % 4 == 0 else "gpt-5",
                cost=Decimal("0.0012"),
                duration_ms=1500,
            )
            for number in range(130)
        ),
        event(
            request_id="req_failed",
            created_at=now - timedelta(days=40),
            status=Status.ERROR,
            http_status=429,
            error=Failure(type="rate_limit_error", message="Too many requests in this minute."),
        ),
    )


@pytest.fixture
def alice_page(page: Page, records: None) -> Page:
    hands.enter(page, "/records/usage/")
    expect(page.get_by_role("heading", name="Operation Records")).to_be_visible()
    return page


def rows(page: Page) -> list[str]:
    page.wait_for_load_state()  # A page that is still read in has its address, and not all of its rows.
    return [row.get_attribute("title") or "" for row in page.locator("tr.record .id").all()]


def stat(page: Page, name: str) -> str | None:
    return page.locator(f"[data-stat={name}]").get_attribute("data-value")


def test_filter_page_forward_and_back(alice_page: Page) -> None:
    page = alice_page
    assert stat(page, "requests") == "130"
    menus.choose(page, "menu-model", "claude-sonnet")
    expect(page).to_have_url(re.compile(r"/records/usage/\?model=claude-sonnet$"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "33")
    assert len(rows(page)) == 33
    page.locator("a.pill").click()
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "130")

    first = rows(page)
    page.get_by_role("link", name="Older").click()
    expect(page).to_have_url(re.compile(r"\?older="))
    expect(page.get_by_role("link", name="Newer")).to_be_visible()
    second = rows(page)
    assert len(first) == len(second) == 50
    assert not set(first) & set(second)
    page.get_by_role("link", name="Newer").click()
    expect(page.get_by_role("link", name="Newer")).to_have_count(0)
    assert rows(page) == first


def test_the_back_button_returns_to_the_view_before(alice_page: Page) -> None:
    page = alice_page
    page.get_by_role("link", name="Older").click()
    expect(page).to_have_url(re.compile("older="))
    older = rows(page)
    page.get_by_role("link", name="Task Logs", exact=True).click()
    expect(page).to_have_url(re.compile("/records/tasks/$"))
    expect(page).to_have_title(re.compile("Task Logs"))
    expect(page.get_by_role("link", name="Task Logs", exact=True)).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(page).to_have_url(re.compile("older="))
    expect(page).to_have_title(re.compile("Usage Logs"))
    expect(page.locator("tr.record").first).to_be_visible()
    assert rows(page) == older
    page.go_back()
    expect(page).to_have_url(re.compile("/records/usage/$"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "130")


def test_details_open_in_place_and_close_again(alice_page: Page) -> None:
    page = alice_page
    row = page.locator("tr.record").nth(2)
    row.locator(".c-model").click()
    detail = page.locator("tr.record-detail")
    expect(detail).to_contain_text("Duration")
    expect(detail).to_contain_text("1.50 s")
    expect(row.locator(".toggle")).to_have_attribute("aria-expanded", "true")
    row.locator(".toggle").click()
    expect(detail).to_be_hidden()
    expect(page).to_have_url(re.compile("/records/usage/$"))


@pytest.mark.expects_browser_errors("htmx:", "ERR_FAILED", "undefined")
def test_details_that_could_not_be_loaded_are_tried_again_in_place(alice_page: Page) -> None:
    page = alice_page
    page.route("**/records/usage/*-*/**", lambda route: route.abort())
    page.locator("tr.record a.toggle").nth(1).click()
    row = page.locator("tr[data-swap-error]")
    expect(row).to_be_visible()
    page.unroute_all()
    row.get_by_role("button").click()
    expect(row).to_have_count(0)
    expect(page.locator("tr.record.is-open + tr.record-detail")).to_be_visible()
    expect(page.locator("tr.record")).to_have_count(50)
    assert stat(page, "requests") == "130", "the list stands as it was"


def test_an_id_is_found_outside_the_range_and_an_unknown_one_is_explained(alice_page: Page) -> None:
    page = alice_page
    hands.write(page.locator("#search-id"), "req_failed")
    page.keyboard.press("Enter")
    expect(page.locator("tr.record-detail")).to_contain_text("Too many requests in this minute.")
    expect(page).to_have_url(re.compile(r"request_id=req_failed"))
    expect(page.locator("#search-id")).to_be_focused()


@pytest.mark.expects_browser_errors("404")
def test_an_unknown_id_is_explained_in_place(alice_page: Page) -> None:
    page = alice_page
    hands.write(page.locator("#search-id"), "req_unknown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No record with this ID")).to_be_visible()
    page.get_by_role("link", name="Clear the search").first.click()
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "130")


def test_a_custom_range_narrows_list_and_figures(alice_page: Page) -> None:
    page = alice_page
    dates = menus.menu(Mouse(page), "menu-range")
    hands.write_moment(page.get_by_label("From", exact=True), datetime(2020, 1, 1))
    dates.press(dates.submit)
    expect(page).to_have_url(re.compile("start=2020-01-01T00%3A00"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "131")
    expect(dates.summary).to_contain_text("From 2020-01-01")
    dates.open()
    dates.press(dates.links.filter(has_text="Last hour"))
    expect(page).to_have_url(re.compile(r"\?range=1h$"))
    assert int(stat(page, "requests") or 0) < 60


def test_by_keyboard_alone(alice_page: Page) -> None:
    page = alice_page
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr.record").nth(1).locator(".toggle")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("tr.record-detail")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("tr.record-detail")).to_be_hidden()
    page.keyboard.press("k")
    expect(page.locator("tr.record").nth(0).locator(".toggle")).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("req_failed")
    page.keyboard.press("Enter")
    expect(page.locator("tr.record-detail")).to_contain_text("Too many requests")


def test_a_question_mark_shows_the_keys(alice_page: Page) -> None:
    page = alice_page
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


def test_at_390_px_nothing_overflows_and_everything_works(alice_page: Page) -> None:
    page = alice_page
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    menus.choose(page, "menu-status", "Success")
    expect(page).to_have_url(re.compile("status=success"))
    page.locator("tr.record").first.click()
    expect(page.locator("tr.record-detail")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_javascript_links_and_forms_do_the_same(alice_page: Page) -> None:
    cookies = alice_page.context.cookies()
    base = alice_page.url.split("/records")[0]
    browser = alice_page.context.browser
    assert browser is not None
    context = browser.new_context(java_script_enabled=False, base_url=base)
    context.add_cookies(cookies)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto("/records/usage/")
    page.get_by_role("link", name="Older").click()
    expect(page).to_have_url(re.compile("older="))
    menus.choose(page, "menu-model", "claude-sonnet")
    expect(page).to_have_url(re.compile("model=claude-sonnet"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "33")
    page.locator("tr.record .toggle").first.click()
    expect(page.get_by_role("heading", name="Identifiers")).to_be_visible()
    page.get_by_role("link", name="Usage Logs", exact=True).first.click()
    hands.write(page.locator("#search-id"), "req_failed")
    page.keyboard.press("Enter")
    expect(page.locator("tr.record-detail")).to_contain_text("Too many requests")
    context.close()
