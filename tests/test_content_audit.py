"""An admin who looks at somebody's content is written down; policies and prices are changed in the admin."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AIModel, AuditEntry, Gateway, User
from logs.models import ContentPolicy, Level, ModelPrice, UsageRecord
from tests.cast import event, signed_in, store


@pytest.fixture
def record(alice: User, gateway: Gateway) -> UsageRecord:
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    moment = timezone.now() - timedelta(hours=1)
    store(gateway, event(created_at=moment, input=json.dumps("a purple cow").encode()))
    return UsageRecord.objects.get()


def content_url(record: UsageRecord) -> str:
    return reverse("admin:logs_usagerecord_content", args=[record.pk])


def test_content_is_hidden_until_an_admin_asks_and_asking_is_kept(
    admin: User, alice: User, record: UsageRecord
) -> None:
    client = signed_in(admin)
    details = client.get(reverse("admin:logs_usagerecord_change", args=[record.pk])).content.decode()
    assert content_url(record) in details and "purple" not in details
    hidden = client.get(content_url(record)).content.decode()
    assert "Hidden" in hidden and "purple" not in hidden
    assert not AuditEntry.objects.exists()

    assert "a purple cow" in client.post(content_url(record)).content.decode()

    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.subject, entry.act) == (admin, alice, AuditEntry.Act.CONTENT)
    assert entry.object == record.request_id
    log = client.get(reverse("admin:accounts_auditentry_changelist")).content.decode()
    assert "Viewed content" in log and record.request_id in log


def test_staff_without_the_permission_see_nothing(bob: User, record: UsageRecord) -> None:
    bob.is_staff = True
    bob.save()
    bob.user_permissions.add(Permission.objects.get(codename="view_usagerecord"))
    assert signed_in(bob).post(content_url(record)).status_code == 403
    assert not AuditEntry.objects.exists()


def test_a_person_who_is_no_admin_does_not_get_there(alice_client: Client, record: UsageRecord) -> None:
    assert alice_client.get(content_url(record)).status_code == 302


def test_the_audit_log_cannot_be_changed(admin: User, record: UsageRecord) -> None:
    client = signed_in(admin)
    client.post(content_url(record))
    entry = AuditEntry.objects.get()
    for name in ("change", "delete"):
        url = reverse(f"admin:accounts_auditentry_{name}", args=[entry.pk])
        assert client.post(url, {"object": "nothing"}).status_code in {302, 403}
    assert AuditEntry.objects.get().object == record.request_id


def test_prices_and_policies_are_entered_in_the_admin_and_noted(admin: User, gateway: Gateway) -> None:
    client = signed_in(admin)
    model = AIModel.objects.create(name="house-1")
    answer = client.post(
        reverse("admin:logs_modelprice_add"),
        {
            "model": model.pk,
            "valid_from_0": "2026-01-01",
            "valid_from_1": "00:00",
            "input": "1.5",
            "output": "2",
        },
    )
    assert answer.status_code == 302, answer.content.decode()[:3000]
    price = ModelPrice.objects.get()
    assert price.created_by == admin
    client.post(reverse("admin:logs_contentpolicy_add"), {"gateway": gateway.pk, "level": Level.REDACTED})
    assert ContentPolicy.objects.get().level == Level.REDACTED
    assert {entry.act for entry in AuditEntry.objects.all()} == {"prices", "retention"}
    # A version that is in force is history: changed by a new one only.
    client.post(reverse("admin:logs_modelprice_change", args=[price.pk]), {"input": "99"})
    price.refresh_from_db()
    assert price.input == 1.5
    for page in ("modelprice", "groupratio", "contentpolicy"):
        assert client.get(reverse(f"admin:logs_{page}_changelist")).status_code == 200


def test_a_policy_is_of_exactly_one_thing(admin: User, gateway: Gateway) -> None:
    page = signed_in(admin).post(reverse("admin:logs_contentpolicy_add"), {"level": Level.FULL})
    assert "exactly one of them" in page.content.decode()
