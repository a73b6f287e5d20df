"""The audit log: every act of an admin, in the transaction that does it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib import admin as django_admin
from django.db import DatabaseError, models
from django.test import Client, RequestFactory
from django.utils import timezone

from accounts.admin.audited import AuditedAdmin
from accounts.models import AIModel, ApiToken, AuditEntry, Gateway, Group, IngestKey, UserIdentity
from accounts.models import User as Person
from logs.models import ContentPolicy, Level, ModelPrice
from tasks.models import Provider, ProviderCredential
from tasks.providers.catalogue import built_in_source
from tests.cast import signed_in

Act = AuditEntry.Act
CONFIRMED = {"post": "yes"}


@pytest.fixture
def client(admin: Person) -> Client:
    return signed_in(admin)


def price(**values: Any) -> ModelPrice:
    model, _ = AIModel.objects.get_or_create(name="gpt-5")
    return ModelPrice.objects.create(
        model=model, valid_from=timezone.now() + timedelta(days=2), input=Decimal(1), **values
    )


def bulk(path: str, row: models.Model) -> tuple[str, dict[str, Any]]:
    return path, {"action": "delete_selected", "_selected_action": [row.pk], **CONFIRMED}


# Each returns the address and the form of one act, after it has set the stage.
def _delete_policy(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    policy = ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    return f"/admin/logs/contentpolicy/{policy.pk}/delete/", CONFIRMED


def _delete_policies(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    return bulk("/admin/logs/contentpolicy/", ContentPolicy.objects.create(gateway=gateway, level=Level.FULL))


def _delete_coming_price(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    return f"/admin/logs/modelprice/{price().pk}/delete/", CONFIRMED


def _delete_coming_prices(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    return bulk("/admin/logs/modelprice/", price())


def _change_ratio(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    group = Group.objects.create(name="vip")
    return f"/admin/accounts/group/{group.pk}/change/", {"name": "vip", "ratio": "0.5", "description": ""}


def _add_provider(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    body = {"slug": "luma", "is_active": "on", "definition": built_in_source("luma")}
    return "/admin/tasks/provider/add/", body


def _delete_provider(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    row = Provider.objects.create(slug="luma", definition=built_in_source("luma"))
    return f"/admin/tasks/provider/{row.pk}/delete/", CONFIRMED


def _change_credential(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    row = ProviderCredential.objects.create(platform="luma", api_key="k-1")
    body = {"platform": "luma", "base_url": "", "new_api_key": "k-2", "new_webhook_secret": ""}
    return f"/admin/tasks/providercredential/{row.pk}/change/", body


def _delete_credential(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    row = ProviderCredential.objects.create(platform="luma", api_key="k-1")
    return f"/admin/tasks/providercredential/{row.pk}/delete/", CONFIRMED


def _delete_credentials(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    row = ProviderCredential.objects.create(platform="luma", api_key="k-1")
    return bulk("/admin/tasks/providercredential/", row)


def _issue_key(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    return f"/admin/accounts/gateway/{gateway.pk}/keys/issue/", {"label": "host-1"}


def _revoke_key(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    key, _ = IngestKey.issue(gateway)
    return f"/admin/accounts/gateway/{gateway.pk}/keys/{key.pk}/revoke/", {}


def _point_name(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    other = Person.objects.create(name="agent-7", is_active=False)
    identity = UserIdentity.objects.create(gateway=gateway, name="agent-7", user=other)
    return f"/admin/accounts/useridentity/{identity.pk}/change/", {"user": alice.pk}


def _merge(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    other = Person.objects.create(name="agent-7", is_active=False)
    return f"/admin/accounts/user/{other.pk}/merge/", {"target": alice.pk}


def _separate(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    other = Person.objects.create(name="agent-7", is_active=False, merged_into=alice)
    return f"/admin/accounts/user/{other.pk}/separate/", {}


def _merge_tokens(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    one, other = (ApiToken.objects.create(owner=alice, name=name) for name in ("a", "b"))
    return f"/admin/accounts/apitoken/{one.pk}/merge/", {"target": other.pk}


def _take_second_factor(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    factor = TOTP.activate(alice, generate_totp_secret()).instance
    return f"/admin/mfa/authenticator/{factor.pk}/delete/", CONFIRMED


def _password(gateway: Gateway, alice: Person) -> tuple[str, dict[str, Any]]:
    secret = "another-long-secret"
    body = {"password1": secret, "password2": secret, "usable_password": "true"}
    return f"/admin/accounts/user/{alice.pk}/password/", body


ACTS: list[tuple[Callable[[Gateway, Person], tuple[str, dict[str, Any]]], AuditEntry.Act]] = [
    (_delete_policy, Act.RETENTION),
    (_delete_policies, Act.RETENTION),
    (_delete_coming_price, Act.PRICES),
    (_delete_coming_prices, Act.PRICES),
    (_change_ratio, Act.PRICES),
    (_add_provider, Act.PROVIDERS),
    (_delete_provider, Act.PROVIDERS),
    (_change_credential, Act.PROVIDERS),
    (_delete_credential, Act.PROVIDERS),
    (_delete_credentials, Act.PROVIDERS),
    (_issue_key, Act.GATEWAYS),
    (_revoke_key, Act.GATEWAYS),
    (_point_name, Act.NAMES),
    (_merge, Act.MERGE),
    (_separate, Act.MERGE),
    (_merge_tokens, Act.MERGE),
    (_password, Act.PEOPLE),
    (_take_second_factor, Act.PEOPLE),
]


@pytest.mark.parametrize(("stage", "act"), ACTS, ids=lambda one: getattr(one, "__name__", ""))
def test_an_act_is_kept_with_who_and_whose(
    client: Client,
    admin: Person,
    alice: Person,
    gateway: Gateway,
    stage: Callable[[Gateway, Person], tuple[str, dict[str, Any]]],
    act: AuditEntry.Act,
) -> None:
    url, body = stage(gateway, alice)
    assert client.post(url, body).status_code in (200, 302)
    entries = list(AuditEntry.objects.all())
    assert entries and {entry.act for entry in entries} == {act}
    assert all(entry.actor_id == admin.pk and entry.object and entry.ip for entry in entries)
    assert "k-2" not in " ".join(entry.object for entry in entries)
    if stage in (_merge, _separate):
        assert alice in {entry.subject for entry in entries} and len(entries) == 2
    if stage in (_merge_tokens, _password, _point_name, _take_second_factor):
        assert {entry.subject for entry in entries} == {alice}


@pytest.mark.parametrize(("stage", "act"), ACTS, ids=lambda one: getattr(one, "__name__", ""))
def test_what_cannot_be_written_down_is_not_done(
    client: Client,
    alice: Person,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    stage: Callable[[Gateway, Person], tuple[str, dict[str, Any]]],
    act: AuditEntry.Act,
) -> None:
    url, body = stage(gateway, alice)
    before = _everything()

    def full(*args: object, **kwargs: object) -> None:
        raise DatabaseError("the audit log cannot be written")

    monkeypatch.setattr(AuditEntry.objects, "create", full)
    with pytest.raises(DatabaseError):
        client.post(url, body)
    assert _everything() == before


def _everything() -> dict[str, Any]:
    kinds = (
        ApiToken,
        ContentPolicy,
        Group,
        IngestKey,
        ModelPrice,
        Provider,
        ProviderCredential,
        UserIdentity,
    )
    rows = {kind.__name__: sorted(map(str, kind._default_manager.values_list())) for kind in kinds}
    people = Person.objects.order_by("pk").values_list("pk", "password", "merged_into", "is_active")
    return {**rows, "people": list(people)}


def test_every_admin_that_changes_something_is_audited(admin: Person, rf: RequestFactory) -> None:
    request = rf.get("/admin/")
    request.user = admin
    for model, its in django_admin.site._registry.items():
        may = (
            its.has_add_permission(request)
            or its.has_change_permission(request)
            or its.has_delete_permission(request)
        )
        assert not may or isinstance(its, AuditedAdmin), model
