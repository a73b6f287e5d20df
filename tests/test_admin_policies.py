"""What is kept for how long, and what goes next: one page of the admin, beside the content policies."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Gateway
from logs.maintenance import retention
from logs.models import Level, UsageRecord
from routescope.admin import clocks
from tests.admin_pages import client, text
from tests.cast import event, signed_in, store
from tests.test_staff import staff

__all__ = ["client"]

POLICIES = reverse("admin:logs_contentpolicy_changelist")
DRY_RUN = reverse("admin:logs_contentpolicy_dry_run")


@pytest.fixture
def old(gateway: Gateway, settings: LazySettings) -> None:
    """A record of two years ago, where a year is kept."""
    store(gateway, event(created_at=timezone.now() - timedelta(days=730)), event(created_at=timezone.now()))
    settings.RECORD_RETENTION_MONTHS = 12


@pytest.mark.usefixtures("old")
def test_the_page_says_what_is_kept_and_what_goes_next_without_counting(client: Client) -> None:
    with CaptureQueriesContext(connection) as captured:
        page = text(client.get(POLICIES))
    asked = [one["sql"] for one in captured.captured_queries]
    assert asked and not [one for one in asked if re.search(r'count\(\*\).* FROM "?usage_', one, re.I)]
    assert "12 months" in page and "RECORD_RETENTION_MONTHS" in page and "Nothing yet." in page
    gone = timezone.now() - timedelta(days=730)
    assert f"{gone:%Y-%m} on " in page


@pytest.mark.usefixtures("old")
def test_a_dry_run_says_what_would_go_and_drops_nothing(client: Client) -> None:
    page = text(client.get(DRY_RUN))
    gone = timezone.now() - timedelta(days=730)
    assert f"usage_record_{gone:%Y_%m}: would be dropped" in page
    assert "Nothing was dropped." in page
    assert UsageRecord.objects.count() == 2 and not AuditEntry.objects.exists()


def test_a_dry_run_that_takes_too_long_says_what_has_the_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def long() -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 50")
            cursor.execute("SELECT pg_sleep(5)")
        return []

    monkeypatch.setattr(clocks, "dry_run", long)
    page = text(client.get(DRY_RUN))
    assert "“manage.py retention --dry-run” has the time" in page and "How long what is kept" in page


def test_changes_of_policies_and_of_clocks_are_kept_and_shown(
    client: Client, gateway: Gateway, settings: LazySettings
) -> None:
    client.post(reverse("admin:logs_contentpolicy_add"), {"gateway": gateway.pk, "level": Level.REDACTED})
    retention.run()
    retention.run()
    settings.CONTENT_RETENTION_DAYS = 7
    retention.run()
    kept = [one for one in AuditEntry.objects.values_list("object", flat=True) if one.startswith("Kept")]
    assert ["output 7 days" in one for one in kept] == [True, False]
    page = text(client.get(POLICIES))
    assert "output 7 days" in page and "edge: Redacted" in page
    assert "output 7 days" not in text(signed_in(staff("logs.view_contentpolicy")).get(POLICIES))


def test_who_may_not_see_policies_makes_no_dry_run(db: None) -> None:
    assert signed_in(staff("logs.view_usagerecord")).get(DRY_RUN).status_code == 403
