"""Take the pictures of guide and README: ``make pictures``, beside ``make run`` with its demo data.

Each is what the page shows of a part of it, as WebP of 1.5 pixels to one of CSS: the guide's light and dark.
"""

from __future__ import annotations

import argparse
import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from accounts.sign_in.demo_accounts import DEMO_PASSWORD
from routescope.demo import DEMO_ADMIN_EMAIL, DEMO_USER_EMAIL
from routescope.embedded import place
from routescope.web.guides import DENSITY
from tests.browsers import BROWSER_ARGS, chromium

_ROOT = Path(__file__).parent.parent
GUIDE = _ROOT / "static" / "img" / "guide"
DOCS = _ROOT / "docs" / "img"
QUALITY = 0.6
Look = Literal["light", "dark"]
LOOKS: tuple[Look, ...] = ("light", "dark")
_AS_WEBP = """
async ([png, quality]) => {
  const picture = new Image();
  picture.src = "data:image/png;base64," + png;
  await picture.decode();
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  canvas.getContext("2d", { alpha: false }).drawImage(picture, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/webp", quality });
  return Array.from(new Uint8Array(await blob.arrayBuffer()));
}
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """``path`` is the page, ``of`` the part that is taken, at most ``height`` px of it.

    ``first`` is what is done before; ``width`` is that of the window, ``margin`` what is
    taken around the part. It is kept in ``folder``, once for each of ``looks``. ``who`` is signed in.
    """

    path: str
    of: str
    height: int = 420
    width: int = 1040
    first: Callable[[Page], object] = lambda page: None
    margin: int = 0
    folder: Path = GUIDE
    looks: tuple[Look, ...] = LOOKS
    who: str = DEMO_USER_EMAIL


def _window(
    path: str,
    first: Callable[[Page], object] = lambda page: None,
    *,
    width: int = 1280,
    height: int = 800,
    looks: tuple[Look, ...] = ("light",),
    who: str = DEMO_USER_EMAIL,
) -> Picture:
    """A whole window, for the README."""
    return Picture(path, "body", height, width, first, folder=DOCS, looks=looks, who=who)


def _open(page: Page) -> None:
    page.locator("a.toggle").first.click()
    page.locator(".record-detail .panel").first.wait_for()


def _open_menu(page: Page) -> None:
    page.locator("#menu-model > summary").click()
    page.locator("#menu-model input[type=checkbox]").first.check()


def _open_record(page: Page) -> None:
    page.locator("#result_list .field-request a").first.click()
    page.locator(".record-page .panel-receipt").wait_for()


def _open_token(page: Page) -> None:
    page.locator("main table a").first.click()
    page.wait_for_url("**/limits/**")


_CALL = "/records/usage/?model=claude-haiku-4-5&status=success"
_REFUSED = "/records/usage/?cause=parameters&range=30d"
_FAILED = "/records/tasks/?status=failed&range=90d"
_MADE = "/records/tasks/?type=image&status=succeeded"
_PANEL = ".record-detail .panel"
PICTURES = {
    "usage": Picture("/records/usage/", ".main", 540, 1280),
    "figures": Picture("/records/usage/?range=7d", ".stats", 140, 1000, margin=6),
    "chart": Picture("/records/usage/", ".chart", 260, margin=6),
    "chart-cost": Picture("/records/usage/?chart=cost&stack=model&range=7d", ".chart", 260, margin=6),
    "chart-tokens": Picture("/records/usage/?chart=tokens&stack=token&range=30d", ".chart", 260, margin=6),
    "chart-rpm": Picture("/records/usage/?chart=rpm", ".chart", 260, margin=6),
    "filter": Picture("/records/usage/", ".main", 430, 1280, _open_menu),
    "details": Picture(_CALL, ".record-detail .detail", 370, 1280, _open),
    "error": Picture(_REFUSED, _PANEL, 300, 1000, _open),
    "receipt": Picture(_CALL, ".panel-receipt", 286, 1280, _open),
    "tasks": Picture("/records/tasks/", ".main", 404),
    "task": Picture(_FAILED, _PANEL, 260, 1000, _open),
    "window-usage": _window("/records/usage/", looks=LOOKS),
    "window-call": _window(_REFUSED, _open, looks=("dark",)),
    "window-errors": _window("/records/usage/?errors=gathered&range=7d"),
    "window-limits": _window("/tokens/", _open_token),
    "window-task": _window(_MADE, _open),
    "window-admin": _window("/admin/", looks=LOOKS, who=DEMO_ADMIN_EMAIL),
    "window-admin-record": _window(
        "/admin/logs/usagerecord/?status=2", _open_record, looks=LOOKS, who=DEMO_ADMIN_EMAIL
    ),
    "window-phone": _window("/records/usage/", width=390, height=844),
}


def main() -> None:
    """Take all pictures, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(PICTURES))
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*BROWSER_ARGS, "--no-sandbox"])
        names = arguments.names or list(PICTURES)
        for who in {PICTURES[name].who for name in names}:
            state = _signed_in(browser, arguments.url, who)
            for look in LOOKS:
                context = browser.new_context(
                    color_scheme=look,
                    device_scale_factor=DENSITY,
                    storage_state=state,
                    viewport={"width": 1040, "height": 1400},
                    reduced_motion="reduce",
                )
                page = context.new_page()
                for name in names:
                    picture = PICTURES[name]
                    if look not in picture.looks or picture.who != who:
                        continue
                    path = picture.folder / f"{name}-{look}.webp"
                    path.write_bytes(_taken(page, arguments.url, picture))
                    print(f"{path.name}: {path.stat().st_size:,} bytes")  # noqa: T201
        browser.close()


def _signed_in(browser: Browser, url: str, who: str) -> Path:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/accounts/login/")
    page.get_by_label("E-mail").fill(who)
    page.get_by_label("Password", exact=True).fill(DEMO_PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/records/**")
    kept = place.state() / "guide-pictures.json"
    context.storage_state(path=kept)
    return kept


def _taken(page: Page, url: str, picture: Picture) -> bytes:
    page.set_viewport_size({"width": picture.width, "height": 1400})
    page.goto(url + picture.path)
    picture.first(page)
    part = page.locator(picture.of).first
    part.scroll_into_view_if_needed()
    page.mouse.move(0, 0)
    page.wait_for_timeout(400)
    box = part.bounding_box()
    assert box, f"{picture.of} is not on {picture.path}."
    clip = {
        "x": box["x"] - picture.margin,
        "y": box["y"] - picture.margin,
        "width": box["width"] + 2 * picture.margin,
        "height": min(box["height"], picture.height) + 2 * picture.margin,
    }
    png = page.screenshot(clip=clip, animations="disabled")  # type: ignore[arg-type]
    return bytes(page.evaluate(_AS_WEBP, [base64.b64encode(png).decode(), QUALITY]))


if __name__ == "__main__":
    main()
