"""Task Logs in a real browser: rows that change by themselves and stop, results in their sandbox."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from pytest_django.fixtures import Settings as SettingsWrapper

from accounts.models import Gateway, User
from routescope.demo.provider import DevelopmentProvider, plan
from tasks.following import leases, polling
from tasks.providers.catalogue import catalogue
from tests import task_cast
from tests.e2e import hands

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def provider(settings: SettingsWrapper) -> Iterator[DevelopmentProvider]:
    server = DevelopmentProvider().start()
    settings.OUTBOUND_ALLOWED = [server.url.removeprefix("http://")]
    yield server
    server.shutdown()
    server.server_close()


def poll() -> None:
    for claim in leases.claim(catalogue()):
        polling.poll(claim.task_id, claim.lease, catalogue())


@pytest.mark.expects_browser_errors("request to another host: http://127.0.0.1:")
def test_a_running_row_ends_before_ones_eyes_and_then_rests(
    page: Page, alice: User, gateway: Gateway, provider: DevelopmentProvider
) -> None:
    task_cast.a_key("replicate", "k", base_url=provider.url)
    name = plan("image", "succeeded", 3, start=time.time() - 30, seconds=10)
    task = task_cast.a_task(
        alice, gateway, platform="replicate", provider_task_id=name, type="image", status="running"
    )
    hands.enter(page, "/records/tasks/")
    status = page.locator(f"#status-{task.pk.hex}")
    expect(status).to_have_text("Running")
    page.locator("tr.record .toggle").click()
    expect(page.locator(f"#task-detail-{task.pk}")).to_be_visible()
    poll()
    expect(status).to_have_text("Succeeded")
    # The open details follow, with the pictures in their frame; nothing asks any more.
    expect(page.locator("figure.made")).to_have_count(4)
    picture = page.frame_locator("iframe.media-frame").first.locator("img")
    expect(picture).to_be_visible()
    expect(page.locator("#live[hx-get]")).to_have_count(0)
    expect(picture).to_have_js_property("naturalWidth", 640)
    expect(page.locator(".listing [hx-trigger]")).to_have_count(0)
