"""How a hand uses a page: it presses words with a mouse or a finger, and it types.

A press goes to where the words themselves stand, not to the control they belong to, and is down for a
moment: what the page does in between is part of it. Nothing here sets a value, an attribute or focus by
script.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from playwright.sync_api import CDPSession, Locator, Page, expect

from accounts.models import User
from tests.cast import signed_in

Point = tuple[float, float]
LIVE_SERVER = "localhost"
"""The host of pytest-django's live server."""

_WORDS = """
(box) => {
  box.scrollIntoView({ block: "nearest", inline: "nearest" });
  const texts = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    if (!text.data.trim()) continue;
    range.selectNodeContents(text);
    for (const { x, y, width, height } of range.getClientRects()) {
      const at = [x + width / 2, y + height / 2];
      const top = width > 3 && height > 3 ? document.elementFromPoint(...at) : null;
      if (top && box.contains(top) && !top.closest(".visually-hidden")) return at;
    }
  }
  return null;
}
"""
_MIDDLE = """
(box) => {
  box.scrollIntoView({ block: "nearest", inline: "nearest" });
  const { x, y, width, height } = box.getBoundingClientRect();
  const at = [x + width / 2, y + height / 2];
  return box.contains(document.elementFromPoint(...at)) ? at : null;
}
"""
_END = """
(box) => {
  box.scrollIntoView({ block: "nearest", inline: "nearest" });
  const { y, right, height } = box.getBoundingClientRect();
  const at = [right - 4, y + height / 2];
  return box.contains(document.elementFromPoint(...at)) ? at : null;
}
"""
_FOCUSED = "(box) => box === document.activeElement"
_MOST_TABS = 200


def words(box: Locator) -> Point:
    """Return the middle of the first words in ``box`` that a press would hit. Fails where there are none."""
    return _point(box, _WORDS, "no words that a press would hit")


def middle(box: Locator) -> Point:
    """Return the middle of ``box``, for what shows a picture or nothing. Fails where something covers it."""
    return _point(box, _MIDDLE, "something over its middle")


def end(box: Locator) -> Point:
    """Return a point at the far end of ``box``, beside its words. Fails where something covers it."""
    return _point(box, _END, "something over its end")


def _point(box: Locator, script: str, missing: str) -> Point:
    expect(box).to_be_visible()
    found: list[float] | None = box.evaluate(script)
    assert found is not None, f"{box} has {missing}."
    return found[0], found[1]


class Hand(ABC):
    """One way to use a page. ``press`` goes to words, or to the ``where`` given."""

    name: str

    def __init__(self, page: Page) -> None:
        self.page = page

    @abstractmethod
    def press(
        self,
        box: Locator,
        where: Callable[[Locator], Point] = words,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        """Press ``box``; ``meanwhile`` is called while the press is down."""

    def fill(self, field: Locator, text: str) -> None:
        """Go into a field and type ``text`` in place of what stands there."""
        self.press(field, middle)
        expect(field).to_be_focused()
        retype(self.page, text)


class Mouse(Hand):
    name = "mouse"

    def press(
        self,
        box: Locator,
        where: Callable[[Locator], Point] = words,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        self.page.mouse.move(*where(box))
        self.page.mouse.down()
        if meanwhile:
            meanwhile()
        self.page.mouse.up()


class Finger(Hand):
    """A tap. The page's context must have been made with ``has_touch``."""

    name = "finger"
    _session: CDPSession | None = None

    def press(
        self,
        box: Locator,
        where: Callable[[Locator], Point] = words,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        x, y = where(box)
        if meanwhile is None:
            self.page.touchscreen.tap(x, y)
            return
        self._session = self._session or self.page.context.new_cdp_session(self.page)
        self._touch("touchStart", {"x": x, "y": y})
        meanwhile()
        self._touch("touchEnd")

    def _touch(self, kind: str, *points: dict[str, Any]) -> None:
        assert self._session
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})


class Keyboard(Hand):
    """Tab to a control, then Space for a box to tick and Enter for anything else."""

    name = "keyboard"

    def press(
        self,
        box: Locator,
        where: Callable[[Locator], Point] = words,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        inside = box.locator("input, select, textarea")
        control = inside.first if inside.count() else box
        tab_to(control)
        kind = control.get_attribute("type")
        if kind in ("checkbox", "radio"):
            self.page.keyboard.press("Space")
        elif not inside.count() and control.evaluate("(box) => !box.matches('input, select, textarea')"):
            self.page.keyboard.press("Enter")

    def fill(self, field: Locator, text: str) -> None:
        tab_to(field)
        retype(self.page, text)


def tab_to(control: Locator, back: bool = False) -> None:
    """Walk to a control with the Tab key, or with Shift and Tab."""
    keyboard = control.page.keyboard
    expect(control).to_be_attached()
    for _ in range(_MOST_TABS):
        if control.evaluate(_FOCUSED):
            return
        keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"{control} is not reached by Tab.")


def retype(page: Page, text: str) -> None:
    """Type into the field that has focus, in place of what stands there."""
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)


def write(field: Locator, text: str) -> None:
    """Press into a field with the mouse and type ``text`` in place of what stands there."""
    Mouse(field.page).fill(field, text)


def write_moment(field: Locator, moment: datetime) -> None:
    """Type a date and a time into a field for them, as it asks for them."""
    tab_to(field)
    field.page.keyboard.type(moment.strftime("%Y-%m-%d %H:%M"))


def pick(select: Locator, label: str) -> None:
    """Choose from a native ``<select>`` by keyboard: walk to it and type the first letters of the choice."""
    tab_to(select)
    select.page.keyboard.type(label)
    expect(select.locator("option:checked")).to_have_text(label)


def enter(page: Page, path: str, email: str = "alice@example.com") -> None:
    """Open a page as somebody who has signed in before."""
    be_known(page, email)
    page.goto(path)


def be_known(page: Page, email: str = "alice@example.com") -> None:
    """Let the browser hold a session of somebody."""
    session = signed_in(User.objects.get(email=email)).cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies(
        [{"name": session.key, "value": session.value, "domain": LIVE_SERVER, "path": "/", "httpOnly": True}]
    )


def sign_in(page: Page, email: str = "alice@example.com", password: str = "alice-password") -> None:
    """Type an address and a password into the sign-in form that is shown, and send it."""
    write(page.get_by_label("E-mail"), email)
    write(page.get_by_label("Password", exact=True), password)
    page.keyboard.press("Enter")
