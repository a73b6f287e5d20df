"""A menu in use: what closes it and what does not, and an answer that comes while it is open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, Route, expect

from tests.conftest import Device
from tests.e2e import hands
from tests.e2e.conftest import Seat
from tests.e2e.hands import Finger, Hand, Mouse, words
from tests.e2e.menus import SHEET, Menu, menu

pytestmark = pytest.mark.django_db(transaction=True)

USAGE = "/records/usage/"
DESK = Seat(Device(1280, 720), Mouse)
TABLET = Seat(Device(1024, 768, touch=True), Finger)
PHONE = Seat(Device(390, 844, touch=True), Finger)
NARROW = Seat(Device(390, 844), Mouse)
by_all = pytest.mark.parametrize(
    "seat", [DESK, TABLET, PHONE, NARROW], ids=["desk", "tablet", "phone", "narrow"]
)
by_mouse = pytest.mark.parametrize("seat", [DESK, NARROW], ids=["desk", "narrow"])
at_desk = pytest.mark.parametrize("seat", [DESK], ids=["desk"])
on_phone = pytest.mark.parametrize("seat", [PHONE], ids=["phone"])


@pytest.fixture
def device(seat: Seat) -> Device:
    return seat.device


@pytest.fixture
def usage(hand: Hand) -> Hand:
    """A hand at the usage records of the last day."""
    hand.page.goto(USAGE)
    return hand


def elsewhere(opened: Menu) -> Locator:
    """Return words outside of a menu, where a press does nothing else: on a phone those of the sheet."""
    page = opened.page
    return page.locator(f"{SHEET} h2" if opened.in_sheet_shown() else "h1")


def plain_text(opened: Menu) -> Locator:
    """Return words in a menu that are no choice: what it says where nothing has the name that was typed."""
    hand = opened.hand
    hand.fill(opened.panel.locator(".menu-search"), "no such name")
    said = opened.panel.locator(".menu-none")
    expect(said).to_be_visible()
    return said


@contextmanager
def answers_held(page: Page) -> Iterator[list[Route]]:
    """Hold back what the server would answer about the panel; `let_go` lets the last of it through."""
    held: list[Route] = []
    page.route("**/results/**", lambda route: held.append(route))
    yield held
    page.unroute("**/results/**")


def ask(opened: Menu, held: list[Route]) -> None:
    """Apply what is chosen in a menu, without an answer so far."""
    before = len(held)
    with opened.page.expect_request("**/results/**"):
        opened.press(opened.submit)
    opened.page.wait_for_function("document.querySelector('#panel[aria-busy]')")
    assert len(held) == before + 1


def let_go(page: Page, held: list[Route], address: str) -> None:
    held.pop().continue_()
    expect(page).to_have_url(re.compile(address))
    expect(page.locator("#panel.htmx-settling, #panel[aria-busy]")).to_have_count(0)


# --- What closes a menu ----------------------------------------------------------------------------------


@by_all
def test_a_press_elsewhere_closes_it_and_one_on_its_own_words_does_not(usage: Hand) -> None:
    opened = menu(usage, "menu-token")
    opened.press(plain_text(opened))
    opened.expect_open()
    usage.press(elsewhere(opened), meanwhile=opened.expect_open)
    opened.expect_closed()


@by_all
def test_a_press_on_another_menu_opens_that_one(usage: Hand) -> None:
    first = menu(usage, "menu-token")
    second = Menu(usage, "menu-status")
    # What one presses must not move away under the press.
    usage.press(second.summary, meanwhile=first.expect_open)
    second.expect_open()
    first.expect_closed()
    second.press(second.option("Error"))
    expect(second.option("Error").locator("input")).to_be_checked()


@by_all
def test_escape_closes_it_after_a_press_on_plain_text(usage: Hand) -> None:
    opened = menu(usage, "menu-model")
    opened.press(plain_text(opened))
    usage.page.keyboard.press("Escape")
    opened.expect_closed()
    expect(opened.summary).to_be_focused()


@by_mouse
def test_escape_in_mid_press_closes_it_and_chooses_nothing(usage: Hand) -> None:
    opened = menu(usage, "menu-status")

    def escape() -> None:
        usage.page.keyboard.press("Escape")
        opened.expect_closed()

    usage.press(opened.option("Error"), meanwhile=escape)
    opened.open()
    expect(opened.option("Error").locator("input")).not_to_be_checked()


@at_desk
@pytest.mark.parametrize("back", [False, True])
def test_tab_walks_out_of_it_and_closes_it(usage: Hand, back: bool) -> None:
    opened = menu(usage, "menu-token")
    neighbour = Menu(usage, "menu-range" if back else "menu-model")
    hands.tab_to(neighbour.summary, back)
    opened.expect_closed()


@by_mouse
def test_text_is_selected_from_inside_to_outside(usage: Hand) -> None:
    opened = menu(usage, "menu-token")
    page = usage.page
    page.mouse.move(*words(plain_text(opened)))
    page.mouse.down()
    page.mouse.move(*words(elsewhere(opened)), steps=5)
    page.mouse.up()
    opened.expect_open()
    assert page.evaluate("getSelection().toString().trim()")


@by_mouse
def test_a_press_that_is_drawn_away_from_an_option_chooses_nothing(usage: Hand) -> None:
    opened = menu(usage, "menu-status")
    option = opened.option("Error")
    usage.press(option, meanwhile=lambda: usage.page.mouse.move(*words(elsewhere(opened)), steps=5))
    opened.expect_open()
    expect(option.locator("input")).not_to_be_checked()


@by_mouse
def test_a_double_press_and_the_other_button_leave_it_as_it_is(usage: Hand) -> None:
    opened = menu(usage, "menu-status")
    option = opened.option("Error")
    usage.page.mouse.dblclick(*words(option))
    expect(option.locator("input")).not_to_be_checked()
    usage.page.mouse.click(*words(option), button="right")
    opened.expect_open()
    # The browser's own menu has kept the release to itself.
    usage.page.keyboard.press("Escape")
    opened.expect_closed()


@at_desk
def test_it_stays_in_a_window_that_becomes_smaller(usage: Hand) -> None:
    opened = menu(usage, "menu-cause")
    # Less than this, and the menus are in the sheet.
    usage.page.set_viewport_size({"width": 1240, "height": 720})
    box = opened.panel.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 1240


@by_all
def test_dates_are_typed_and_entered(usage: Hand) -> None:
    opened = menu(usage, "menu-range")
    now = timezone.now()  # Twenty minutes lie between two moments of one reading of the clock, not of two.
    start, end = (opened.panel.locator(f"[name={name}]") for name in ("start", "end"))
    opened.press(opened.panel.locator("label", has_text="From"))
    expect(start).to_be_focused()
    hands.write_moment(start, now - timedelta(minutes=40))
    opened.press(opened.panel.locator("label", has_text="Until"))
    expect(end).to_be_focused()
    hands.write_moment(end, now - timedelta(minutes=20))
    usage.page.keyboard.press("Enter")
    expect(usage.page).to_have_url(re.compile(r"\?start=[^&]+&end=[^&]+$"))
    expect(usage.page.locator("tr.record")).to_have_count(20)


# --- An answer that comes while a menu is open -----------------------------------------------------------


@by_all
def test_a_choice_made_while_an_answer_is_on_its_way_is_kept(usage: Hand) -> None:
    page = usage.page
    token = menu(usage, "menu-token")
    token.press(token.option("prod"))
    with answers_held(page) as held:
        ask(token, held)
        token.expect_closed()
        model = menu(usage, "menu-model")
        model.press(model.option("gpt-5"))
        let_go(page, held, r"\?token=prod$")
    model.expect_open()
    expect(model.option("gpt-5").locator("input")).to_be_checked()
    expect(model.option("gpt-5").locator("input")).to_be_focused()
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "20")
    model.press(model.submit)
    expect(page).to_have_url(re.compile(r"\?token=prod&model=gpt-5$"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "10")


@by_all
def test_a_press_that_is_down_when_the_answer_comes_still_chooses(usage: Hand) -> None:
    page = usage.page
    token = menu(usage, "menu-token")
    token.press(token.option("prod"))
    with answers_held(page) as held:
        ask(token, held)
        model = menu(usage, "menu-model")
        option = model.option("gpt-5")
        usage.press(option, meanwhile=lambda: let_go(page, held, r"\?token=prod$"))
    model.expect_open()
    expect(option.locator("input")).to_be_checked()


@by_all
@pytest.mark.expects_browser_errors(
    "htmx:(sendAbort|afterRequest)"
)  # htmx tells of what it is asked to drop.
def test_a_second_choice_does_not_wait_for_the_first_ones_answer(usage: Hand) -> None:
    page = usage.page
    token = menu(usage, "menu-token")
    token.press(token.option("prod"))
    with answers_held(page) as held:
        ask(token, held)
        model = menu(usage, "menu-model")
        model.press(model.option("gpt-5"))
        ask(model, held)
        let_go(page, held, r"\?token=prod&model=gpt-5$")
    model.expect_closed()
    model.expect_focus_back()
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "10")


@by_mouse
def test_what_is_typed_while_an_answer_is_on_its_way_is_kept(usage: Hand) -> None:
    page = usage.page
    token = menu(usage, "menu-token")
    token.press(token.option("prod"))
    with answers_held(page) as held:
        ask(token, held)
        page.mouse.click(*hands.middle(page.locator("#search-id")))
        page.keyboard.type("req_00")
        page.keyboard.press("ArrowLeft")
        let_go(page, held, r"\?token=prod$")
    page.keyboard.type("1")
    expect(page.locator("#search-id")).to_have_value("req_010")


@by_mouse
def test_the_place_in_a_list_and_what_was_sought_in_it_are_kept(usage: Hand) -> None:
    page = usage.page
    status = menu(usage, "menu-status")
    status.press(status.option("Error"))
    with answers_held(page) as held:
        ask(status, held)
        model = menu(usage, "menu-model")
        search = model.panel.locator(".menu-search")
        hands.write(search, "claude")
        expect(model.option("gpt-5")).to_be_hidden()
        let_go(page, held, r"\?status=error$")
    expect(search).to_be_focused()
    expect(search).to_have_value("claude")
    expect(model.option("gpt-5")).to_be_hidden()
    expect(model.option("claude-sonnet")).to_be_visible()


@on_phone
@pytest.mark.expects_browser_errors("ERR_", "htmx:(sendError|afterRequest)")
def test_an_answer_that_does_not_come_is_said_where_it_is_seen(usage: Hand) -> None:
    page = usage.page
    status = menu(usage, "menu-status")
    status.press(status.option("Error"))
    page.route("**/results/**", lambda route: route.abort("connectionrefused"))
    status.press(status.submit)
    failed = page.locator(".results > .swap-error")
    expect(failed).to_contain_text("could not be reached")
    page.unroute_all()
    usage.press(failed.get_by_role("button", name="Retry"))
    expect(page).to_have_url(re.compile(r"\?status=error$"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "12")


@by_mouse
def test_reset_drops_what_was_ticked_and_not_applied(usage: Hand) -> None:
    page = usage.page
    page.goto(f"{USAGE}?token=prod")
    model = menu(usage, "menu-model")
    model.press(model.option("gpt-5"))
    page.keyboard.press("Escape")
    if model.in_sheet_shown():
        page.keyboard.press("Escape")
    usage.press(page.locator("#reset"))
    expect(page).to_have_url(re.compile(f"{USAGE}$"))
    expect(model.option("gpt-5").locator("input")).not_to_be_checked()
