"""Every view of the records under axe: WCAG 2.1 AA, wide in the light and on a phone in the dark.

Contrast of everything in both is computed from the style sheets: ``test_contrast``.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Literal

import pytest
from django.utils import timezone
from playwright.sync_api import Page

from accounts.models import ApiToken, Gateway, User
from logs.models import RecordType, Status, UsageRecord
from logs.models.events import Failure
from tests.cast import event, store
from tests.e2e import hands
from tests.test_shell import faults

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def records(gateway: Gateway, alice: User) -> None:
    now = timezone.now()
    store(
        gateway,
        *(
            event(
                request_id=f"req_{number:032x}",
                created_at=now - timedelta(minutes=number, seconds=90),
                cost=Decimal("0.0012"),
                duration_ms=1500,
                ttft_ms=300,
                cached_tokens=50,
            )
            for number in range(60)
        ),
        *(event(created_at=now - timedelta(minutes=30, seconds=second)) for second in range(5)),
        event(request_id="req_refunded", created_at=now, type=RecordType.REFUND, cost=Decimal("-0.2")),
        event(
            request_id="req_failed",
            created_at=now - timedelta(minutes=3),
            status=Status.ERROR,
            http_status=429,
            error=Failure(type="rate_limit_error", code="rate_limit_exceeded", message="Too many requests."),
            parameters={"temperature": 1},
            attempts=[
                {"channel": "a", "status": "error", "http_status": 429},
                {"channel": "b", "status": "error"},
            ],
            metadata={"team": "search"},
        ),
    )
    ApiToken.objects.update(rpm_limit=3, tpm_limit=500)


VIEWS = (
    "/records/usage/",
    "/records/usage/?range=7d&status=error&token=prod",
    "/records/usage/?range=yesterday",
    "/records/usage/?request_id=req_failed",
    "/records/usage/?range=7d&compare=model",
    "/records/usage/?range=7d&errors=each",
    "/records/usage/?range=7d&errors=gathered",
    "/records/usage/limits/?token=prod",
    "/records/tasks/",
    "/records/tasks/?range=all",
)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_the_records_are_accessible(
    page: Page, records: None, scheme: Literal["light", "dark"], width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    hands.enter(page, "/records/usage/")
    record = UsageRecord.objects.get(request_id="req_failed")
    for path in (*VIEWS, f"/records/usage/{record.id}/"):
        page.goto(path)
        assert faults(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_what_opens_is_accessible_too(page: Page, records: None) -> None:
    hands.enter(page, "/records/usage/")
    page.locator("tr.record .toggle").nth(1).click()
    page.locator("tr.record-detail").wait_for()
    page.get_by_text("View as table").click()
    assert faults(page) == []
    for menu in ("Model", "More", "Columns", "Last 24 hours", "Save view"):
        page.locator("summary", has_text=menu).click()
        if menu == "Model":
            page.locator("#menu-model [data-count]:not([data-count=''])").first.wait_for()
        assert faults(page) == [], menu
        page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert faults(page) == []
