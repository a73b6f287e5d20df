"""The guide in a real browser: by mouse, finger and keyboard, in every width, light, dark and on paper."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Gateway, GuideAnswer, User
from logs.models import Status, UsageRecord
from logs.models.events import Failure
from tests.cast import event, store
from tests.conftest import Device
from tests.e2e import hands
from tests.e2e.conftest import Seat
from tests.e2e.hands import Hand, tab_to

pytestmark = [pytest.mark.django_db(transaction=True)]
SIZES = [(1440, 900), (1280, 720), (1024, 768), (768, 1024), (390, 844), (320, 700)]
CHAPTERS = ("rpm-and-tpm", "privacy", "errors", "request-details")


@pytest.fixture
def calls(alice: User, gateway: Gateway) -> None:
    now = timezone.now()
    refused = Failure(type="rate_limit_error", code="rate_limit_exceeded", message="Too many requests.")
    store(
        gateway,
        event(request_id="req_fine", created_at=now - timedelta(minutes=2), cost=Decimal("0.0012")),
        event(
            request_id="req_failed",
            created_at=now - timedelta(minutes=3),
            status=Status.ERROR,
            http_status=429,
            error=refused,
        ),
    )


@pytest.mark.slow
def test_every_size_holds_the_guide_and_axe_finds_nothing(page: Page, calls: None) -> None:
    hands.enter(page, "/records/usage/")
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for path in ("/learn/", *(f"/learn/{chapter}/" for chapter in CHAPTERS)):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
    for look in ("light", "dark"):
        page.emulate_media(color_scheme=look)
        for path in ("/learn/", "/learn/rpm-and-tpm/", "/learn/privacy/"):
            page.goto(path)
            pictures = page.locator(".prose img")
            for at in range(pictures.count()):
                shown = pictures.nth(at)
                assert shown.is_visible() == (f"only-{look}" in (shown.get_attribute("class") or ""))
            found = Axe().run(page).response["violations"]
            assert not found, [(one["id"], one["nodes"][0]["target"]) for one in found]


@pytest.mark.expects_browser_errors("status of 404")
def test_the_question_marks_lead_to_their_chapters(page: Page, calls: None) -> None:
    hands.enter(page, "/records/usage/")
    page.set_viewport_size({"width": 1440, "height": 900})
    for path, name, title in (
        ("/records/usage/", "About RPM and TPM", "RPM and TPM"),
        ("/records/usage/?request_id=req_fine", "About cost", "Cost and receipts"),
        ("/records/usage/?request_id=req_fine", "About input and output", "Input and output"),
        ("/records/usage/?request_id=req_failed", "About causes", "Errors and causes"),
        ("/records/usage/?request_id=req_none", "About records that are not found", "Find a request"),
        ("/records/tasks/", "About Task Logs", "Task Logs"),
    ):
        page.goto(path)
        mark = page.get_by_role("link", name=name)
        box = mark.bounding_box()
        assert box and box["width"] >= 24 and box["height"] >= 24, name
        mark.click()
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        anchor = page.url.partition("#")[2]
        assert not anchor or page.locator(f"#{anchor}").is_visible()


class TestWithHands:
    @pytest.fixture
    def device(self, seat: Seat) -> Device:
        return seat.device

    def test_a_reader_says_whether_it_helped_and_goes_on(self, hand: Hand, alice: User) -> None:
        page = hand.page
        page.goto("/learn/cost/")
        hand.press(page.get_by_role("button", name="No", exact=True))
        expect(page.get_by_role("button", name="No", exact=True)).to_have_attribute("aria-pressed", "true")
        hand.fill(page.get_by_label(re.compile("What is missing")), "No word about audio.")
        with page.expect_response("**/helpful/"):
            hand.press(page.locator("#helpful-save"))
        expect(page.locator("#announce")).to_contain_text("Your answer is saved")
        expect(page.get_by_label(re.compile("What is missing"))).to_have_value("No word about audio.")
        kept = GuideAnswer.objects.get(user=alice)
        assert (kept.page, kept.helpful, kept.comment) == ("cost", False, "No word about audio.")
        hand.press(page.locator(".guide-after"))
        expect(page.get_by_role("heading", level=1)).to_have_text("Task Logs")

    def test_keys_are_spoken_of_where_there_are_keys(self, hand: Hand, seat: Seat) -> None:
        page = hand.page
        page.goto("/records/usage/")
        assert page.locator("kbd:visible").count() == 0 or not seat.device.touch
        if not seat.device.touch and seat.device.width > 1000:
            expect(page.locator(".keys-open")).to_be_visible()


def test_a_printed_record_is_a_receipt(page: Page, calls: None) -> None:
    hands.enter(page, "/records/usage/")
    record = UsageRecord.objects.get(request_id="req_fine")
    page.goto(f"/records/usage/{record.id}/")
    tab_to(page.get_by_role("link", name="About cost"))
    page.emulate_media(media="print")
    text = page.locator("body").inner_text()
    for shown in ("req_fine", "UTC", "gpt-5", "Receipt", "Charged", "Input", "Output"):
        assert shown in text
    for hidden in (
        "API tokens",
        "Exports",
        "Profile and security",
        "Copy as support note",
        "Re-price",
        "Task Logs",
    ):
        assert hidden not in text
    assert page.locator("nav:visible, button:visible, .about:visible").count() == 0
