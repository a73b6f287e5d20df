"""Every page at every width, in one session: nothing scrolls sideways, and no table hides what matters.

Names are long and figures are large. A column may give way where the room is short, but not one of those
named here; and what is clipped or scrolls beside the page is hidden, whatever its column.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.http import QueryDict
from django.utils import timezone
from playwright.sync_api import Page

from accounts.access import personal_tokens
from accounts.exports import exporting
from accounts.models import AIModel, ApiToken, Export, Gateway, Group, User
from logs.models import RecordType, UsageRecord
from tasks.models import AsyncTask
from tests import task_cast
from tests.cast import event, store
from tests.e2e import hands
from tests.e2e.conftest import LIMITED
from tests.test_shell import ANYBODYS, OWN

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

WIDTHS = (1440, 1280, 1100, 1024, 960, 900, 820, 768, 700, 640, 390, 320)
LONG = "a-name-of-a-token-that-somebody-made-rather-long-so-that-it-is-told-from-the-others"
RECORDS = "/records/usage/"
PAGES = (
    RECORDS,
    f"{RECORDS}?errors=each",
    f"{RECORDS}?errors=gathered",
    *(f"{RECORDS}?compare={by}" for by in ("model", "token", "group", "day", "cause")),
    f"{RECORDS}?token={LONG}&model=veo-3.1-generate-preview-with-a-long-name&status=success&cost_min=1",
    f"{RECORDS}?request_id=nothing_like_this",
    f"{RECORDS}limits/?token={LONG}",
    f"{RECORDS}limits/?token=no-limits",
    "/records/tasks/",
    "/records/tasks/?task_id=nothing_like_this",
    "/tokens/",
    "/exports/",
    "/exports/new/?source=usage",
    "/exports/new/?source=tasks",
    "/profile/access-tokens/",
    "/profile/read-api/",
    "/learn/",
    "/learn/consumption/",
)
MATTERS = {
    "table.listing:has(> tbody > tr.record)": ("tbody .c-time", "tbody .c-id", "tbody .c-status"),
    "table.compare": ("tbody .k-name", "tbody .k-cost"),
    "table.own-tokens": ("tbody .t-name", ".gauge-words", "tbody .t-over", "tbody .t-spend"),
    "table.own-exports": (".export-what", ".status", ".export-actions"),
    "table.crossings": ("tbody .id", "tbody .num"),
    "table.receipt": (".total .num",),
}
"""By table, what is in sight at every width, wherever there is any of it."""
_OPEN = "for (const one of document.querySelectorAll('details.chart-table, details.raw')) one.open = true;"
_WIDER = "document.body.style.letterSpacing = '0.015em'"
"""Words a little wider than today's: what fits then fits whatever time, amount or name comes tomorrow."""
_LOOK = """
async (matters) => {
  // What follows the window's size by a script is drawn anew in the next frame.
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const wrong = [];
  const room = document.documentElement.clientWidth;
  const wide = document.documentElement.scrollWidth;
  const shown = (box) => box.checkVisibility() && !box.closest(".visually-hidden");
  if (wide > innerWidth) {
    const out = [...document.querySelectorAll("body *")].filter(
      (box) => shown(box) && !box.closest("thead") && box.getBoundingClientRect().right > innerWidth + 1,
    );
    const by = out.slice(-3).map((box) => box.outerHTML.slice(0, 90));
    wrong.push(`the page scrolls sideways: ${wide}, by ${by}`);
  }
  for (const table of document.querySelectorAll("main table")) {
    if (!shown(table)) continue;
    for (let box = table.parentElement; box !== document.body; box = box.parentElement) {
      if (getComputedStyle(box).overflowX === "visible") continue;
      if (box.scrollWidth > box.clientWidth + 1) {
        wrong.push(`${table.className} is hidden in ${box.className}: ${box.scrollWidth}`);
      }
      break;
    }
  }
  for (const box of document.querySelectorAll(".stats, .detail, .limits-figures, .card, .tabs")) {
    if (shown(box) && box.scrollWidth > box.clientWidth + 1) {
      wrong.push(`${box.className} is cut: ${box.scrollWidth} of ${box.clientWidth}`);
    }
  }
  for (const [table, columns] of Object.entries(matters)) {
    for (const found of document.querySelectorAll(table)) {
      if (!shown(found)) continue;
      for (const column of columns) {
        const cell = found.querySelector(`:scope ${column}`);
        if (!cell) continue;
        const { left, right, width } = cell.getBoundingClientRect();
        if (!width || left < -1 || right > room + 1) wrong.push(`${column} of ${table} is out of sight`);
      }
    }
  }
  return wrong;
}
"""


@pytest.fixture
def wide(gateway: Gateway, alice: User, settings: Any, tmp_path: Path) -> None:
    """Something of everything, with long names and large figures."""
    settings.EXPORTS_DIR = tmp_path
    now = timezone.now().replace(microsecond=0) - timedelta(minutes=5)
    rows = [
        event(
            request_id=f"req_{number:032x}",
            created_at=now - timedelta(seconds=20 * number),
            token=(LONG, "no-limits")[number % 4 == 3],
            model=("veo-3.1-generate-preview-with-a-long-name", "gpt-5")[number % 2],
            group=("a-pricing-group-with-a-long-name", "vip")[number % 3 == 0],
            cost=Decimal("12345.67890123") if number % 2 else Decimal("0.00000123"),
            input_tokens=1_234_567,
            output_tokens=123_456,
            cached_tokens=900_000,
            duration_ms=765_432,
            ttft_ms=54_321,
            metadata={"trace_id": "f" * 64},
            **({} if number % 5 else LIMITED),
        )
        for number in range(60)
    ]
    store(
        gateway,
        *rows,
        event(
            created_at=now + timedelta(seconds=9), token=LONG, type=RecordType.REFUND, cost=Decimal("-1234.5")
        ),
        event(
            created_at=now + timedelta(seconds=7), token=LONG, type=RecordType.ADJUSTMENT, cost=Decimal(-1)
        ),
    )
    ApiToken.objects.filter(name=LONG).update(
        rpm_limit=2,
        tpm_limit=1_000_000,
        group=Group.objects.get(name="a-pricing-group-with-a-long-name"),
        allowed_models=[f"a-model-whose-name-is-long-{number}" for number in range(9)],
        expires_at=now + timedelta(days=300),
        masked_key="sk-abcde…wxyz",
        budget=100_000,
        budget_spent=Decimal("98765.4321"),
    )
    for number, status in enumerate(("succeeded", "failed", "running", "partially_succeeded")):
        task_cast.a_task(
            alice,
            gateway,
            submitted_at=now - timedelta(minutes=number),
            status=status,
            model=AIModel.objects.get(name="veo-3.1-generate-preview-with-a-long-name"),
            token=ApiToken.objects.get(name=LONG),
        )
    for status, problem in (("done", ""), ("failed", "rows"), ("running", "")):
        export = exporting.ask(
            alice, "usage", "csv", ["cost"], QueryDict(f"token={LONG}&status=error"), gzipped=True
        )
        if status == "done":
            exporting.run(export.pk)
        else:
            Export.objects.filter(pk=export.pk).update(status=status, problem=problem)
    personal_tokens.issue(alice, "a name that says what the token is for, and for whom it was made", 30)


@pytest.mark.expects_browser_errors("status of 404")
def test_every_page_fits_every_width(page: Page, wide: None) -> None:
    wrong = [found for path in ANYBODYS for found in looked_at(page, path)]
    hands.enter(page, "/records/usage/")
    records = UsageRecord.objects.filter(type=RecordType.REQUEST).order_by("-id")
    failed, fine = records.filter(error_type__isnull=False)[0], records.filter(error_type=None)[0]
    own = [f"{RECORDS}{record.pk}/" for record in (failed, fine)]
    own += [f"{RECORDS}?request_id={failed.request_id}"]
    own += [f"/records/tasks/{task.pk}/" for task in AsyncTask.objects.all()[:2]]
    for path in (*PAGES, *own, *OWN):
        wrong += looked_at(page, path)
    assert not wrong, "\n".join(wrong)


def test_everybodys_pages_fit_too(page: Page, wide: None, admin: User, alice: User, bob: User) -> None:
    User.objects.filter(pk=alice.pk).update(name="Somebody whose name is written in full, with all of it")
    hands.be_known(page, "admin@example.com")
    page.goto(f"/records/as/{alice.pk}/")
    page.get_by_role("button", name="See it").click()
    record, task = UsageRecord.objects.order_by("-id")[0], AsyncTask.objects.order_by("-id")[0]
    wrong: list[str] = []
    for of in ("everyone", f"as:{alice.pk}"):
        for path in (
            f"{RECORDS}?of={of}",
            f"{RECORDS}?of={of}&errors=each",
            f"{RECORDS}?of={of}&compare={'person' if of == 'everyone' else 'model'}",
            f"/records/tasks/?of={of}",
            f"{RECORDS}{record.pk}/?of={of}",
            f"/records/tasks/{task.pk}/?of={of}",
        ):
            wrong += looked_at(page, path)
    assert not wrong, "\n".join(wrong)


def looked_at(page: Page, path: str) -> Iterator[str]:
    """Say what is wrong with a page at each width."""
    page.set_viewport_size({"width": WIDTHS[0], "height": 800})
    page.goto(path)
    page.evaluate(_OPEN)
    page.evaluate(_WIDER)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        for fault in page.evaluate(_LOOK, MATTERS):
            yield f"{path} at {width}: {fault}"
