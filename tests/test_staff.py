"""What staff may and may not do in the Django admin, tried as somebody who means to do more."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.mfa.utils import decrypt
from django.conf import LazySettings
from django.contrib import admin as django_admin
from django.contrib.auth.models import Permission
from django.db import connection, models
from django.test import Client
from django.urls import reverse

from accounts.models import ApiToken, Gateway, UserIdentity
from accounts.models import User as Person
from accounts.sign_in import second_factors
from logs.content import rotation
from logs.models import UsageRecord
from routescope.admin.guards import GuardedAdmin
from routescope.data.scopes import Scope
from routescope.encryption import MASK, EncryptedTextField, Secret
from tasks.models import ProviderCredential
from tests.cast import event, signed_in, store

PLANTED = "sk-planted-0123456789abcdef"
_TOKEN = re.compile(r"[A-Za-z0-9]{64}")
PROFILE = {"name": "A", "time_zone": "UTC", "language": "en", "theme": "system"}
ADMINS = list(django_admin.site._registry.items())


def staff(*rights: str, email: str = "staff@example.com") -> Person:
    """Make a member of staff with these permissions (``app.codename``; ``view`` is every view right)."""
    person = Person.objects.create_user(email, "staff-password", name="Staff", is_staff=True)
    held = Permission.objects.none()
    for right in rights:
        if right == "view":
            held |= Permission.objects.filter(codename__startswith="view_")
        else:
            app, codename = right.split(".")
            held |= Permission.objects.filter(content_type__app_label=app, codename=codename)
    person.user_permissions.set(held)
    return person


@pytest.fixture
def viewer(db: None) -> Client:
    return signed_in(staff("view"))


@pytest.fixture
def manager(db: None) -> Client:
    return signed_in(staff("accounts.view_user", "accounts.change_user", "accounts.add_user"))


# --- Secrets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "its"), ADMINS, ids=lambda one: getattr(one, "__name__", ""))
def test_every_admin_of_ours_is_guarded(model: type[models.Model], its: Any) -> None:
    assert isinstance(its, GuardedAdmin)


def test_who_may_only_look_reads_no_key(viewer: Client) -> None:
    row = ProviderCredential.objects.create(
        platform="luma", api_key=PLANTED, webhook_secret=PLANTED, base_url="https://relay.example"
    )
    for url in (
        reverse("admin:tasks_providercredential_changelist"),
        reverse("admin:tasks_providercredential_change", args=[row.pk]),
        reverse("admin:tasks_providercredential_history", args=[row.pk]),
    ):
        page = viewer.get(url)
        assert page.status_code == 200
        assert PLANTED not in page.content.decode()


def test_a_secret_field_prints_a_mask_wherever_it_is_printed(db: None) -> None:
    row = ProviderCredential(platform="luma", api_key=PLANTED)
    row.save()
    row.refresh_from_db()
    assert f"{row.api_key} {row.api_key!r}" == f"{MASK} Secret('{MASK}')"
    assert row.api_key.reveal() == PLANTED and row.api_key == Secret(PLANTED)
    assert not row.webhook_secret and str(row.webhook_secret) == ""


@pytest.mark.parametrize(("model", "its"), ADMINS, ids=lambda one: getattr(one, "__name__", ""))
def test_no_look_up_reaches_past_the_lists_own_filters(
    viewer: Client, admin: Person, model: type[models.Model], its: Any
) -> None:
    """A look-up that is answered tells its answer: by it a secret is read letter by letter."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    tried = [f"{field.name}__{how}" for field in model._meta.get_fields() for how in ("startswith", "regex")]
    tried += ["data__secret__startswith", "data__seed__regex", "user__password__startswith", "pk__gt"]
    for lookup in tried:
        answer = viewer.get(f"{url}?{urlencode({lookup: 'pbkdf2'})}")
        # Lists of big tables read their own form alone: there a look-up is no more than an unknown word.
        refused = answer.status_code in (302, 400)
        assert refused or (not hasattr(its, "filters_by_query") and _is_keyset(its)), lookup


def _is_keyset(its: Any) -> bool:
    return hasattr(its, "filter_form")


def test_filters_of_lists_still_filter(viewer: Client, alice: Person, gateway: Gateway) -> None:
    ApiToken.objects.create(owner=alice, name="active-one")
    ApiToken.objects.create(owner=alice, name="disabled-one", status=ApiToken.Status.DISABLED)
    page = viewer.get("/admin/accounts/apitoken/", {"status__exact": ApiToken.Status.DISABLED})
    assert "disabled-one" in page.content.decode() and "active-one" not in page.content.decode()
    people = viewer.get("/admin/accounts/user/", {"state": "active", "is_staff__exact": "0"})
    assert people.status_code == 200 and "alice@example.com" in people.content.decode()
    names = viewer.get("/admin/accounts/useridentity/", {"gateway__id__exact": gateway.pk})
    assert names.status_code == 200


def test_second_factors_are_encrypted_at_rest(alice: Person) -> None:
    secret = generate_totp_secret()
    TOTP.activate(alice, secret)
    codes = RecoveryCodes.activate(alice).generate_codes()
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(data::text, ' ') FROM mfa_authenticator")
        (stored,) = cursor.fetchone()
    assert secret not in stored
    recovery = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES)
    seed = decrypt(recovery.data["seed"])
    assert seed not in stored
    assert RecoveryCodes(recovery).get_unused_codes() == codes


def test_the_nightly_job_brings_every_secret_under_the_new_key(alice: Person, settings: LazySettings) -> None:
    """Otherwise an old key that was taken away would close all doors that are opened with a code."""
    settings.ENCRYPTION_KEYS = ["first-key"]
    secret = generate_totp_secret()
    TOTP.activate(alice, secret)
    ProviderCredential.objects.create(platform="luma", api_key=PLANTED)
    settings.ENCRYPTION_KEYS = ["second-key", "first-key"]
    assert rotation.rotate() == (2, 0)
    assert rotation.rotate() == (0, 0)
    settings.ENCRYPTION_KEYS = ["second-key"]
    factor = Authenticator.objects.get(type=Authenticator.Type.TOTP)
    assert second_factors.MFAAdapter().decrypt(factor.data["secret"]) == secret
    assert ProviderCredential.objects.get().api_key.reveal() == PLANTED
    settings.ENCRYPTION_KEYS = ["third-key"]
    assert rotation.rotate() == (0, 2)


def test_no_secret_field_is_shown_searched_or_filtered_by_any_admin() -> None:
    for model, its in ADMINS:
        secret = {
            field.name for field in model._meta.concrete_fields if isinstance(field, EncryptedTextField)
        }
        secret |= {"password", "key_hash", "data"} & {field.name for field in model._meta.concrete_fields}
        used = {*its.list_display, *its.search_fields, *(its.ordering or ()), *map(str, its.list_filter)}
        assert not secret & {str(name).lstrip("-=^@").split("__")[0] for name in used}, model


# --- Rights that one lacks ---------------------------------------------------------------------------------


@pytest.fixture(params=["superuser", "more rights", "closed superuser"])
def stronger(request: pytest.FixtureRequest, db: None) -> Person:
    if request.param == "more rights":
        return staff("logs.view_usagecontent", email="stronger@example.com")
    person = Person.objects.create_superuser("stronger@example.com", "secret-secret", name="Stronger")
    if request.param == "closed superuser":
        person.is_active = False
        person.save()
    return person


def test_nobody_changes_invites_merges_or_resets_who_can_do_more(
    manager: Client, stronger: Person, alice: Person
) -> None:
    url = f"/admin/accounts/user/{stronger.pk}"
    sent = {**PROFILE, "email": "mine@example.com"}
    before = Person.objects.filter(pk=stronger.pk).values().get()
    for path, body in (
        ("change/", {**sent, "is_active": "on"}),
        ("password/", {"password1": "another-secret-1", "password2": "another-secret-1"}),
        ("invite/", {"email": "mine@example.com"}),
        ("merge/", {"target": alice.pk}),
        ("separate/", {}),
    ):
        assert manager.post(f"{url}/{path}", body).status_code == 403, path
    merged = manager.post(f"/admin/accounts/user/{alice.pk}/merge/", {"target": stronger.pk})
    assert merged.status_code == 403
    manager.post("/admin/accounts/user/", {"action": "invite_selected", "_selected_action": [stronger.pk]})
    assert Person.objects.filter(pk=stronger.pk).values().get() == before
    alice.refresh_from_db()
    assert alice.merged_into_id is None


def test_who_has_fewer_rights_is_changed(manager: Client, alice: Person) -> None:
    sent = {
        "email": "alice@example.org",
        "name": "A",
        "time_zone": "UTC",
        "language": "en",
        "theme": "system",
    }
    assert (
        manager.post(f"/admin/accounts/user/{alice.pk}/change/", {**sent, "is_active": "on"}).status_code
        == 302
    )
    alice.refresh_from_db()
    assert alice.email == "alice@example.org"


def test_only_a_superuser_takes_others_records_as_their_own(alice: Person, gateway: Gateway) -> None:
    rights = ("change_user", "view_user", "change_apitoken", "view_apitoken", "change_useridentity")
    me = staff(*(f"accounts.{right}" for right in rights), "accounts.add_useridentity")
    client = signed_in(me)
    store(gateway, event("agent-7"))
    agent = Person.objects.get(name="agent-7")
    for source, target in ((agent, me), (me, agent)):
        assert (
            client.post(f"/admin/accounts/user/{source.pk}/merge/", {"target": target.pk}).status_code != 302
        )
        source.refresh_from_db()
        assert source.merged_into_id is None
    identity = UserIdentity.objects.get(name="agent-7")
    url = f"/admin/accounts/useridentity/{identity.pk}/change/"
    assert "superuser" in client.post(url, {"user": me.pk}).content.decode()
    body = {"gateway": gateway.pk, "name": "somebody-to-come", "user": me.pk}
    assert "superuser" in client.post("/admin/accounts/useridentity/add/", body).content.decode()
    assert set(UserIdentity.objects.filter(user=me)) == set()
    assert not UsageRecord.objects.visible_to(Scope.own(me)).exists()
    # Pointing a name at somebody else is an everyday act.
    assert client.post(url, {"user": alice.pk}).status_code == 302
