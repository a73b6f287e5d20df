"""Sign-in by an OpenID provider: who is let in, and as which account."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.mail import EmailMessage
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, LinkedIdentity, User
from accounts.people import invites
from tests.cast import signed_in
from tests.oidc_cast import acts, answer, change, save_in_admin, sign_in, who
from tests.oidc_provider import OpenIDProvider

pytestmark = pytest.mark.django_db


# --- Not set up --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["oidc_begin", "oidc_callback"])
def test_without_a_provider_nothing_answers(client: Client, name: str) -> None:
    assert client.get(reverse(name)).status_code in (404, 405)
    assert client.post(reverse(name)).status_code in (404, 405)
    assert "Example Login" not in client.get(reverse("account_login")).content.decode()


@pytest.mark.parametrize(
    "path",
    [
        "3rdparty/",
        "3rdparty/signup/",
        "3rdparty/login/error/",
        "3rdparty/login/cancelled/",
        "social/signup/",
        "social/connections/",
        "oidc/any/login/",
        "oidc/any/login/callback/",
    ],
)
def test_allauths_own_pages_for_identities_are_never_there(alice_client: Client, path: str) -> None:
    for client in (Client(), alice_client):
        assert client.get(f"/accounts/{path}").status_code == 404
        assert client.post(f"/accounts/{path}").status_code == 404


# --- Who is let in -----------------------------------------------------------------------------------------


def test_somebody_with_an_account_signs_in_and_lands_where_they_were_going(
    client: Client, provider: OpenIDProvider, alice: User
) -> None:
    response = sign_in(client, provider, "sub-alice", next="/profile/")
    assert response.headers["Location"] == "/profile/"
    assert who(client) == alice
    assert "no-store" in response.headers["Cache-Control"]
    link = LinkedIdentity.objects.get()
    assert (link.user_id, link.provider, link.uid) == (alice.pk, provider.url, "sub-alice")
    entry = AuditEntry.objects.get(act="sign_in")
    assert (entry.actor, entry.subject, entry.ip) == (alice, alice, "127.0.0.1")
    assert entry.object == f"Signed in as sub-alice of {provider.url}."


def test_signing_in_never_leads_to_another_site(
    client: Client, provider: OpenIDProvider, alice: User
) -> None:
    for target in ("https://evil.example/", "//evil.example/", "\\\\evil.example"):
        response = sign_in(client, provider, "sub-alice", next=target)
        assert response.headers["Location"] == "/records/usage/"
        client.logout()


def test_an_invitation_is_accepted_by_signing_in(
    client: Client, provider: OpenIDProvider, mailoutbox: list[EmailMessage]
) -> None:
    bob = User.objects.create_user("bob@example.com", is_active=False)
    invites.invite(bob)
    link = next(word for word in str(mailoutbox[0].body).split() if "/invite/" in word)
    assert "Sign in with Example Login" in client.get(link).content.decode()
    sign_in(client, provider, "sub-bob")
    assert who(client) == bob
    bob.refresh_from_db()
    assert bob.is_active and not bob.has_usable_password()
    assert Client().get(link).status_code == 404, "the link is used up"


def test_an_address_that_nobody_invited_is_refused(client: Client, provider: OpenIDProvider) -> None:
    response = sign_in(client, provider, "sub-eve")
    assert response.status_code == 403
    assert "Nobody has invited <b>eve@evil.example</b> yet." in response.content.decode()
    assert "no-store" in response.headers["Cache-Control"]
    assert who(client) is None
    assert not User.objects.exists() and not LinkedIdentity.objects.exists()
    assert acts() == [f"Refused eve@evil.example (sub-eve of {provider.url}): nobody invited the address."]


def test_somebody_known_from_a_gateway_only_is_not_invited(client: Client, provider: OpenIDProvider) -> None:
    User.objects.create_user("bob@example.com", is_active=False)
    assert "Nobody has invited" in sign_in(client, provider, "sub-bob").content.decode()
    assert who(client) is None


def test_a_domain_that_the_operator_names_needs_no_invitation(
    client: Client, provider: OpenIDProvider, settings: LazySettings
) -> None:
    change(settings, domains=frozenset({"example.com"}))
    known = User.objects.create_user("bob@example.com", is_active=False)
    sign_in(client, provider, "sub-bob")
    assert who(client) == known, "with the records a gateway sent"
    newcomer = Client()
    sign_in(newcomer, provider, "sub-alice")
    alice = User.objects.get(email="alice@example.com")
    assert who(newcomer) == alice
    assert (alice.name, alice.is_staff, alice.has_usable_password()) == ("Alice", False, False)
    assert sign_in(Client(), provider, "sub-eve").status_code == 403


@pytest.mark.parametrize("name", ["Al\x00ice", "\ud800", 7, ["Alice"], {"a": 1}, "A" * 500], ids=ascii)
def test_an_odd_name_costs_nobody_their_sign_in(
    client: Client, provider: OpenIDProvider, settings: LazySettings, name: Any
) -> None:
    change(settings, domains=frozenset({"example.com"}))
    provider.lie(claims={"name": name})
    sign_in(client, provider, "sub-alice")
    alice = User.objects.get()
    assert who(client) == alice
    assert alice.name in ("", "A" * 200)


@pytest.mark.django_db(transaction=True)
def test_a_newcomer_who_comes_twice_at_once_is_one_person(
    provider: OpenIDProvider, settings: LazySettings
) -> None:
    change(
        settings,
        domains=frozenset({"example.com"}),
        admin_claim="groups",
        admin_values=frozenset({"root"}),
    )
    provider.person("sub-bob", email="bob@example.com", email_verified=True, groups=["root"])
    clients = [Client() for _one in range(4)]
    locations = [answer(client, provider, "sub-bob") for client in clients]

    def come(client: Client, location: str) -> int:
        try:
            return client.get(location).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as together:
        codes = list(together.map(come, clients, locations))
    bob = User.objects.get()
    # Two at a time ask the provider; the others wait, or are told to try again.
    assert set(codes) <= {302, 503} and 302 in codes
    assert LinkedIdentity.objects.get().user_id == bob.pk
    assert bob.is_superuser and bob.claimed_rights.count() == 2


@pytest.mark.parametrize(
    "email", ["eve@notexample.com", "eve@example.com.evil.example", "eve@sub.example.com", "eve@example.co"]
)
def test_another_domain_that_looks_like_it_is_another(
    client: Client, provider: OpenIDProvider, settings: LazySettings, email: str
) -> None:
    change(settings, domains=frozenset({"example.com"}))
    provider.person("sub-eve", email=email, email_verified=True)
    assert sign_in(client, provider, "sub-eve").status_code == 403
    assert not User.objects.exists()


def test_an_identity_that_came_before_stays_the_same_account_under_a_new_address(
    client: Client, provider: OpenIDProvider, alice: User
) -> None:
    sign_in(client, provider, "sub-alice")
    provider.person("sub-alice", email="alice@married.example", email_verified=False)
    again = Client()
    sign_in(again, provider, "sub-alice")
    assert who(again) == alice


def test_a_closed_account_stays_closed(
    client: Client, provider: OpenIDProvider, alice: User, admin: User
) -> None:
    sign_in(client, provider, "sub-alice")
    User.objects.filter(pk=alice.pk).update(is_active=False)
    response = sign_in(Client(), provider, "sub-alice")
    assert "This account is closed." in response.content.decode()
    assert client.get("/profile/").status_code == 302, "its sessions are over too"
    LinkedIdentity.objects.all().delete()
    fresh = Client()
    assert sign_in(fresh, provider, "sub-alice").status_code == 403
    assert who(fresh) is None


@pytest.mark.parametrize("how", ["provisioned", "invited", "with a password"])
def test_who_was_closed_before_they_ever_came_is_not_let_in_by_domain_or_old_invitation(
    client: Client, provider: OpenIDProvider, settings: LazySettings, admin: User, how: str
) -> None:
    change(settings, domains=frozenset({"example.com"}))
    bob = User.objects.create_user("bob@example.com", "bob-password" if how == "with a password" else None)
    if how == "invited":
        bob.invited_at = timezone.now()
        bob.save()
    save_in_admin(admin, bob, is_active=None)
    bob.refresh_from_db()
    assert bob.closed_at is not None
    assert sign_in(client, provider, "sub-bob").status_code == 403
    assert who(client) is None
    invites.invite(bob)
    sign_in(client, provider, "sub-bob")
    assert who(client) == bob, "invited anew"


def test_a_new_address_given_by_an_admin_ends_the_old_identity(
    client: Client, provider: OpenIDProvider, alice: User, admin: User
) -> None:
    sign_in(client, provider, "sub-alice")
    save_in_admin(admin, alice, email="alice@elsewhere.example")
    assert sign_in(Client(), provider, "sub-alice").status_code == 403


def test_an_address_given_to_somebody_else_at_the_provider_does_not_open_the_account(
    client: Client, provider: OpenIDProvider, alice: User, admin: User
) -> None:
    sign_in(client, provider, "sub-alice")
    provider.person("sub-heir", email="alice@example.com", email_verified=True)
    heir = Client()
    response = sign_in(heir, provider, "sub-heir")
    assert "belongs to another identity" in response.content.decode()
    assert who(heir) is None
    link = LinkedIdentity.objects.get()
    page = f"/admin/accounts/linkedidentity/{link.pk}/delete/"
    assert signed_in(admin).post(page, {"post": "yes"}).status_code == 302
    assert AuditEntry.objects.filter(act="people", subject=alice, object__endswith="Deleted.").exists()
    sign_in(heir, provider, "sub-heir")
    assert who(heir) == alice


def test_who_is_signed_in_already_is_not_sent_to_the_provider(
    client: Client, provider: OpenIDProvider, alice: User
) -> None:
    sign_in(client, provider, "sub-alice")
    again = client.post(reverse("oidc_begin"), {"next": "/profile/"})
    assert (again.status_code, again.headers["Location"]) == (302, "/profile/")


def test_the_last_of_two_sign_ins_in_one_browser_counts(
    client: Client, provider: OpenIDProvider, alice: User, bob: User
) -> None:
    first, second = answer(client, provider, "sub-alice"), answer(client, provider, "sub-bob")
    client.get(first)
    assert who(client) == alice
    client.get(second)
    assert who(client) == bob
    assert [one["uid"] for one in client.session["account_authentication_methods"]] == ["sub-bob"]
