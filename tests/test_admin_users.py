"""Users in the Django admin: added, invited, found and changed, by whom and how far."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import LazySettings, settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import (
    AIModel,
    ApiToken,
    Gateway,
    Group,
    GroupIdentity,
    TokenIdentity,
    User,
    UserIdentity,
)
from logs.models import UsageRecord
from tests.admin_pages import client, provisioned, text
from tests.cast import signed_in

__all__ = ["client", "provisioned"]

USERS = "/admin/accounts/user/"
SECRET = "a-long-enough-secret"


def change(user: User, **fields: Any) -> dict[str, Any]:
    """Return what the user's form sends, with some fields changed."""
    sent = {
        "email": user.email or "",
        "name": user.name,
        "time_zone": user.time_zone,
        "language": user.language,
    }
    switches = {name: "on" for name in ("is_active", "is_staff", "is_superuser") if getattr(user, name)}
    return {**sent, "theme": user.theme, **switches, **fields}


def test_a_user_is_added_with_a_password(client: Client) -> None:
    sent = {"email": "New@Example.com", "name": "New", "usable_password": "true"}
    client.post(f"{USERS}add/", {**sent, "password1": SECRET, "password2": SECRET})
    user = User.objects.get(email="new@example.com")
    assert user.is_active
    assert user.check_password(SECRET)


def test_a_user_is_added_with_an_invitation(client: Client, mailoutbox: list[EmailMessage]) -> None:
    response = client.post(
        f"{USERS}add/", {"email": "new@example.com", "usable_password": "false"}, follow=True
    )
    user = User.objects.get(email="new@example.com")
    assert not user.is_active
    assert user.invited_at is not None
    assert not user.has_usable_password()
    assert [mail.to for mail in mailoutbox] == [["new@example.com"]]
    assert "An invitation is on its way to new@example.com." in text(response)
    link = re.search(rf"{settings.BASE_URL}(/\S+)", str(mailoutbox[0].body))
    assert link is not None
    assert Client().get(link[1]).status_code == 200


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"email": "", "usable_password": "false"}, "This field is required"),
        ({"email": "ALICE@example.com", "usable_password": "false"}, "already exists"),
        ({"email": "new@example.com", "usable_password": "true"}, "This field is required"),
        (
            {
                "email": "new@example.com",
                "usable_password": "true",
                "password1": "short",
                "password2": "short",
            },
            "too short",
        ),
    ],
)
def test_a_user_that_cannot_be_added_is_not(
    client: Client, alice: User, mailoutbox: list[EmailMessage], sent: dict[str, str], said: str
) -> None:
    assert said in text(client.post(f"{USERS}add/", sent))
    assert not User.objects.filter(email="new@example.com").exists()
    assert not mailoutbox


def test_users_are_found_by_state_and_by_what_gateways_call_them(
    client: Client, alice: User, provisioned: User
) -> None:
    User.objects.create(email="invited@example.com", is_active=False, invited_at=timezone.now())
    User.objects.create(email="closed@example.com", is_active=False, last_login=timezone.now())
    for state, names in {
        "active": {"Admin", "Alice"},
        "invited": {"invited@example.com"},
        "provisioned": {"agent-7"},
        "closed": {"closed@example.com"},
    }.items():
        page = text(client.get(USERS, {"state": state}))
        assert set(re.findall(r'<th class="field-person"><a[^>]*>([^<]+)</a>', page)) == names
    UserIdentity.objects.update(name="sk-hash-9f")
    assert "agent-7" in text(client.get(USERS, {"q": "sk-hash-9f"}))


def test_a_provisioned_user_is_invited(
    client: Client, provisioned: User, mailoutbox: list[EmailMessage]
) -> None:
    invite = f"{USERS}{provisioned.pk}/invite/"
    assert invite in text(client.get(f"{USERS}{provisioned.pk}/change/"))
    assert "Their records are already there." in text(client.get(invite))
    response = client.post(invite, {"email": "Agent@Example.com"}, follow=True)
    assert "An invitation is on its way to agent@example.com." in text(response)
    provisioned.refresh_from_db()
    assert provisioned.email == "agent@example.com"
    assert provisioned.invited_at is not None
    assert [mail.to for mail in mailoutbox] == [["agent@example.com"]]
    assert UsageRecord.objects.filter(user_id=provisioned.pk).exists()
    assert LogEntry.objects.filter(object_id=str(provisioned.pk)).count() == 2


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("", "required"),
        ("no address", "valid email"),
        ("alice@example.com", "Someone already has this address"),
    ],
)
def test_an_invitation_to_nowhere_or_to_anothers_address_is_refused(
    client: Client, alice: User, provisioned: User, mailoutbox: list[EmailMessage], email: str, said: str
) -> None:
    assert said in text(client.post(f"{USERS}{provisioned.pk}/invite/", {"email": email}))
    provisioned.refresh_from_db()
    assert provisioned.email is None
    assert not mailoutbox


def test_somebody_who_can_sign_in_is_not_invited(
    client: Client, alice: User, mailoutbox: list[EmailMessage]
) -> None:
    assert "Alice can already sign in." in text(
        client.post(f"{USERS}{alice.pk}/invite/", {"email": "x@y.example"})
    )
    assert not mailoutbox
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"


def test_several_are_invited_at_once_and_the_others_named(
    client: Client, alice: User, provisioned: User, mailoutbox: list[EmailMessage]
) -> None:
    ready = User.objects.create(email="ready@example.com", is_active=False)
    chosen = [alice.pk, provisioned.pk, ready.pk]
    response = client.post(USERS, {"action": "invite_selected", "_selected_action": chosen}, follow=True)
    assert [mail.to for mail in mailoutbox] == [["ready@example.com"]]
    assert "Not invited" in text(response)
    assert "agent-7" in text(response)


def test_a_mail_server_that_fails_is_said(
    client: Client, provisioned: User, settings: LazySettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    with caplog.at_level(logging.CRITICAL):
        response = client.post(f"{USERS}{provisioned.pk}/invite/", {"email": "a@example.com"}, follow=True)
    assert "The invitation could not be sent" in text(response)


def test_an_address_taken_away_no_longer_opens_the_account(client: Client, alice: User) -> None:
    EmailAddress.objects.create(user=alice, email="alice@example.com", verified=True, primary=True)
    response = client.post(f"{USERS}{alice.pk}/change/", change(alice, email="new@example.com"))
    assert response.status_code == 302, text(response)
    assert not EmailAddress.objects.filter(user=alice, email="alice@example.com").exists()
    signed = Client().post("/accounts/login/", {"login": "alice@example.com", "password": "alice-password"})
    assert signed.status_code == 200
    signed = Client().post("/accounts/login/", {"login": "new@example.com", "password": "alice-password"})
    assert signed.status_code == 302


def test_a_time_zone_that_does_not_exist_is_refused(client: Client, alice: User) -> None:
    response = client.post(f"{USERS}{alice.pk}/change/", change(alice, time_zone="Mars"))
    assert "No time zone is called “Mars”." in text(response)


def test_an_admin_cannot_lock_themselves_out(client: Client, admin: User) -> None:
    sent = {key: value for key, value in change(admin).items() if not key.startswith("is_")}
    assert client.post(f"{USERS}{admin.pk}/change/", sent).status_code == 302
    admin.refresh_from_db()
    assert admin.is_active
    assert admin.is_staff
    assert admin.is_superuser


@pytest.fixture
def clerk(bob: User) -> Client:
    """A member of staff who may manage users, and is no superuser."""
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    return signed_in(User.objects.get(pk=bob.pk))


def test_staff_make_no_admins_of_anybody(clerk: Client, alice: User, bob: User) -> None:
    for user in (alice, bob):
        sent = change(user, is_staff="on", is_superuser="on", user_permissions=["1"])
        assert clerk.post(f"{USERS}{user.pk}/change/", sent).status_code == 302
        user.refresh_from_db()
        assert not user.is_superuser
    assert not alice.is_staff
    assert not alice.user_permissions.exists()


def test_staff_change_no_superuser(clerk: Client, admin: User, mailoutbox: list[EmailMessage]) -> None:
    User.objects.filter(pk=admin.pk).update(is_active=False)
    for url, sent in {
        f"{USERS}{admin.pk}/change/": change(admin, email="bob@elsewhere.example"),
        f"{USERS}{admin.pk}/password/": {"password1": SECRET, "password2": SECRET},
        f"{USERS}{admin.pk}/invite/": {"email": "bob@elsewhere.example"},
    }.items():
        assert clerk.post(url, sent).status_code == 403
    clerk.post(USERS, {"action": "invite_selected", "_selected_action": [admin.pk]})
    admin.refresh_from_db()
    assert admin.email == "admin@example.com"
    assert admin.check_password("admin-password")
    assert not mailoutbox


def test_nothing_that_records_refer_to_is_deleted(client: Client, provisioned: User) -> None:
    for model in (User, ApiToken, Group, AIModel, Gateway, UserIdentity, TokenIdentity, GroupIdentity):
        row = model._default_manager.first()
        assert row is not None
        url = reverse(f"admin:accounts_{model._meta.model_name}_delete", args=[row.pk])
        assert client.post(url, {"post": "yes"}).status_code == 403
        listing = reverse(f"admin:accounts_{model._meta.model_name}_changelist")
        assert "delete_selected" not in text(client.get(listing))


def test_a_users_page_shows_the_first_of_many_tokens(client: Client, alice: User) -> None:
    ApiToken.objects.bulk_create(ApiToken(owner=alice, name=f"token-{number:03}") for number in range(100))
    page = text(client.get(f"{USERS}{alice.pk}/change/"))
    assert len(set(re.findall(r"token-\d{3}", page))) == 30
    assert "token-099" in page


def test_second_factors_are_taken_away_by_superusers_and_never_shown(
    client: Client, clerk: Client, alice: User
) -> None:
    factor = Authenticator.objects.create(user=alice, type="totp", data={"secret": "JBSWY3DP"})
    url = f"/admin/mfa/authenticator/{factor.pk}/"
    assert "JBSWY3DP" not in text(client.get(f"{url}change/"))
    assert clerk.post(f"{url}delete/", {"post": "yes"}).status_code == 403
    assert client.post(f"{url}delete/", {"post": "yes"}).status_code == 302
    assert not Authenticator.objects.exists()
