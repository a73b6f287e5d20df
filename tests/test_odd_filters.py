"""Whatever stands in an address: filters, searches and cursors answer, and never with 500."""

from __future__ import annotations

import os
import random
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse

from accounts.access import personal_tokens
from accounts.models import Gateway, User
from logs.models import UsageRecord
from tests.cast import event, signed_in, store
from tests.task_cast import a_task

VALUES = (
    "%00", "a%00b", "%ED%A0%80", "%ED%A0%BD", "%FF%FE", "%F0%9F", "%0A", "%0D%0ASet-Cookie:x", "%85",
    "%E2%80%A8", "%EF%BF%BE", "x" * 3_000, quote("🙂" * 500), "0001-01-01T00:00",
    "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00",
    "1969-12-31T23:59", "1970-01-01T00:00Z", "2038-01-19T03:14:08Z", "2026-02-30T00:00", "NaN",
    "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "1E%2B999999", "1e999999999", "9" * 400,
    "9" * 20, "0." + "1" * 400, "-1", "-0", "2147483648", "9223372036854775808", "%D9%A1", "true", "null",
    "[]", "%5B" * 900, "{", "'", "%22", "%5C", "%25", "..", "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
)  # fmt: skip
USAGE = (
    "range", "start", "end", "token", "model", "group", "status", "cause", "type", "stream", "endpoint",
    "cost_min", "cost_max", "duration_min", "duration_max", "tokens_min", "tokens_max", "live",
    "without", "estimated", "request_id", "compare", "errors", "sort", "older", "newer", "value", "since",
    "limit", "by", "q",
)  # fmt: skip
TASKS = (
    "range", "start", "end", "type", "status", "cause", "platform", "model", "token", "group", "task_id",
    "older", "newer", "limit", "of", "q",
)  # fmt: skip
ADMIN = (
    "q", "range", "start", "end", "user", "token", "model", "group", "status", "cause", "type", "older",
    "newer",
)  # fmt: skip
BOTH_ENDS = (
    "start=0001-01-01T00:00&end=9999-12-31T23:59",
    "start=1970-01-01T00:00:00Z&end=9999-12-31T23:59:59Z",
    "start=9999-12-31T23:58&end=9999-12-31T23:59",
    "start=9998-01-01T00:00Z",
    "end=0001-01-02T00:00Z",
    "start=2038-01-19T03:14&end=2038-01-19T03:15",
    "start=9999-12-31T23:59&end=0001-01-01T00:00",
)
PAGES = {
    "usage": USAGE,
    "usage-results": USAGE,
    "usage-chart": USAGE,
    "usage-news": USAGE,
    "usage-limits": USAGE,
    "tasks": TASKS,
    "tasks-results": TASKS,
    "tasks-counts": TASKS,
    "exports": ("status", "page"),
    "api-usage": USAGE,
    "api-usage-statistics": USAGE,
    "api-usage-breakdown": USAGE,
    "api-usage-series": USAGE,
    "api-tasks": TASKS,
    "admin:logs_usagerecord_changelist": ADMIN,
    "admin:tasks_asynctask_changelist": ADMIN,
    "admin:accounts_user_changelist": ("q", "p", "o"),
    "admin:accounts_apitoken_changelist": ("q", "p", "o"),
    "admin:logs_modelprice_changelist": ("q", "p", "o"),
}
QUERIES = int(os.environ.get("FUZZ_QUERIES", "50"))
"""Of a page in a run: others in each, as the run's seed has it. Over 2,000 is every one of them."""
_FINE = {200, 302, 400, 404}


@pytest.fixture
def clients(alice: User, admin: User, gateway: Gateway) -> dict[str, Client]:
    """Somebody with records and a task, an admin, and a program, by whom each address is for."""
    store(gateway, *(event(minutes=n, cost=None if n else Decimal(1)) for n in range(3)))
    a_task(alice, gateway)
    _, key = personal_tokens.issue(alice, "filters", 1)
    return {
        "admin": signed_in(admin),
        "api": Client(headers={"Authorization": f"Bearer {key}"}),
        "": signed_in(alice),
    }


@pytest.fixture(autouse=True)
def _unlimited(settings: Any) -> None:
    settings.READ_API_REQUESTS_PER_MINUTE = 10**6


@pytest.mark.parametrize("name", PAGES)
def test_no_value_of_a_filter_is_a_fault_of_ours(clients: dict[str, Client], name: str) -> None:
    client = next(client for kind, client in clients.items() if name.startswith(kind))
    url = reverse(name)
    queries = [f"{field}={value}" for field in PAGES[name] for value in VALUES]
    queries += [f"range=all&{field}={value}" for field in ("compare", "older", "newer") for value in VALUES]
    ends = [f"{both}{more}" for both in BOTH_ENDS for more in ("", "&compare=day", "&cost_min=0")]
    for query in (*random.sample(queries, min(QUERIES, len(queries))), *random.sample(ends, 3)):
        answer = client.get(f"{url}?{query}")
        assert answer.status_code in _FINE, f"{answer.status_code}: {url}?{query[:200]}"


@pytest.mark.parametrize(
    "path",
    [
        "/r/{}",
        "/records/usage/{}/",
        "/records/tasks/{}/",
        "/api/v1/usage/{}",
        "/api/v1/tasks/{}",
        "/admin/logs/usagerecord/{}/change/",
        "/admin/tasks/asynctask/{}/change/",
    ],
)
def test_no_path_is_a_fault_of_ours(clients: dict[str, Client], path: str) -> None:
    client = clients["admin" if "/admin/" in path else "api" if "/api/" in path else ""]
    for value in VALUES:
        answer = client.get(path.format(value))
        assert answer.status_code in _FINE, f"{answer.status_code}: {path.format(value)[:200]}"


def test_a_record_of_before_with_a_line_break_in_its_id_is_shown(
    alice: User, admin: User, gateway: Gateway, alice_client: Client
) -> None:
    """The rule for IDs holds for what comes; what was stored under none is still to be read."""
    store(gateway, event(request_id="old"))
    UsageRecord.objects.update(
        request_id="a\r\nb", upstream_request_id="\x01", endpoint="\x02\n", user_agent="\x1b"
    )
    record = UsageRecord.objects.get()
    for url in (
        f"{reverse('usage')}?range=all",
        reverse("usage-record", args=[record.pk]),
        reverse("usage-record-details", args=[record.pk]),
    ):
        assert alice_client.get(url).status_code == 200
    assert signed_in(admin).get(reverse("admin:logs_usagerecord_change", args=[record.pk])).status_code == 200
