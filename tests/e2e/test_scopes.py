"""Whose records one sees: the switch by mouse, keyboard and touch, a person found, and what they see."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import AuditEntry, Gateway, User
from logs.models import ContentPolicy, Level
from tests.cast import event, store
from tests.conftest import Device
from tests.e2e import hands
from tests.e2e.conftest import SEATS, Seat
from tests.e2e.hands import Hand
from tests.test_shell import faults

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


HANDS = [SEATS[0], SEATS[1], SEATS[4]]


@pytest.fixture
def device(seat: Seat) -> Device:
    return seat.device


@pytest.mark.parametrize("seat", HANDS, indirect=True)
def test_an_admin_goes_from_everybody_to_one_person_and_sees_what_they_see(
    hand: Hand, admin: User, bob: User, gateway: Gateway
) -> None:
    page = hand.page
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    at = timezone.now() - timedelta(minutes=2)
    store(gateway, event(bob, request_id="req_of_bob", created_at=at, input=b'"a purple cow"'))
    hands.enter(page, "/records/usage/", "admin@example.com")
    menu = page.locator("#menu-scope")
    hand.press(menu.locator("summary"))
    hand.press(menu.get_by_role("link", name="Everyone"))
    expect(page.locator("tr.record .c-person", has_text="Bob")).to_be_visible()
    assert faults(page) == []
    hand.press(menu.locator("summary"))
    hand.fill(menu.get_by_role("searchbox"), "bO")
    hand.press(menu.locator("#scope-people a"))
    expect(page.locator("tr.record")).to_have_count(1)
    expect(menu.locator("summary")).to_contain_text("Bob")
    # Another's content is shown when it is asked for, and that is kept.
    hand.press(page.locator("tr.record .toggle"), hands.middle)
    hand.press(page.get_by_role("button", name="Show input and output"))
    expect(page.locator(".turn-text")).to_have_text("a purple cow")
    assert AuditEntry.objects.filter(actor=admin, subject=bob, act=AuditEntry.Act.CONTENT).count() == 1
    hand.press(menu.locator("summary"))
    hand.press(menu.get_by_role("link", name="See it as they do"))
    expect(page.get_by_role("heading", name="See the console as Bob")).to_be_visible()
    assert faults(page) == []
    hand.press(page.get_by_role("button", name="See it"))
    bar = page.locator(".seen-as")
    expect(bar).to_contain_text("You see this as Bob does.")
    assert faults(page) == []
    hand.press(page.locator("#tab-tasks"))
    expect(page.locator("#tab-tasks")).to_have_attribute("aria-current", "page")
    expect(bar).to_be_visible()
    hand.press(bar.get_by_role("link", name="Leave"))
    expect(bar).to_have_count(0)
    expect(menu.locator("summary")).to_contain_text("Your records")
