"""What gateways send is counted, and why it was refused is kept, for an admin to see."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.gateways import deliveries
from accounts.models import Delivery, Refusal, User, UserIdentity
from logs.models import UsageRecord
from tests.sending import Sender, sender

__all__ = ["sender"]


def record(request_id: str, **more: Any) -> dict[str, Any]:
    return {"request_id": request_id, "created_at": time.time(), **more}


def counts(sender: Sender) -> list[deliveries.Sent]:
    return deliveries.summary(sender.gateway)


def test_accepted_repeated_and_refused_records_are_counted_by_address(sender: Sender) -> None:
    body = json.dumps([record("a"), record("b"), record("c", cost="much")]).encode()
    sender.post("/api/v1/usage", body)
    sender.post("/api/v1/usage", body)
    sender.post("/v1/traces", {})
    native, *_ = [sent for sent in counts(sender) if sent.endpoint == "/api/v1/usage"]
    assert (native.requests, native.accepted, native.duplicates, native.refused) == (2, 2, 2, 2)
    assert {sent.endpoint for sent in counts(sender)} == {"/api/v1/usage", "/v1/traces"}
    refusal = Refusal.objects.first()
    assert refusal is not None
    assert refusal.request_id == "c"
    assert refusal.reason.startswith("cost: ")


@pytest.mark.parametrize("path", ["/api/v1/usage", "/api/v1/ingest/litellm", "/v1/traces"])
def test_a_request_of_which_nothing_can_be_used_is_kept_with_its_reason(sender: Sender, path: str) -> None:
    assert sender.post(path, b"{nonsense").status_code == 400
    [sent] = counts(sender)
    assert (sent.requests, sent.failed_requests, sent.accepted) == (1, 1, 0)
    assert Refusal.objects.get().endpoint == path


def test_only_the_last_refusals_are_kept(sender: Sender) -> None:
    for number in range(deliveries.KEEP_REFUSALS + 20):
        deliveries.refused(sender.gateway, "/api/v1/usage", f"reason {number}")
    assert Refusal.objects.count() == deliveries.KEEP_REFUSALS
    assert Refusal.objects.order_by("-id")[0].reason == f"reason {deliveries.KEEP_REFUSALS + 19}"


def test_a_batch_that_is_wrong_throughout_says_so_once(sender: Sender) -> None:
    sender.post("/api/v1/usage", [record(str(number), cost="much") for number in range(100)])
    assert Refusal.objects.count() == 1
    assert counts(sender)[0].refused == 100


def test_old_counts_go(sender: Sender) -> None:
    old = timezone.now() - timedelta(days=deliveries.KEEP_DAYS + 5)
    Delivery.objects.create(gateway=sender.gateway, endpoint="/x", day=old.date(), last_at=old)
    sender.post("/api/v1/usage", [record("a")])
    assert [sent.endpoint for sent in counts(sender)] == ["/api/v1/usage"]


def test_records_are_answered_for_even_where_they_cannot_be_counted(sender: Sender) -> None:
    with mock.patch.object(deliveries, "_COUNT", "SELECT no_such_column"):
        assert sender.post("/api/v1/usage", [record("a")]).json()["accepted"] == 1
    assert UsageRecord.objects.exists()


def test_an_admin_sees_what_a_gateway_sends_and_why_it_was_refused(sender: Sender) -> None:
    sender.post("/api/v1/usage", [record("a"), record("<b>", cost="<much>")])
    admin = User.objects.create_superuser("admin@example.com", "correct horse")
    client = Client()
    client.force_login(admin)
    page = client.get(reverse("admin:accounts_gateway_sent", args=[sender.gateway.pk]))
    text = page.content.decode()
    assert page.status_code == 200
    assert "/api/v1/usage" in text
    assert "cost: " in text
    assert "&lt;b&gt;" in text
    assert "curl -sS" in text
    assert client.get(reverse("admin:accounts_gateway_sent", args=[999])).status_code == 404


def test_nobody_else_does(sender: Sender, client: Client) -> None:
    client.force_login(User.objects.create_user("bob@example.com", "correct horse"))
    assert client.get(reverse("admin:accounts_gateway_sent", args=[sender.gateway.pk])).status_code in (
        302,
        403,
        404,
    )


def test_a_rename_reaches_past_records_and_a_mapping_those_that_arrive_later(sender: Sender) -> None:
    sender.post("/api/v1/usage", [record("old", user="u-7", token="k", group="g", model="m")])
    past = sender.record("old")
    for row in (past.user, past.token, past.group, past.model):
        type(row).objects.filter(pk=row.pk).update(name="renamed")
    seen = sender.record("old")
    assert {seen.user.name, seen.token.name, seen.group.name, seen.model.name} == {"renamed"}
    # The gateway goes on with its own names: they lead to the renamed ones, or where an admin points them.
    sender.post("/api/v1/usage", [record("new", user="u-7", token="k", group="g")])
    assert sender.record("new").token_id == past.token_id
    assert sender.record("new").group_id == past.group_id
    other = User.objects.create_user("ann@example.com", "correct horse")
    UserIdentity.objects.filter(gateway=sender.gateway, name="u-7").update(user=other)
    sender.post("/api/v1/usage", [record("mapped", user="u-7")])
    assert sender.record("mapped").user == other
    assert sender.record("old").user_id == past.user_id
