"""Between the parts: what is read stays, menus count, deletions ask, and what is pressed is large enough."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from accounts.models import Gateway, User
from logs.models import ContentPolicy, Level, UsageRecord
from tests import task_cast
from tests.cast import event, just_now, store
from tests.conftest import Device
from tests.e2e import hands
from tests.e2e.conftest import SEATS, Seat
from tests.e2e.hands import Finger, Hand, Keyboard, Mouse
from tests.e2e.menus import menu, menus
from tests.test_shell import faults

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

HANDS = [SEATS[0], SEATS[1], SEATS[4]]
"""A mouse, a keyboard, and a finger on a phone."""


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Device:
    if "seat" not in request.fixturenames:
        return Device()
    seat: Seat = request.getfixturevalue("seat")
    return seat.device


# --- Live ------------------------------------------------------------------------------------------------


def arrive(gateway: Gateway, name: str) -> None:
    store(gateway, event(request_id=name, created_at=just_now()))


def first_id(page: Page) -> Locator:
    return page.locator("tr.record td.id").first


def test_live_never_moves_what_is_read(page: Page, gateway: Gateway, alice: User) -> None:
    now = timezone.now() - timedelta(minutes=5)
    store(gateway, *(event(created_at=now - timedelta(seconds=n)) for n in range(40)))
    hands.enter(page, "/records/usage/?live=on")
    news = page.locator("#news-show")
    waiting: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "scrolled": (lambda: page.mouse.wheel(0, 300), lambda: page.mouse.wheel(0, -1000)),
        "focused": (
            lambda: page.keyboard.press("j"),
            lambda: page.evaluate("document.activeElement.blur()"),
        ),
        "selected": (
            lambda: page.evaluate("getSelection().selectAllChildren(document.querySelector('td.c-time'))"),
            lambda: page.evaluate("getSelection().removeAllRanges()"),
        ),
    }
    for name, (begin, end) in waiting.items():
        begin()
        arrive(gateway, name)
        expect(news, name).to_have_text("1 new record")
        expect(first_id(page)).not_to_have_attribute("title", name)
        end()
        # Nobody reads any more: what waited comes in by itself.
        expect(first_id(page)).to_have_attribute("title", name)
        expect(news).to_have_count(0)


# --- Menus -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seat", HANDS, indirect=True)
def test_a_menu_counts_its_values_and_offers_one_of_them_or_all(hand: Hand) -> None:
    page = hand.page
    page.goto("/records/usage/?token=prod&token=staging")
    opened = menu(hand, "menu-token")
    labels = opened.options
    expect(labels.first).to_have_attribute("data-count", "20")
    expect(opened.option("a-token-whose-name-is-rather-long-for-a-menu")).to_have_attribute(
        "data-count", "20"
    )
    # What is chosen stands first.
    assert [label.inner_text().strip() for label in labels.all()][:2] == ["prod", "staging"]
    opened.press(only(hand, opened.option("staging")))
    expect(page).to_have_url(re.compile(r"\?token=staging$"))
    opened.open()
    expect(labels.first.locator("input")).to_be_checked()
    expect(labels.first).to_contain_text("staging")
    button = only(hand, opened.option("staging"))
    expect(button).to_have_text("all")
    opened.press(button)
    expect(page).to_have_url(re.compile("/records/usage/$"))
    expect(page.locator("tr.record")).to_have_count(50)
    page.goto("/records/usage/?model=gpt-5&status=error")
    opened = menu(hand, "menu-model")
    # Under the other filters: of every fifth call, every second.
    expect(opened.option("gpt-5")).to_have_attribute("data-count", "6")
    hand.press(opened.panel.locator(".menu-foot a"))
    expect(page).to_have_url(re.compile(r"\?status=error$"))


@pytest.mark.parametrize("seat", HANDS, indirect=True)
def test_tasks_are_chosen_by_cause_and_counted(hand: Hand, alice: User, gateway: Gateway) -> None:
    page = hand.page
    for cause in ("balance", "balance", "rate_limit"):
        task_cast.a_task(alice, gateway, status="failed", cause=cause, platform="suno")
    page.goto("/records/tasks/?platform=suno")
    opened = menu(hand, "menu-cause")
    expect(opened.option("Balance")).to_have_attribute("data-count", "2")
    expect(opened.option("Timeout")).to_have_attribute("data-count", "0")
    opened.press(only(hand, opened.option("Balance")))
    expect(page).to_have_url(re.compile(r"platform=suno&cause=balance$|cause=balance&platform=suno$"))
    expect(page.locator("tr.record")).to_have_count(2)
    expect(page.locator(".pill").filter(has_text="Cause: Balance")).to_be_visible()
    hand.press(page.locator(".pill").filter(has_text="Cause"))
    expect(page.locator("tr.record")).to_have_count(3)
    if isinstance(hand, Finger):
        # On a phone the whole of a row opens its details.
        return
    hand.press(page.locator("tr.record .c-status a").filter(has_text="Rate limit"))
    expect(page).to_have_url(re.compile("cause=rate_limit"))
    expect(page.locator("tr.record")).to_have_count(1)


def only(hand: Hand, option: Locator) -> Locator:
    button = option.locator("xpath=following-sibling::button[1]")
    if isinstance(hand, Mouse):
        option.hover()
    elif isinstance(hand, Keyboard):
        hands.tab_to(option.locator("input"))
    return button


@pytest.mark.parametrize("seat", SEATS[:1], indirect=True)
def test_every_menu_fits_a_low_window(hand: Hand) -> None:
    page = hand.page
    for width, height in ((1440, 900), (1280, 480), (900, 600)):
        page.set_viewport_size({"width": width, "height": height})
        page.goto("/records/usage/")
        for one in menus(hand):
            one.open()
            box = one.panel.bounding_box()
            assert box is not None
            assert box["y"] >= 0 and box["x"] + box["width"] <= width, (one, width)
            if not one.in_sheet_shown():
                assert box["y"] + box["height"] <= height, (one, width, height)
            page.keyboard.press("Escape")


# --- What is not undone ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seat", HANDS, indirect=True)
def test_a_saved_view_is_deleted_once_that_is_confirmed(hand: Hand) -> None:
    page = hand.page
    page.goto("/records/usage/?range=30d&status=error")
    opened = menu(hand, "saved-views")
    question = page.get_by_text("“Failures” will be removed from your saved views.")
    expect(question).to_be_hidden()
    hand.press(opened.panel.locator("#delete-view > summary"))
    expect(question).to_be_visible()
    hand.press(opened.panel.locator("#delete-view button"))
    expect(page.get_by_text("View “Failures” deleted.")).to_be_visible()


# --- What is read ----------------------------------------------------------------------------------------


def test_markdown_is_formatted_or_as_it_was_written(page: Page, gateway: Gateway, alice: User) -> None:
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    said = '{"messages": [{"role": "user", "content": "## Why\\n**Because** of `this`"}]}'
    store(gateway, event(request_id="req_md", created_at=just_now(), input=said.encode()))
    hands.enter(page, f"/records/usage/{UsageRecord.objects.get().pk}/")
    expect(page.locator(".turn-formatted strong")).to_have_text("Because")
    expect(page.locator(".turn-written")).to_be_hidden()
    hands.Mouse(page).press(page.get_by_text("As written"))
    expect(page.locator(".turn-written")).to_contain_text("**Because** of `this`")
    expect(page.locator(".turn-formatted")).to_be_hidden()


@pytest.mark.parametrize("seat", SEATS[:1], indirect=True)
def test_a_keyboard_skips_to_the_records(hand: Hand) -> None:
    page = hand.page
    for path in (
        "/records/usage/",
        "/records/usage/?compare=model",
        "/records/usage/?model=none",
        "/records/tasks/",
    ):
        page.goto(path)
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to records")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#records")).to_be_focused()


# --- The first run -----------------------------------------------------------------------------------------


def test_the_first_steps_tick_themselves_off(page: Page, alice: User) -> None:
    hands.enter(page, "/records/usage/")
    looks: list[tuple[Literal["light", "dark"], int]] = [("light", 1440), ("dark", 390), ("light", 320)]
    for scheme, width in looks:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        page.goto("/records/usage/")
        assert faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    done = page.locator(".step.is-done")
    expect(done).to_have_count(0)
    gateway = Gateway.objects.create(name="edge")
    expect(done).to_have_count(1)
    arrive(gateway, "req_first")
    expect(done).to_have_count(4)
    expect(page.locator("#first-steps[hx-trigger]")).to_have_count(0)
    hands.Mouse(page).press(page.get_by_role("link", name="Show your records"))
    expect(first_id(page)).to_have_attribute("title", "req_first")


# --- How large what is pressed is ------------------------------------------------------------------------

SMALL = """
(least) => {
  // In running text the line is what is pressed (WCAG 2.2, 2.5.8).
  const within = (box) => {
    const text = getComputedStyle(box).display === "inline" && box.closest("p, dd, li, td, th");
    return text && text.textContent.trim().length > box.textContent.trim().length;
  };
  const found = [];
  for (const box of document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select")) {
    if (!box.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })) continue;
    if (box.closest(".visually-hidden, .skip-link") || within(box)) continue;
    const target = box.closest("label") ?? box;
    const { width, height } = target.getBoundingClientRect();
    if (width && height && (width < least || height < least)) {
      found.push(`${Math.round(width)}x${Math.round(height)} ${box.outerHTML.slice(0, 120)}`);
    }
  }
  return found;
}
"""
PAGES = (
    "/records/usage/",
    "/records/usage/?range=7d&status=error&token=prod",
    "/records/usage/?range=7d&compare=model",
    "/records/usage/?errors=each",
    "/records/usage/?errors=gathered",
    "/records/usage/?model=none",
    "/records/tasks/",
    "/tokens/",
    "/exports/",
    "/exports/new/?source=usage",
    "/learn/",
    "/learn/consumption/",
    "/profile/",
    "/profile/access-tokens/",
    "/profile/read-api/",
    "/accounts/2fa/",
    "/nowhere/",
)


@pytest.mark.expects_browser_errors("404")
@pytest.mark.parametrize("seat", [SEATS[0], SEATS[4]], indirect=True)
def test_whatever_is_pressed_is_large_enough(hand: Hand, seat: Seat) -> None:
    page = hand.page
    small: dict[str, list[str]] = {}
    record = UsageRecord.objects.filter(http_status=429).earliest("id")
    for path in (*PAGES, f"/records/usage/{record.pk}/", "/records/usage/limits/?token=prod"):
        page.goto(path)
        if found := page.evaluate(SMALL, 24):
            small[path] = found
    assert small == {}, json.dumps(small, indent=1)
