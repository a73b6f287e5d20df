"""Task Logs in use: counts that lead there, failures first, and results that are looked at, by every hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.fixtures import Settings as SettingsWrapper
from pytest_django.live_server_helper import LiveServer

from accounts.models import AIModel, Gateway, User
from routescope.demo.provider import DevelopmentProvider
from tasks.models import AsyncTask
from tests import task_cast
from tests.conftest import Device
from tests.e2e import hands
from tests.e2e.conftest import SEATS, Seat
from tests.e2e.hands import Finger, Hand, middle
from tests.test_shell import faults

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def device(seat: Seat) -> Device:
    return seat.device


@pytest.fixture
def provider(settings: SettingsWrapper) -> Iterator[DevelopmentProvider]:
    server = DevelopmentProvider().start()
    settings.OUTBOUND_ALLOWED = [server.url.removeprefix("http://")]
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def made(alice: User, gateway: Gateway, provider: DevelopmentProvider) -> dict[str, AsyncTask]:
    """Tasks with results of each kind, one whose link is dead, some that failed, and one that runs."""
    model = AIModel.objects.create(name="gen-4")
    results = {
        "pictures": [{"kind": "image", "url": f"{provider.url}/media/{n}.png"} for n in range(3)],
        "film": [
            {"kind": "video", "url": f"{provider.url}/media/5.mp4"},
            {"kind": "image", "url": f"{provider.url}/media/5.png"},
        ],
        "song": [{"kind": "audio", "url": f"{provider.url}/media/6.wav"}],
        "dead": [{"kind": "image", "url": f"{provider.url}/media/gone.jpg"}],
    }
    now = timezone.now() - timedelta(minutes=5)
    tasks = {
        name: task_cast.a_task(
            alice, gateway, task_id=f"task_{name}", status="succeeded", result=result, model=model,
            submitted_at=now - timedelta(minutes=number), finished_at=now, progress=100,
        )
        for number, (name, result) in enumerate(results.items())
    }  # fmt: skip
    for number in range(2):
        task_cast.a_task(
            alice, gateway, task_id=f"task_broken_{number}", status="failed", platform="suno",
            failure_message="Invalid aspect ratio 7:1", submitted_at=now - timedelta(hours=2 + number),
        )  # fmt: skip
    tasks["running"] = task_cast.a_task(
        alice, gateway, task_id="task_running", status="running", progress=40,
        submitted_at=now - timedelta(hours=5),
    )  # fmt: skip
    return tasks


@pytest.fixture
def hand(page: Page, live_server: LiveServer, alice_client: Client, seat: Seat) -> Hand:
    hands.be_known(page)
    return seat.hand(page)


def shown_ids(page: Page) -> list[str]:
    return [str(cell.get_attribute("title")) for cell in page.locator("tr.record .c-id").all()]


def open_row(hand: Hand, name: str) -> None:
    toggle = hand.page.locator("tr.record", has=hand.page.locator(f"[title=task_{name}]")).locator(".toggle")
    hand.press(toggle, middle)
    expect(hand.page.locator("tr.record-detail:visible .detail")).to_be_visible()


def seen(page: Page) -> float:
    """Return how much has shifted without anybody having done anything."""
    script = """() => new Promise((done) => {
      let sum = 0;
      new PerformanceObserver((list) => {
        for (const one of list.getEntries()) if (!one.hadRecentInput) sum += one.value;
      }).observe({ type: "layout-shift", buffered: true });
      setTimeout(() => done(sum), 300);
    })"""
    return float(page.evaluate(script))


@pytest.mark.parametrize("seat", [SEATS[0], SEATS[1], SEATS[-1]], indirect=True)
@pytest.mark.expects_browser_errors("request to another host: http://127.0.0.1:", "404")
def test_tasks_are_counted_ordered_and_looked_at(hand: Hand, seat: Seat, made: dict[str, AsyncTask]) -> None:
    page = hand.page
    page.goto("/records/tasks/")
    # The counts, each a way to as many rows.
    expect(page.locator("[data-stat=tasks]")).to_have_text("7")
    hand.press(page.locator("#count-failed"))
    expect(page).to_have_url(re.compile("status=failed"))
    expect(page.locator("tr.record")).to_have_count(2)
    expect(page.locator("tr.record .c-status").first).to_have_text("Failed · Parameters")
    expect(page.locator("tr.record .c-outcome").first).to_have_text("Invalid aspect ratio 7:1")
    hand.press(page.locator("#count-failed"))
    expect(page.locator("tr.record")).to_have_count(7)
    hand.press(page.locator("#view-failures"))
    expect(page.locator("tr.record")).to_have_count(2)
    hand.press(page.locator("#view-list"))
    expect(page.locator("tr.record")).to_have_count(7)
    # What failed and what runs comes first, and the address remembers it.
    switch = page.locator("#order-switch")
    hand.press(switch, middle)
    expect(switch).to_have_attribute("aria-checked", "true")
    wanted = ["task_broken_0", "task_broken_1", "task_running", "task_pictures"]
    assert shown_ids(page)[:4] == wanted
    page.reload()
    assert shown_ids(page)[:4] == wanted
    if page.locator("tr.record .c-platform").first.is_visible():
        hand.press(page.locator("tr.record .c-platform a.by", has_text="Suno").first)
        expect(page).to_have_url(re.compile("platform=suno"))
        expect(page.locator("tr.record")).to_have_count(2)
    page.goto("/records/tasks/")
    # Pictures: as wide as there is room up to 560 px, all as high as their frames.
    open_row(hand, "pictures")
    figures = page.locator("figure.made")
    expect(figures).to_have_count(3)
    first = page.frame_locator("iframe.media-frame").first.locator("img")
    expect(first).to_have_js_property("naturalWidth", 640)
    box = figures.first.locator("iframe").bounding_box()
    assert box and box["width"] <= 562 and abs(box["height"] - box["width"] * 3 / 4) < 3
    assert box["width"] >= min(420, (page.viewport_size or {"width": 0})["width"] - 80)
    # Full screen, on to the next by key or button, and back by Escape to where one was.
    whole = figures.first.locator("[data-whole]")
    hand.press(whole)
    viewer = page.locator("dialog.viewer[open]")
    expect(viewer.locator("h2")).to_have_text("Image 1")
    expect(viewer.locator("[data-close]")).to_be_focused()
    if isinstance(hand, Finger):
        hand.press(viewer.locator("[data-step='1']"), middle)
    else:
        page.keyboard.press("ArrowRight")
    expect(viewer.locator("h2")).to_have_text("Image 2")
    expect(page.frame_locator("dialog iframe").locator("img")).to_have_js_property("naturalWidth", 640)
    if isinstance(hand, Finger):
        hand.press(viewer.locator("[data-close]"), middle)
    else:
        page.keyboard.press("Escape")
    expect(page.locator("dialog.viewer[open]")).to_have_count(0)
    expect(page.locator("dialog.viewer iframe")).to_have_count(0)
    # What is saved is the file itself.
    with page.expect_download() as saved:
        hand.press(figures.first.locator("[data-save]"))
    assert saved.value.suggested_filename == "0.png"
    assert saved.value.path().read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("seat", SEATS[:1], indirect=True)
@pytest.mark.expects_browser_errors("request to another host: http://127.0.0.1:", "404")
def test_films_songs_and_dead_links_at_every_size(hand: Hand, made: dict[str, AsyncTask]) -> None:
    page = hand.page
    for width, height in ((1440, 900), (1280, 720), (1024, 768), (768, 1024), (390, 844), (320, 700)):
        page.set_viewport_size({"width": width, "height": height})
        page.goto("/records/tasks/")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
        for name in ("film", "song", "dead") if width in (1280, 768, 320) else ():
            page.goto(f"/records/tasks/{made[name].pk}/")
            figure = page.locator("figure.made")
            expect(figure).to_have_count(1)
            frame = page.frame_locator("iframe.media-frame")
            if name == "dead":
                expect(frame.locator(".dead")).to_be_visible()
                expect(frame.locator(".dead")).to_contain_text("could not be loaded")
                expect(figure.locator("[data-whole]")).to_be_hidden()
                expect(page.locator(".links a.id")).to_have_text("gone.jpg")
            elif name == "film":
                expect(frame.locator("video")).to_have_attribute("poster", re.compile(r"/media/5\.png$"))
            else:
                expect(frame.locator("audio")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (width, name)
            assert seen(page) < 0.01, (width, name)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.goto(f"/records/tasks/{made['pictures'].pk}/")
        assert faults(page) == [], scheme
        page.locator("[data-whole]").first.click()
        assert faults(page) == [], scheme
        page.goto("/records/tasks/?order=attention&status=failed")
        assert faults(page) == [], scheme
