"""The details of one record, through HTTP."""

from __future__ import annotations

from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Gateway, User
from logs.models import Cause, RecordType, Status, UsageRecord
from logs.models.events import Failure
from tests.cast import event, store


def details(client: Client, record: UsageRecord) -> str:
    return client.get(reverse("usage-record-details", args=[record.id])).content.decode()


@pytest.fixture
def failed(alice: User, gateway: Gateway) -> UsageRecord:
    failure = Failure(
        type="insufficient_quota", code="insufficient_quota", message="You exceeded your current quota."
    )
    store(gateway, event(status=Status.ERROR, http_status=429, error=failure))
    return UsageRecord.objects.get()


def test_a_failure_names_its_cause_the_evidence_and_the_next_step(
    alice_client: Client, failed: UsageRecord
) -> None:
    page = details(alice_client, failed)
    assert "Cause: Balance" in page
    assert 'Error code: <span class="mono">insufficient_quota</span>' in page
    assert "Top up" in page


def test_a_verdict_by_earlier_rules_says_so(alice_client: Client, failed: UsageRecord) -> None:
    UsageRecord.objects.update(cause=Cause.RATE_LIMIT)
    page = details(alice_client, failed)
    assert "Cause: Rate limit" in page
    assert "Judged by earlier rules. Today's rules say: Balance." in page


def test_the_record_that_was_searched_for_shows_its_verdict(
    alice_client: Client, failed: UsageRecord
) -> None:
    page = alice_client.get(reverse("usage"), {"request_id": failed.request_id}).content.decode()
    assert "Cause: Balance" in page


def test_attempts_are_a_timeline_inside_the_request(alice_client: Client, gateway: Gateway) -> None:
    attempts: list[dict[str, object]] = [
        {"channel": "azure-eu", "status": "error", "http_status": 503, "duration_ms": 300,
         "error": {"code": "server_error", "message": "The engine is currently overloaded"}},
        {"channel": "openai", "status": "success", "http_status": 200, "duration_ms": 900},
    ]  # fmt: skip
    store(gateway, event(attempts=attempts, duration_ms=1200))
    page = details(alice_client, UsageRecord.objects.get())
    assert "Attempt 1 · azure-eu · failed · 503 · 300 ms" in page
    assert "server_error: The engine is currently overloaded" in page
    assert "+300 ms" in page and 'x="25.00" width="75.00"' in page


def test_a_charge_and_its_refund_show_each_other_and_what_is_left(
    alice_client: Client, gateway: Gateway
) -> None:
    store(
        gateway,
        event(request_id="req_a", task_id="t1", type=RecordType.TASK, cost=Decimal("0.50")),
        event(request_id="req_a", task_id="t1", type=RecordType.REFUND, cost=Decimal("-0.20"), minutes=1),
        event("bob@example.com", request_id="req_a", cost=Decimal(9)),
    )
    charge, refund = UsageRecord.objects.filter(task_id="t1").order_by("id")
    for one, other in ((charge, refund), (refund, charge)):
        page = details(alice_client, one)
        assert reverse("usage-record", args=[other.id]) in page
        assert 'data-net="0.3"' in page
        assert "?task_id=t1" in page


def test_the_support_note_is_redacted_text(alice_client: Client, gateway: Gateway) -> None:
    failure = Failure(
        code="invalid_api_key", message="Incorrect API key provided: sk-proj-abcdefghijklmnop1234."
    )
    store(gateway, event(status=Status.ERROR, http_status=401, error=failure, model="gpt-4o"))
    record = UsageRecord.objects.get()
    page = details(alice_client, record)
    note = unescape(page.split('data-copy="Request ID: ')[1].split('"')[0])
    assert note.startswith(record.request_id)
    for line in ("Status: 401 Permission", "Cause: Permission", "Model: gpt-4o", f"/r/{record.request_id}"):
        assert line in note
    assert "sk-proj" not in page


def test_details_take_a_fixed_number_of_queries(
    alice_client: Client, gateway: Gateway, django_assert_max_num_queries: Any
) -> None:
    store(gateway, *(event(request_id="same", minutes=minute) for minute in range(20)))
    with django_assert_max_num_queries(25):
        alice_client.get(reverse("usage"), {"request_id": "same"})
