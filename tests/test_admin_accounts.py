"""Tokens, groups, models and the names that gateways have for people and tokens, in the Django admin."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import AIModel, ApiToken, Gateway, TokenIdentity, User, UserIdentity
from logs.models import UsageRecord
from tests.admin_pages import client, provisioned, text
from tests.cast import event, store

__all__ = ["client", "provisioned"]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("sk-proj-0123456789abcdefghij", "sk-proj-…ghij"),
        ("sk-p…ghij", "sk-p…ghij"),
        ("sk-***ghij", "sk-***ghij"),
        ("", ""),
    ],
)
def test_a_key_is_masked_before_it_is_kept(client: Client, alice: User, typed: str, kept: str) -> None:
    sent = {"owner": alice.pk, "name": "prod", "masked_key": typed, "status": "active", "rpm_limit": "60"}
    response = client.post("/admin/accounts/apitoken/add/", sent)
    assert response.status_code == 302, text(response)
    token = ApiToken.objects.get()
    assert (token.masked_key, token.rpm_limit) == (kept, 60)


def test_a_token_keeps_its_owner(client: Client, alice: User, bob: User) -> None:
    token = ApiToken.objects.create(owner=alice, name="prod")
    sent = {"owner": bob.pk, "name": "renamed", "status": "disabled"}
    assert client.post(f"/admin/accounts/apitoken/{token.pk}/change/", sent).status_code == 302
    token.refresh_from_db()
    assert (token.owner, token.name, token.status) == (alice, "renamed", "disabled")


def test_a_group_takes_no_negative_ratio(client: Client, db: None) -> None:
    url = "/admin/accounts/group/add/"
    assert client.post(url, {"name": "vip", "ratio": "-0.1"}).status_code == 200
    assert client.post(url, {"name": "vip", "ratio": "0.8"}).status_code == 302


def test_a_model_is_renamed_with_its_records(client: Client, gateway: Gateway) -> None:
    store(gateway, event(request_id="r-1", model="gpt5"))
    model = AIModel.objects.get()
    client.post(f"/admin/accounts/aimodel/{model.pk}/change/", {"name": "gpt-5"})
    assert "gpt-5" in text(client.get("/admin/logs/usagerecord/", {"q": "r-1"}))


def test_a_name_at_a_gateway_is_pointed_at_somebody_else(
    client: Client, gateway: Gateway, alice: User, provisioned: User
) -> None:
    identity = UserIdentity.objects.get(name="agent-7")
    url = f"/admin/accounts/useridentity/{identity.pk}/change/"
    assert client.post(url, {"user": alice.pk, "name": "changed", "gateway": 0}).status_code == 302
    identity.refresh_from_db()
    assert (identity.user, identity.name, identity.gateway) == (alice, "agent-7", gateway)
    store(gateway, event("agent-7", request_id="later"))
    assert UsageRecord.objects.get(request_id="later").user == alice
    assert UsageRecord.objects.exclude(request_id="later").get().user == provisioned


def test_a_tokens_name_is_not_pointed_at_another_users_token(
    client: Client, gateway: Gateway, alice: User, bob: User
) -> None:
    store(gateway, event(), event("bob@example.com"))
    identity = TokenIdentity.objects.get(user=alice)
    url = f"/admin/accounts/tokenidentity/{identity.pk}/change/"
    bobs = ApiToken.objects.get(owner=bob)
    assert "This token belongs to Bob. Choose one of Alice's." in text(client.post(url, {"token": bobs.pk}))
    other = ApiToken.objects.create(owner=alice, name="other")
    assert client.post(url, {"token": other.pk}).status_code == 302
