"""The menus of a page as a hand finds them: whatever is a ``details.menu`` there, none by name."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.e2e.hands import Hand, Mouse, middle, words

SHEET = "#filters-sheet"
OPEN = ""
"""What an open menu's ``open`` attribute holds."""


class Menu:
    """One ``details.menu`` of a page, found again by its id after every swap."""

    def __init__(self, hand: Hand, name: str) -> None:
        self.hand = hand
        self.page = hand.page
        self.name = name
        self.box = self.page.locator(f"#{name}")
        self.summary = self.box.locator("> summary")
        self.panel = self.box.locator("> .menu-panel")
        self.options = self.panel.locator("label.option")
        self.links = self.panel.locator("a.option")
        self.submit = self.panel.locator("button[type=submit]")

    def __repr__(self) -> str:
        return f"#{self.name}"

    def in_sheet(self) -> bool:
        return self.page.locator(f"{SHEET} #{self.name}").count() == 1

    def in_sheet_shown(self) -> bool:
        return self.in_sheet() and self.page.locator("#filters-open").is_visible()

    def open(self) -> None:
        """Open the menu as a hand does, on a phone by way of the sheet."""
        if not self.in_sheet() and self.page.locator(f"{SHEET}:popover-open").count():
            # It lies over the rest of the page.
            self.hand.press(self.page.locator(f"{SHEET} > .sheet-head button"), middle)
        if self.in_sheet_shown() and not self.page.locator(SHEET).is_visible():
            self.hand.press(self.page.locator("#filters-open"))
            expect(self.page.locator(SHEET)).to_be_visible()
        if self.box.get_attribute("open") is None:
            # A button that shows a picture alone has no words to press.
            hidden = self.summary.locator("> .visually-hidden:last-child").count() == 1
            picture = hidden or not self.summary.inner_text().strip()
            self.hand.press(self.summary, middle if picture else words)
        self.expect_open()
        # The page puts an opened menu where there is room: a frame later it stands still.
        self.panel.hover(trial=True)

    def expect_open(self) -> None:
        expect(self.box).to_have_attribute("open", OPEN)

    def expect_closed(self) -> None:
        expect(self.box).not_to_have_attribute("open", OPEN)

    def expect_focus_back(self) -> None:
        """Focus is at the menu's button, or where a phone has no room for it at the sheet's."""
        home = self.summary if self.summary.is_visible() else self.page.locator("#filters-open")
        expect(home).to_be_focused()

    def option(self, label: str) -> Locator:
        return self.options.filter(has_text=re.compile(rf"^\s*{re.escape(label)}\s*$"))

    def press(self, box: Locator) -> None:
        """Press the words of something in the menu, which stays open while the press is down."""
        self.hand.press(box, meanwhile=self.expect_open)


def menus(hand: Hand) -> list[Menu]:
    """Return every menu of the page that can be seen, or is in the phone's sheet."""
    found = []
    for box in hand.page.locator("details.menu").all():
        name = box.get_attribute("id")
        assert name, f"A menu has no id, by which a swap finds it again: {box.inner_html()[:200]}"
        menu = Menu(hand, name)
        expect(menu.box, f"The id {name} is there once.").to_have_count(1)
        if menu.summary.is_visible() or menu.in_sheet_shown():
            found.append(menu)
    return found


def menu(hand: Hand, name: str) -> Menu:
    """Return one menu by its id, opened."""
    found = Menu(hand, name)
    found.open()
    return found


def choose(page: Page, name: str, *labels: str) -> None:
    """Choose values in a menu with the mouse, by their words, and apply them."""
    opened = menu(Mouse(page), name)
    for label in labels:
        opened.press(opened.option(label))
    opened.press(opened.submit)
