"""Exports, tokens and the read API's pages in a browser: accessible, and Export follows the filters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from django.http import QueryDict
from playwright.sync_api import Page, expect

from accounts.access import personal_tokens
from accounts.exports import exporting
from accounts.models import Export, Gateway, User
from tests.cast import event, just_now, store
from tests.e2e import hands
from tests.test_shell import faults

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def records(gateway: Gateway, alice: User, settings: Any, tmp_path: Path) -> None:
    settings.EXPORTS_DIR = tmp_path
    store(gateway, event(created_at=just_now()), event(created_at=just_now(), model="claude"))
    for form in ("csv", "parquet", "jsonl"):
        export = exporting.ask(alice, "usage", form, ["cost"], QueryDict("model=claude"), gzipped=True)
        if form == "csv":
            exporting.run(export.pk)
        elif form == "parquet":
            Export.objects.filter(pk=export.pk).update(status="failed", problem="rows")
        else:
            Export.objects.filter(pk=export.pk).update(status="cancelled")
    personal_tokens.issue(alice, "reports", 30)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_accessible(
    page: Page, records: None, scheme: Literal["light", "dark"], width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    hands.enter(page, "/records/usage/")
    for path in (
        "/exports/",
        "/exports/new/?source=usage",
        "/tokens/",
        "/profile/access-tokens/",
        "/profile/read-api/",
    ):
        page.goto(path)
        assert faults(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_export_follows_the_filters_without_a_reload(page: Page, records: None) -> None:
    hands.enter(page, "/records/usage/?model=claude")
    link = page.get_by_role("link", name="Export", exact=True)
    expect(link).to_have_attribute("href", "/exports/new/?source=usage&model=claude")
    page.locator("#reset").click()
    expect(link).to_have_attribute("href", "/exports/new/?source=usage")
    page.locator("#tab-tasks").click()
    expect(link).to_have_attribute("href", "/exports/new/?source=tasks")
