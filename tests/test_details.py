"""The details of one record, through HTTP."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Gateway, User
from logs.events import Failure
from logs.models import Cause, Status, UsageRecord
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
    assert "Judged by earlier rules. Today's say: Balance." in page


def test_the_record_that_was_searched_for_shows_its_verdict(
    alice_client: Client, failed: UsageRecord
) -> None:
    page = alice_client.get(reverse("usage"), {"request_id": failed.request_id}).content.decode()
    assert "Cause: Balance" in page
