"""The chart in a real browser: pointed at, dragged over, walked by keyboard."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from accounts.models import Gateway, User
from tests.cast import NOON, event, store
from tests.e2e import hands

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = "/records/usage/?start=2026-03-10T12:00&end=2026-03-10T13:00"


@pytest.fixture
def alice_page(page: Page, gateway: Gateway, alice: User) -> Page:
    store(
        gateway, *(event(created_at=NOON + timedelta(seconds=n * 20), model=f"m{n % 3}") for n in range(180))
    )
    hands.enter(page, HOUR)
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "180")
    return page


def test_a_drag_narrows_everything_to_the_same_stretch(alice_page: Page) -> None:
    page = alice_page
    box = page.locator(".chart-plot").bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    # From inside minute 15 to inside minute 29, of 60.
    page.mouse.move(box["x"] + box["width"] * 15.5 / 60, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 20.5 / 60, y)
    page.mouse.move(box["x"] + box["width"] * 29.5 / 60, y)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"start=2026-03-10T12%3A15Z&end=2026-03-10T12%3A30Z"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "45")
    expect(page.locator(".pager-note")).to_have_text("45 records")
    expect(page.locator("tr.record")).to_have_count(45)
    expect(page.locator("tr.record .c-time").first).to_have_text("12:29:40.000")


def test_the_keyboard_selects_the_same_stretch(alice_page: Page) -> None:
    page = alice_page
    hands.tab_to(page.locator(".chart-box"))
    page.keyboard.press("Home")
    for _ in range(15):
        page.keyboard.press("ArrowRight")
    for _ in range(14):
        page.keyboard.press("Shift+ArrowRight")
    told = re.compile("12:15 – .*12:30, Selected 15 min, Requests 45")
    expect(page.locator(".chart-box")).to_have_attribute("aria-valuetext", told)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"start=2026-03-10T12%3A15Z&end=2026-03-10T12%3A30Z"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "45")


def test_pointing_at_a_bucket_tells_its_figures(alice_page: Page) -> None:
    page = alice_page
    box = page.locator(".chart-plot").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 10.5 / 60, box["y"] + 60)
    tip = page.locator(".chart-tip")
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("12:10")
    expect(tip).to_contain_text("360")
    page.mouse.move(box["x"], box["y"] - 40)
    expect(tip).to_be_hidden()


def test_the_peak_leads_to_its_minute_and_the_table_to_its_stretch(alice_page: Page) -> None:
    page = alice_page
    page.get_by_role("link", name=re.compile("peak 3 at")).click()
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "3")
    page.go_back()
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "180")
    page.get_by_text("View as table").click()
    row = page.locator(".chart-table tbody tr").first
    told = row.locator("td").first.inner_text()
    row.locator("a").click()
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", told)
    assert 3 <= int(told) < 180


def test_metric_and_parts_are_chosen_in_menus_and_stay_as_the_range_narrows(alice_page: Page) -> None:
    page = alice_page
    page.locator("#menu-chart-metric > summary").click()
    page.locator("#menu-chart-metric").get_by_role("link", name="Tokens", exact=True).click()
    expect(page).to_have_url(re.compile("chart=tokens"))
    expect(page.locator(".key-tokens")).to_have_text("Tokens 21,600")
    page.locator("#menu-chart-stack > summary").click()
    page.locator("#menu-chart-stack").get_by_role("link", name="By model").click()
    expect(page).to_have_url(re.compile("chart=tokens&stack=model"))
    expect(page.locator(".key-part-3")).to_have_text("m2 7,200")
    box = page.locator(".chart-plot").bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 15.5 / 60, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 29.5 / 60, y, steps=3)
    tip = page.locator(".chart-tip")
    for words in ("12:15", "12:30", "15 min", "5,400", "m0", "1,800"):
        expect(tip).to_contain_text(words)
    beside = tip.bounding_box()
    selected = page.locator(".chart-select").bounding_box()
    assert beside and selected
    assert beside["x"] >= selected["x"] + selected["width"], "not over what it explains"
    page.mouse.up()
    expect(page).to_have_url(re.compile("chart=tokens&stack=model"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "45")
    page.get_by_role("link", name="Zoom out").click()
    expect(page).to_have_url(re.compile(r"start=2026-03-10T12%3A07Z&end=2026-03-10T12%3A37Z"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "90")
    page.locator(".key-part-1").click()
    expect(page).to_have_url(re.compile("model=m0"))
    expect(page.locator("[data-stat=requests]")).to_have_attribute("data-value", "30")


@pytest.mark.parametrize("width", [1440, 390])
def test_no_label_of_the_chart_covers_another(alice_page: Page, gateway: Gateway, width: int) -> None:
    page = alice_page
    # The busiest minute is the very first, at the labels of the scale.
    store(gateway, *(event(created_at=NOON + timedelta(seconds=1 + n), model="m0") for n in range(9)))
    page.set_viewport_size({"width": width, "height": 800})
    for metric in ("requests", "tokens", "rpm"):
        page.goto(f"{HOUR}&chart={metric}")
        expect(page.locator("text.peak")).to_be_visible()
        boxes = [one.bounding_box() for one in page.locator(".chart-box text").all() if one.is_visible()]
        assert len(boxes) > 5
        for place, one in enumerate(boxes):
            for other in boxes[place + 1 :]:
                assert one and other
                # What surrounds the words, 3 px of halo and the line's height, may meet.
                apart = (
                    one["x"] + one["width"] <= other["x"] + 3
                    or other["x"] + other["width"] <= one["x"] + 3
                    or one["y"] + one["height"] <= other["y"] + 8
                    or other["y"] + other["height"] <= one["y"] + 8
                )
                assert apart, (one, other)


def test_bars_are_six_pixels_wide_or_more(alice_page: Page) -> None:
    page = alice_page
    page.set_viewport_size({"width": 1440, "height": 800})
    for query in (
        "range=24h",
        "start=2026-03-09T12:00Z&end=2026-03-11T12:00Z",
        "range=7d",
        "range=90d",
        "range=all",
    ):
        page.goto(f"/records/usage/?{query}")
        chart = page.locator(".chart")
        if not chart.count():
            continue
        plot = page.locator(".chart-plot").bounding_box()
        count = chart.get_attribute("data-count")
        assert plot and count
        # A fifth is the gap after it, the next one's distance.
        assert plot["width"] / int(count) >= 6, query
