"""People, tokens, groups, gateways and their keys in the Django admin."""

from __future__ import annotations

import logging
import re
from html import unescape
from typing import TYPE_CHECKING, Any

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
from playwright.sync_api import Page, expect

from accounts.models import (
    AIModel,
    ApiToken,
    Gateway,
    Group,
    GroupIdentity,
    IngestKey,
    TokenIdentity,
    User,
    UserIdentity,
)
from logs.models import UsageRecord
from tests.cast import event, signed_in, store
from tests.e2e import hands

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

USERS = "/admin/accounts/user/"
GATEWAYS = "/admin/accounts/gateway/"
SECRET = "a-long-enough-secret"
KEY = re.compile(r"rsk_[\w-]{43}")


@pytest.fixture
def client(admin: User) -> Client:
    return signed_in(admin)


@pytest.fixture
def provisioned(gateway: Gateway) -> User:
    """Somebody known from a gateway's records only."""
    store(gateway, event("agent-7"))
    return User.objects.get(name="agent-7")


def text(response: Answer) -> str:
    return unescape(response.content.decode())


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


# --- Users -------------------------------------------------------------------------------------------------


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
    assert "Their records are there already." in text(client.get(invite))
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
        ("alice@example.com", "Somebody has this address already"),
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
    assert "Alice can sign in already." in text(
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


# --- Tokens, groups, models, identities --------------------------------------------------------------------


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


# --- Gateways and their keys -------------------------------------------------------------------------------


def test_a_new_gateway_leads_to_its_first_key(client: Client) -> None:
    response = client.post(f"{GATEWAYS}add/", {"name": "edge", "is_active": "on", "error_texts": "1"})
    assert response["Location"] == f"{GATEWAYS}{Gateway.objects.get().pk}/keys/issue/"


def test_an_issued_key_is_shown_once_and_kept_nowhere(
    client: Client, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{GATEWAYS}{gateway.pk}/keys/issue/"
    with caplog.at_level(logging.DEBUG):
        response = client.post(url, {"label": "host-1"})
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    [key] = set(KEY.findall(text(response)))
    row = IngestKey.objects.get()
    assert (row.key_hash, row.label, row.gateway) == (IngestKey.hash(key), "host-1", gateway)
    assert key not in str(response.headers) + str(response.cookies) + caplog.text
    for later in (url, f"{GATEWAYS}{gateway.pk}/change/", f"{GATEWAYS}{gateway.pk}/history/", "/admin/"):
        assert key not in text(client.get(later))
    assert not any(key in str(entry.change_message) for entry in LogEntry.objects.all())
    assert LogEntry.objects.get().change_message == f"Issued the ingest key {row.hint}."


def test_the_command_beside_the_key_sends_a_record(client: Client, gateway: Gateway) -> None:
    page = text(client.post(f"{GATEWAYS}{gateway.pk}/keys/issue/", {}))
    [key] = set(KEY.findall(page))
    body = re.search(r"-d '(\{.*\})'", page)
    assert body is not None
    answer = Client().post(
        "/api/v1/usage", body[1], content_type="application/json", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": []}


def test_a_revoked_key_is_refused(client: Client, gateway: Gateway) -> None:
    row, key = IngestKey.issue(gateway)
    url = f"{GATEWAYS}{gateway.pk}/keys/{row.pk}/revoke/"
    assert url in text(client.get(f"{GATEWAYS}{gateway.pk}/change/"))
    assert row.hint in text(client.get(url))
    assert IngestKey.objects.get().revoked_at is None
    assert "is refused from now on" in text(client.post(url, follow=True))
    headers = {"Authorization": f"Bearer {key}"}
    assert (
        Client().post("/api/v1/usage", "[]", content_type="application/json", headers=headers).status_code
        == 401
    )
    assert client.post(url).status_code == 404
    assert "Revoked" in text(client.get(f"{GATEWAYS}{gateway.pk}/change/"))


def test_keys_of_another_gateway_are_not_reached(client: Client, gateway: Gateway) -> None:
    row, _ = IngestKey.issue(gateway)
    other = Gateway.objects.create(name="other")
    assert client.post(f"{GATEWAYS}{other.pk}/keys/{row.pk}/revoke/").status_code == 404
    assert client.post(f"{GATEWAYS}999999/keys/issue/").status_code == 404


def test_keys_need_the_right_to_change_gateways(gateway: Gateway, bob: User) -> None:
    row, _ = IngestKey.issue(gateway)
    bob.is_staff = True
    bob.save()
    bob.user_permissions.add(Permission.objects.get(codename="view_gateway"))
    viewer = signed_in(User.objects.get(pk=bob.pk))
    page = text(viewer.get(f"{GATEWAYS}{gateway.pk}/change/"))
    assert "Issue a key" not in page
    assert viewer.post(f"{GATEWAYS}{gateway.pk}/keys/issue/").status_code == 403
    assert viewer.post(f"{GATEWAYS}{gateway.pk}/keys/{row.pk}/revoke/").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_in_a_browser_a_key_is_issued_and_copied(page: Page, admin: User, gateway: Gateway) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{GATEWAYS}{gateway.pk}/change/")
    hands.sign_in(page, str(admin.email), "admin-password")
    page.get_by_role("link", name="Issue a key").click()
    hands.write(page.get_by_label("Label"), "host-1")
    page.get_by_role("button", name="Issue the key").click()
    page.get_by_role("button", name="Copy key").click()
    expect(page.get_by_role("button", name="Copy key")).to_have_attribute("data-state", "copied")
    key = page.evaluate("navigator.clipboard.readText()")
    assert IngestKey.objects.get().key_hash == IngestKey.hash(key)
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_text("host-1")).to_be_visible()
