"""Rights by a claim of the OpenID provider: they come with it, go with it, and leave what a hand gave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.webauthn.forms import LoginWebAuthnForm
from django.conf import LazySettings
from django.contrib.auth.models import Group as PermissionGroup
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from time_machine import TimeMachineFixture

from accounts.models import AuditEntry, ClaimedRight, User
from accounts.people.forms import ThemeForm
from accounts.sign_in.oidc import claimed_rights
from tests.cast import code_of, signed_in
from tests.oidc_cast import change, save_in_admin, sign_in, who
from tests.oidc_provider import OpenIDProvider

pytestmark = pytest.mark.django_db


@pytest.fixture
def claims(provider: OpenIDProvider, settings: LazySettings) -> OpenIDProvider:
    """A provider whose ``groups`` make admins, and put people into permission groups."""
    change(
        settings,
        admin_claim="groups",
        admin_values=frozenset({"console-admins", "root"}),
        group_claim="groups",
        groups={"support": "Support desk", "leads": "leads", "lost": "No such group"},
    )
    for name in ("Support desk", "leads"):
        PermissionGroup.objects.create(name=name)
    return provider


def comes(provider: OpenIDProvider, user: User, groups: Any = None) -> User:
    """Let ``user`` sign in with these groups, and return them as they are then."""
    name = str(user.email).partition("@")[0]
    said = {} if groups is None else {"groups": groups}
    provider.person(f"sub-{name}", email=user.email, email_verified=True, **said)
    client = Client()
    sign_in(client, provider, f"sub-{name}")
    assert who(client) == user
    return User.objects.get(pk=user.pk)


def flags(user: User) -> tuple[bool, bool]:
    return user.is_staff, user.is_superuser


def told() -> list[str]:
    """Return what the audit log says of people, but for the linking of identities."""
    said = AuditEntry.objects.filter(act="people").exclude(object__contains=": Linked with ")
    return list(said.order_by("id").values_list("object", flat=True))


def by_password(user: User, client: Client | None = None) -> Client:
    """Let ``user``, or whoever has their password, sign in with it."""
    client = client or Client()
    body = {"login": user.email, "password": f"{str(user.email).partition('@')[0]}-password"}
    assert client.post(reverse("account_login"), body).status_code == 302
    assert who(client) == user
    return client


def is_let_in(client: Client, path: str = "/profile/") -> bool:
    return client.get(path).status_code == 200


@pytest.mark.parametrize("groups", [["console-admins"], "console-admins", ["x", "root"]], ids=repr)
def test_a_claim_makes_an_admin_and_unmakes_them(claims: OpenIDProvider, alice: User, groups: Any) -> None:
    assert flags(comes(claims, alice, groups)) == (True, True)
    assert flags(comes(claims, alice, groups)) == (True, True)
    assert flags(comes(claims, alice, ["something else"])) == (False, False)
    assert told() == [
        "Alice: A claim gave is_staff, is_superuser.",
        "Alice: No claim gives is_staff, is_superuser any more.",
    ]
    entry = AuditEntry.objects.filter(act="people").latest("id")
    assert (entry.actor, entry.subject, entry.ip) == (None, alice, "127.0.0.1")


@pytest.mark.parametrize(
    "gone", [None, [], "", ["Console-Admins"], [None], {"console-admins": 1}, [["root"]], 7], ids=repr
)
def test_a_claim_that_says_so_no_longer_takes_the_right_away(
    claims: OpenIDProvider, alice: User, gone: Any
) -> None:
    comes(claims, alice, ["root"])
    assert flags(comes(claims, alice, gone)) == (False, False)
    assert not ClaimedRight.objects.exists()


def test_an_admin_by_hand_stays_one_without_a_claim(claims: OpenIDProvider, admin: User) -> None:
    assert flags(comes(claims, admin, ["root"])) == (True, True)
    assert not ClaimedRight.objects.exists()
    assert flags(comes(claims, admin, [])) == (True, True)
    assert told() == []


def test_of_two_rights_only_that_by_the_claim_goes(claims: OpenIDProvider, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    assert flags(comes(claims, alice, ["root"])) == (True, True)
    assert flags(comes(claims, alice, [])) == (True, False)


def test_a_right_that_was_given_anew_by_hand_stays(claims: OpenIDProvider, alice: User, admin: User) -> None:
    comes(claims, alice, ["root"])
    alice.refresh_from_db()
    save_in_admin(admin, alice, is_superuser=None)
    alice.refresh_from_db()
    save_in_admin(admin, alice, is_superuser="on")
    assert flags(comes(claims, alice, [])) == (False, True)


def test_no_other_hand_in_the_admin_makes_a_claims_right_lasting(
    claims: OpenIDProvider, alice: User, admin: User
) -> None:
    comes(claims, alice, ["root"])
    alice.refresh_from_db()
    save_in_admin(admin, alice, name="Alice the Admin")
    assert flags(comes(claims, alice, [])) == (False, False)


def test_a_claim_puts_into_a_group_and_takes_out_of_it(claims: OpenIDProvider, alice: User) -> None:
    by_hand = PermissionGroup.objects.get(name="leads")
    alice.groups.add(by_hand)
    desk = PermissionGroup.objects.get(name="Support desk")
    desk.permissions.add(Permission.objects.get(codename="view_gateway"))
    found = comes(claims, alice, ["support", "leads", "lost", "Support desk"])
    assert set(found.groups.all()) == {by_hand, desk}
    assert found.has_perm("accounts.view_gateway") and flags(found) == (False, False)
    assert set(comes(claims, alice, []).groups.all()) == {by_hand}
    assert told() == [
        "Alice: A claim put them into the group Support desk.",
        "Alice: No claim puts them into the group Support desk any more.",
    ]


def test_a_group_that_nobody_named_is_no_claims_to_give(claims: OpenIDProvider, alice: User) -> None:
    PermissionGroup.objects.create(name="everything")
    assert not comes(claims, alice, ["everything", "Support desk"]).groups.exists()


def test_claims_may_lie_deeper(claims: OpenIDProvider, alice: User, settings: LazySettings) -> None:
    change(settings, admin_claim="realm_access.roles")
    claims.person("sub-alice", email=alice.email, email_verified=True, realm_access={"roles": ["root"]})
    sign_in(Client(), claims, "sub-alice")
    alice.refresh_from_db()
    assert flags(alice) == (True, True)


def test_claims_that_are_in_the_userinfo_alone_count(claims: OpenIDProvider, alice: User) -> None:
    claims.lie(claims={"groups": None})
    assert flags(comes(claims, alice, ["root"])) == (True, True)
    assert "/userinfo" in claims.asked()


def test_a_setting_that_is_taken_away_takes_its_rights_along(
    claims: OpenIDProvider, alice: User, settings: LazySettings
) -> None:
    comes(claims, alice, ["root", "support"])
    change(settings, admin_claim="", admin_values=frozenset(), group_claim="", groups={})
    found = comes(claims, alice, ["root", "support"])
    assert flags(found) == (False, False) and not found.groups.exists()


def test_a_password_is_no_way_round_a_claim_that_is_gone(claims: OpenIDProvider, alice: User) -> None:
    comes(claims, alice, ["root", "support"])
    by_password(alice)
    alice.refresh_from_db()
    assert flags(alice) == (False, False) and not alice.groups.exists()


# --- Whose session has them --------------------------------------------------------------------------------


def test_a_session_with_a_password_does_not_get_what_a_claim_gives(
    claims: OpenIDProvider, alice: User
) -> None:
    thief = by_password(alice)
    comes(claims, alice, ["root"])
    assert thief.get("/admin/accounts/user/").status_code == 302
    assert not is_let_in(thief), "it is over: the account is now one of an admin"


def test_the_session_that_brought_the_claim_has_it_and_others_of_its_kind_too(
    claims: OpenIDProvider, alice: User
) -> None:
    claims.person("sub-alice", email=alice.email, email_verified=True, groups=["root"])
    desk, phone = Client(), Client()
    for client in (desk, phone):
        sign_in(client, claims, "sub-alice")
    for client in (desk, phone):
        assert is_let_in(client, "/admin/accounts/user/")


def test_a_session_by_the_provider_of_before_the_claim_does_not_get_it(
    claims: OpenIDProvider, alice: User
) -> None:
    claims.person("sub-alice", email=alice.email, email_verified=True)
    old = Client()
    sign_in(old, claims, "sub-alice")
    comes(claims, alice, ["root"])
    assert not is_let_in(old)


def test_a_session_with_a_password_does_not_get_the_rights_of_a_group(
    claims: OpenIDProvider, alice: User
) -> None:
    alice.is_staff = True
    alice.save()
    desk = PermissionGroup.objects.get(name="Support desk")
    desk.permissions.add(Permission.objects.get(codename="view_gateway"))
    thief = by_password(alice)
    comes(claims, alice, ["support"])
    assert not is_let_in(thief, "/admin/accounts/gateway/")
    again = by_password(alice)
    assert again.get("/admin/accounts/gateway/").status_code == 403
    assert is_let_in(again, "/admin/")


def test_a_session_that_is_saved_late_does_not_get_them_either(claims: OpenIDProvider, alice: User) -> None:
    """A password's sign-in that began before the claim came, and whose session is written after it."""
    thief = by_password(alice)
    late = thief.session
    comes(claims, alice, ["root"])
    late.save(must_create=not Session.objects.filter(pk=late.session_key).exists())
    assert not is_let_in(thief, "/admin/accounts/user/") and not is_let_in(thief)


def test_a_sign_in_with_a_password_that_the_claim_overtakes_is_void(
    claims: OpenIDProvider, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider's sign-in comes after the password was checked, and before anything is taken away."""
    follow = claimed_rights.follow

    def overtaken(request: Any, user: User, identity: Any) -> None:
        monkeypatch.setattr(claimed_rights, "follow", follow)
        comes(claims, alice, ["root"])
        follow(request, user, identity)

    monkeypatch.setattr(claimed_rights, "follow", overtaken)
    thief = Client()
    thief.post(reverse("account_login"), {"login": alice.email, "password": "alice-password"})
    comes(claims, alice, ["root"])
    assert not is_let_in(thief, "/admin/accounts/user/") and not is_let_in(thief)


def test_a_sign_in_with_a_password_ends_the_sessions_with_a_claims_rights(
    claims: OpenIDProvider, alice: User
) -> None:
    claims.person("sub-alice", email=alice.email, email_verified=True, groups=["root"])
    client = Client()
    sign_in(client, claims, "sub-alice")
    assert is_let_in(client, "/admin/accounts/user/")
    other = by_password(alice)
    assert not is_let_in(client, "/admin/accounts/user/")
    assert is_let_in(other) and not is_let_in(other, "/admin/accounts/user/")


def test_a_passkey_long_after_a_sign_in_that_was_left_is_not_the_provider(
    claims: OpenIDProvider, alice: User, monkeypatch: pytest.MonkeyPatch, time_machine: TimeMachineFixture
) -> None:
    """The claim is gone by then, and the browser still has the session in which the provider was asked."""
    passkey = Authenticator.objects.create(user=alice, type="webauthn", data={"name": "key"})
    monkeypatch.setattr(LoginWebAuthnForm, "clean_credential", lambda self: passkey)
    claims.person("sub-alice", email=alice.email, email_verified=True, groups=["root"])
    client = Client()
    assert sign_in(client, claims, "sub-alice").headers["Location"] == reverse("mfa_authenticate")
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=16))
    client.post(reverse("mfa_login_webauthn"), {"credential": '{"id": "key"}'})
    assert who(client) == alice
    alice.refresh_from_db()
    assert flags(alice) == (False, False)
    assert client.session.get_expiry_age() > 12 * 3600, "nor is it one of the provider's"
    assert not AuditEntry.objects.filter(object__startswith="Signed in as").exists()


def test_rights_come_after_the_second_factor(claims: OpenIDProvider, alice: User) -> None:
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(alice, secret)
    claims.person("sub-alice", email=alice.email, email_verified=True, groups=["root", "support"])
    client = Client()
    assert sign_in(client, claims, "sub-alice").headers["Location"] == reverse("mfa_authenticate")
    alice.refresh_from_db()
    assert flags(alice) == (False, False) and not alice.groups.exists()
    assert not ClaimedRight.objects.exists() and told() == []
    client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert is_let_in(client, "/admin/accounts/user/")
    assert "root" not in str(Session.objects.get(pk=client.session.session_key).get_decoded())


def test_a_form_of_ones_own_that_was_open_does_not_write_rights_back(
    claims: OpenIDProvider, alice: User
) -> None:
    before = comes(claims, alice, ["root"])
    by_password(alice)
    form = ThemeForm({"theme": "dark"}, instance=before)
    assert form.is_valid()
    form.save()
    alice.refresh_from_db()
    assert (alice.theme, *flags(alice)) == ("dark", False, False)


@pytest.mark.parametrize("groups", [["root"], ["support"]], ids=repr)
def test_staff_do_not_reach_an_account_while_its_rights_by_claims_sleep(
    claims: OpenIDProvider, alice: User, bob: User, groups: list[str]
) -> None:
    desk = PermissionGroup.objects.get(name="Support desk")
    desk.permissions.add(Permission.objects.get(codename="change_gateway"))
    bob.is_staff = True
    bob.save()
    bob.user_permissions.add(*Permission.objects.filter(codename__in=("change_user", "view_user")))
    staff = signed_in(bob)
    url = f"/admin/accounts/user/{alice.pk}/password/"
    assert is_let_in(staff, url), "an account like any other"
    comes(claims, alice, groups)
    by_password(alice)
    alice.refresh_from_db()
    assert flags(alice) == (False, False) and not alice.groups.exists()
    chosen = {"password1": "of-bobs-choosing-1", "password2": "of-bobs-choosing-1", "usable_password": "true"}
    assert staff.post(url, chosen).status_code == 403
    changed = staff.post(f"/admin/accounts/user/{alice.pk}/change/", {"email": "alice@evil.example"})
    assert changed.status_code == 403
    alice.refresh_from_db()
    assert alice.check_password("alice-password") and alice.email == "alice@example.com"
    comes(claims, alice, [])
    assert is_let_in(staff, url), "no claim gives anything any more"


def test_what_sleeps_is_back_with_the_provider_and_then_goes_for_good(
    claims: OpenIDProvider, alice: User
) -> None:
    for _again in range(2):
        assert flags(comes(claims, alice, ["root", "support"])) == (True, True)
        by_password(alice)
    found = comes(claims, alice, ["root", "support"])
    assert flags(found) == (True, True) and found.groups.count() == 1
    by_password(alice)
    found = comes(claims, alice, [])
    assert flags(found) == (False, False) and not found.groups.exists()
    assert not ClaimedRight.objects.exists()


# -----------------------------------------------------------------------------------------------------------


def test_whoever_is_refused_gets_no_right(claims: OpenIDProvider, alice: User) -> None:
    claims.person("sub-eve", email="alice@example.com", email_verified=False, groups=["root"])
    assert sign_in(Client(), claims, "sub-eve").status_code == 403
    alice.refresh_from_db()
    assert flags(alice) == (False, False)


def test_the_admin_says_which_rights_are_by_claims(claims: OpenIDProvider, alice: User, admin: User) -> None:
    comes(claims, alice, ["root", "support"])
    page = signed_in(admin).get(f"/admin/accounts/user/{alice.pk}/change/").content.decode()
    assert "Admin, Superuser, Support desk" in page


def test_permission_groups_are_a_superusers(claims: OpenIDProvider, alice: User, admin: User) -> None:
    alice.is_staff = True
    alice.save()
    alice.user_permissions.set(Permission.objects.filter(content_type__model__in=("group", "user")))
    group = PermissionGroup.objects.get(name="leads")
    for path in ("add/", f"{group.pk}/delete/"):
        assert signed_in(alice).get(f"/admin/auth/group/{path}").status_code == 403, path
        assert signed_in(admin).get(f"/admin/auth/group/{path}").status_code == 200, path
    everything = {"name": "leads", "permissions": [one.pk for one in Permission.objects.all()]}
    assert signed_in(alice).post(f"/admin/auth/group/{group.pk}/change/", everything).status_code == 403
    assert not group.permissions.exists()
    made = signed_in(admin).post("/admin/auth/group/add/", {"name": "auditors", "permissions": []})
    assert made.status_code == 302
    assert "auditors: Added." in told()
