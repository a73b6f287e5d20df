"""Every menu of every page, by mouse, by finger and by keyboard, in three windows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Response, expect

from tests.conftest import Device
from tests.e2e import hands
from tests.e2e.conftest import Seat
from tests.e2e.hands import Finger, Hand, Keyboard, Mouse
from tests.e2e.menus import Menu, menus

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

FILTERS = {"menu-range", "menu-token", "menu-model", "menu-status"}
PAGES = {
    "/records/usage/": FILTERS | {"menu-group", "menu-cause", "menu-more", "menu-columns", "saved-views"},
    "/records/usage/?range=7d&compare=token": FILTERS
    | {"menu-group", "menu-cause", "menu-more", "saved-views"},
    "/records/usage/?range=30d&status=error": FILTERS | {"menu-columns", "saved-views"},
    "/records/tasks/": FILTERS | {"menu-type", "menu-cause", "menu-platform", "saved-views"},
    "/profile/": set(),
}
"""Where menus stand, and which are there at least: that none is walked past."""

TABS = ("/records/usage/", "/records/tasks/")
"""The lists that follow the menus over them. A comparison is looked at in its own tests."""
THROUGHOUT = {(Mouse, 1440), (Finger, 390)}
"""From here every place is walked, from the other seats the first: what stands on the others is the same."""

FINGER = 40
"""The least height of what a finger presses, in CSS pixels."""


@pytest.fixture
def device(seat: Seat) -> Device:
    return seat.device


def found(hand: Hand, seat: Seat, places: Iterable[str] = PAGES) -> Iterator[tuple[str, Menu]]:
    """Walk over every menu of the places, each shown anew."""
    throughout = (seat.hand, seat.device.width) in THROUGHOUT
    for place in list(places)[: None if throughout else 1]:
        least = PAGES[place]
        hand.page.goto(place)
        there = menus(hand)
        narrow = hand.page.locator(".topbar").is_visible()
        assert least | ({"menu-console"} if narrow else set()) <= {menu.name for menu in there}, place
        for menu in there:
            yield place, menu


def ends(boxes: Locator) -> list[Locator]:
    """Return the first and the last of several alike."""
    return [boxes.first, boxes.last][: boxes.count()]


# --- What is in a menu -----------------------------------------------------------------------------------


def test_every_menu_takes_what_a_hand_does_in_it(hand: Hand, seat: Seat) -> None:
    for _place, menu in found(hand, seat):
        menu.open()
        _fits(menu)
        for option in ends(menu.options):
            _ticks(menu, option)
        for field in menu.panel.locator("label.field").all():
            menu.press(field)
            expect(field.locator("input, select")).to_be_focused()
            menu.expect_open()
        if not isinstance(hand, Keyboard):
            for words in menu.panel.locator("p:visible, .person-name").all():
                menu.press(words)
                menu.expect_open()
        hand.page.keyboard.press("Escape")
        menu.expect_closed()
        expect(menu.summary).to_be_focused()


def _ticks(menu: Menu, option: Locator) -> None:
    box = option.locator("input")
    ticked = box.is_checked()
    # One of several stays chosen however often it is pressed.
    is_one_of_several = box.get_attribute("type") == "radio"
    menu.press(option)
    expect(box).to_be_checked(checked=is_one_of_several or not ticked)
    expect(box).to_be_focused()
    menu.expect_open()
    # The whole line is what one presses, beside its words too.
    menu.hand.press(option, hands.end)
    expect(box).to_be_checked(checked=is_one_of_several or ticked)
    menu.expect_open()


def _fits(menu: Menu) -> None:
    """The menu lies in the window, and what a finger presses in it is large enough."""
    window, body = menu.page.viewport_size, menu.page.locator("body").bounding_box()
    box = menu.panel.bounding_box()
    assert window and body and box
    # The body ends where the scroll bar's place begins.
    assert box["x"] >= 0 and box["x"] + box["width"] <= body["width"], menu
    assert menu.page.evaluate("document.documentElement.scrollWidth") <= window["width"], menu
    if menu.panel.locator("xpath=ancestor::form[@id='filters']").count() and not menu.in_sheet_shown():
        assert box["y"] + box["height"] <= window["height"], menu
    if isinstance(menu.hand, Finger):
        kinds = ".option, a, button, input:not([type=checkbox], [type=radio]), select"
        for pressed in menu.panel.locator(kinds).all():
            size = pressed.bounding_box()
            assert size is None or size["height"] >= FINGER, pressed.evaluate("(box) => box.outerHTML")


# --- What is chosen --------------------------------------------------------------------------------------


def test_every_choice_of_a_menu_is_followed(hand: Hand, seat: Seat) -> None:
    for place, menu in found(hand, seat, TABS):
        if menu.options.count():
            menu.open()
            option = menu.options.last
            label, box = option.inner_text().strip(), option.locator("input")
            name, value = box.get_attribute("name"), box.get_attribute("value")
            chosen = not box.is_checked()
            menu.press(option)
            answer = _follows(menu, menu.submit)
            if not answer.request.redirected_from:
                assert (value in _sent(answer).get(name or "", [])) == chosen, menu
            menu.open()
            expect(menu.option(label).locator("input")).to_be_checked(checked=chosen)
            hand.page.goto(place)
        if menu.links.count():
            menu.open()
            link = menu.links.last
            label, href = link.inner_text().strip(), link.get_attribute("href") or ""
            answer = _follows(menu, link)
            assert urlsplit(answer.url).query == urlsplit(href).query
            menu.open()
            expect(menu.links.filter(has_text=re.compile(rf"^\s*{re.escape(label)}\s*$"))).to_have_attribute(
                "aria-current", "true"
            )
            hand.page.goto(place)


def test_every_kind_of_field_of_a_menu_is_followed(hand: Hand, seat: Seat) -> None:
    for place, menu in found(hand, seat, TABS):
        kinds: dict[str | None, str] = {}
        for field in menu.panel.locator(".field :is(input, select)").all():
            kinds.setdefault(field.get_attribute("type"), field.get_attribute("name") or "")
        for name in kinds.values():
            menu.open()
            field = menu.panel.locator(f"[name={name}]")
            if field.evaluate("(box) => box.form.method === 'post' && !box.form.hasAttribute('hx-post')"):
                # Saving and renaming a view: forms of their own, tried where views are.
                menu.hand.fill(field, "A name")
                expect(field).to_have_value("A name")
            else:
                wanted = _write(menu, field)
                answer = _follows(menu, menu.submit)
                if not answer.request.redirected_from:
                    assert _sent(answer)[name] == [wanted], menu
            hand.page.goto(place)


def _write(menu: Menu, field: Locator) -> str:
    """Write something into a field as a hand does; return what it holds then."""
    if field.evaluate("(box) => box.localName") == "select":
        hands.pick(field, field.locator("option").last.inner_text())
    elif field.get_attribute("aria-describedby") == "range-zone":
        hands.write_moment(field, timezone.now() - timedelta(minutes=40))
    else:
        menu.hand.fill(field, "1")
    wrote = field.input_value()
    assert wrote
    return wrote


def _sent(answer: Response) -> dict[str, list[str]]:
    return parse_qs(answer.request.post_data or "")


def _follows(menu: Menu, box: Locator) -> Response:
    """Press what sends the choice: address and list follow, the menu is closed, and focus is back at it."""
    page = menu.page
    with page.expect_response(lambda answer: "/results/" in answer.url and answer.status == 200) as waited:
        menu.press(box)
    answer = waited.value
    address = answer.headers["hx-push-url"]
    expect(page).to_have_url(re.compile(re.escape(address) + "$"))
    menu.expect_closed()
    menu.expect_focus_back()
    expect(page.locator("#panel.htmx-settling, #panel[aria-busy]")).to_have_count(0)
    assert _lines(page.content()) == _lines(page.request.get(address).text()), address
    return answer


def _lines(html: str) -> list[str]:
    """Return what tells the rows of a list, or the lines of a comparison, from each other."""
    return re.findall(r'(?:data-line|id="record|id="task)[-=]"?([^"]+)"', html)


# --- The theme, which stands in the sidebar or in the menu of a narrow window -----------------------------


def test_the_theme_is_chosen(hand: Hand) -> None:
    page = hand.page
    page.goto("/profile/")
    console = [menu for menu in menus(hand) if menu.name == "menu-console"]
    for menu in console:
        menu.open()
    switch = (console[0].panel if console else page.locator(".sidebar")).locator("[data-theme-switch] button")
    assert switch.count() == 3
    for button in switch.all():
        theme = button.get_attribute("value") or ""
        with page.expect_response(lambda answer: answer.request.method == "POST"):
            hand.press(button, hands.middle)
        expect(button).to_have_attribute("aria-pressed", "true")
        for menu in console:
            menu.expect_open()
        if theme != "system":
            expect(page.locator("html")).to_have_attribute("data-theme", theme)
