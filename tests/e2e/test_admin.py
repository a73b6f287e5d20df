"""Every page of the admin under axe, and none cut off: at a laptop's width and a desk's, light and dark."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Literal

import pytest
from django.contrib import admin as django_admin
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import AIModel, ApiToken, Gateway, Group, User
from logs.models import ContentPolicy, Level, ModelPrice, Status, UsageRecord
from logs.models.events import Failure
from routescope.models import JobRun
from tasks.models import AsyncTask, EarlyWebhook, HostHealth, Provider, ProviderCredential, TaskStatus
from tasks.providers.catalogue import built_in_source
from tests.cast import event, just_now, store
from tests.e2e import hands
from tests.task_cast import a_task
from tests.test_shell import faults

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def everything(gateway: Gateway, alice: User) -> None:
    """Something in every list, with long names, and something of every kind to settle."""
    store(
        gateway,
        *(
            event(
                created_at=just_now(),
                cost=Decimal("0.0012"),
                duration_ms=1500,
                ttft_ms=300,
                cached_tokens=50,
                token="a-token-whose-name-is-rather-long-for-a-column",
                model="anthropic/claude-sonnet-4-5-20250929-extended-thinking",
            )
            for _ in range(20)
        ),
        event(
            request_id="req_failed",
            created_at=just_now(),
            status=Status.ERROR,
            http_status=429,
            error=Failure(type="rate_limit_error", code="rate_limit_exceeded", message="Too many requests."),
            parameters={"temperature": 1},
            attempts=[{"channel": "a", "status": "error", "http_status": 429}],
            metadata={"team": "search"},
        ),
        event("alice", created_at=just_now(), model="nobody-sells-it"),
    )
    now = timezone.now()
    a_task(alice, gateway, status=TaskStatus.FAILED, failure_message="No credit", next_poll_at=None)
    a_task(alice, gateway, next_poll_at=now - timedelta(hours=1))
    ContentPolicy.objects.create(gateway=gateway, level=Level.REDACTED)
    ModelPrice.objects.create(model=AIModel.objects.get(name="gpt-5"), input=Decimal(3), note="By contract")
    Provider.objects.create(slug="luma", definition=built_in_source("luma"))
    ProviderCredential.objects.create(
        platform="luma", api_key="k", gateway=gateway, key_origins=["https://api.lumalabs.ai"]
    )
    HostHealth.objects.create(host="api.example", failures=3, last_error="The server closed the connection.")
    waiting = now - timedelta(hours=1)
    EarlyWebhook.objects.create(
        platform="luma", provider_task_id="x", delivery_id="d", body="{}", received_at=waiting
    )
    JobRun.note_end(
        "logs.fold", now, JobRun.Outcome.FAILED, "OperationalError: the server closed the connection"
    )


def addresses() -> list[str]:
    """Return every list, every form to add, one object of each model, and the special pages."""
    found = ["/admin/", "/admin/settle/", "/admin/tasks/provider/try/?of=luma"]
    found += [
        reverse("admin:logs_contentpolicy_dry_run"),
        f"{reverse('admin:logs_usagerecord_changelist')}?q=none",
    ]
    for model in django_admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found.append(reverse(f"{name}_changelist"))
        found.append(reverse(f"{name}_add"))
        row = model._default_manager.order_by("pk").first()
        if row is not None:
            found.append(reverse(f"{name}_change", args=[row.pk]))
    gateway, user = Gateway.objects.get(), User.objects.exclude(email=None).get(email="alice@example.com")
    failed, task = UsageRecord.objects.get(request_id="req_failed"), AsyncTask.objects.first()
    assert task is not None
    return [
        *found,
        reverse("admin:logs_usagerecord_change", args=[failed.pk]),
        reverse("admin:logs_usagerecord_content", args=[failed.pk]),
        reverse("admin:tasks_asynctask_content", args=[task.pk]),
        reverse("admin:accounts_gateway_sent", args=[gateway.pk]),
        reverse("admin:accounts_gateway_issue_key", args=[gateway.pk]),
        reverse("admin:accounts_user_merge", args=[user.pk]),
        reverse("admin:accounts_user_history", args=[user.pk]),
        f"{reverse('admin:logs_modelprice_add')}?model={AIModel.objects.get(name='gpt-5').pk}",
        reverse("admin:accounts_apitoken_merge", args=[ApiToken.objects.order_by("pk")[0].pk]),
        reverse("admin:accounts_group_merge", args=[Group.objects.get(name="default").pk]),
    ]


CUT_OFF = """
() => [...document.querySelectorAll("#content, #content *")]
  .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0
    && ["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(one).overflowX)
    && !one.matches("textarea, pre, select, input, option, button, thead")
    && !one.matches(".visually-hidden, .select2-container *"))
  .map((one) => `${one.tagName}.${one.className}#${one.id}: ${one.scrollWidth} in ${one.clientWidth}`)
"""


@pytest.mark.expects_browser_errors("status of 403")
@pytest.mark.parametrize(("scheme", "looked_at"), [("light", 1440), ("dark", 1024)])
def test_the_admin_is_accessible_and_nothing_is_cut_off(
    page: Page, admin: User, everything: None, scheme: Literal["light", "dark"], looked_at: int
) -> None:
    User.objects.filter(pk=admin.pk).update(theme=scheme)
    hands.enter(page, "/admin/", str(admin.email))
    problems = []
    for path in addresses():
        page.set_viewport_size({"width": 1440, "height": 900})
        answer = page.goto(path)
        assert answer is not None and answer.status in (200, 403), path
        if answer.status == 403:
            continue
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == scheme
        for width in (1440, 1024):
            page.set_viewport_size({"width": width, "height": 900})
            problems += [f"{path} at {width}: {cut}" for cut in page.evaluate(CUT_OFF)]
            if page.evaluate("document.documentElement.scrollWidth") > width:
                problems.append(f"{path} at {width} scrolls sideways")
            if width == looked_at:
                problems += [f"{path} at {width} {fault}" for fault in faults(page)]
    assert not problems, "\n".join(problems)


def test_a_definition_is_written_by_keyboard_and_tried_beside_itself(page: Page, admin: User) -> None:
    hands.enter(page, "/admin/tasks/provider/add/?of=luma", str(admin.email))
    area = page.get_by_label("Definition")
    before = area.input_value()
    area.focus()
    page.keyboard.press("Control+Home")
    page.keyboard.press("Tab")
    assert area.input_value() == f"  {before}"
    page.keyboard.press("Shift+Tab")
    assert area.input_value() == before
    expect(area).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(area).not_to_be_focused()
    page.get_by_role("textbox", name="Sample answer (JSON)").fill(
        '{"state": "failed", "failure_reason": "advanced moderation failed"}'
    )
    hands.Mouse(page).press(page.get_by_role("button", name="Read answer"))
    expect(page.locator("#try-result")).to_contain_text("advanced moderation failed")
    assert page.url.endswith("?of=luma") and not Provider.objects.exists()


def test_the_theme_that_is_chosen_in_the_admin_is_the_persons(page: Page, admin: User) -> None:
    hands.enter(page, "/admin/", str(admin.email))
    with page.expect_response("**/profile/theme/"):
        page.get_by_role("button", name="Dark", exact=True).click()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    page.goto("/records/usage/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/admin/")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
