"""Rights by a claim of the OpenID provider: they come with it, go with it, and leave what a hand gave."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group as PermissionGroup
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.audit import AuditEntry
from accounts.models import ClaimedRight, User
from tests.cast import signed_in
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
    return list(AuditEntry.objects.filter(act="people").order_by("id").values_list("object", flat=True))


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
    body = {"login": alice.email, "password": "alice-password"}
    assert Client().post(reverse("account_login"), body).status_code == 302
    alice.refresh_from_db()
    assert flags(alice) == (False, False) and not alice.groups.exists()


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
