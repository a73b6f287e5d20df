"""Signing in: password, throttle, second factor, passkeys, reset by e-mail, and expired sessions."""

from __future__ import annotations

import re
from typing import cast
from urllib.parse import quote

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.cast import code_of
from tests.e2e import hands

PASSWORD = "alice-password"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_limits(db: None) -> None:
    cache.clear()


def sign_in(client: Client, email: str = "alice@example.com", password: str = PASSWORD, **extra: str) -> int:
    return client.post(reverse("account_login"), {"login": email, "password": password, **extra}).status_code


def test_a_person_signs_in_by_address_in_any_case_and_lands_where_they_were_going(
    client: Client, alice: User
) -> None:
    response = client.post(
        reverse("account_login"),
        {"login": "Alice@Example.com", "password": PASSWORD, "next": "/profile/"},
    )
    assert response.status_code == 302
    assert response.headers["Location"] == "/profile/"
    assert client.get("/profile/").status_code == 200


def test_signing_in_never_leads_to_another_site(client: Client, alice: User) -> None:
    response = client.post(
        reverse("account_login"),
        {"login": alice.email, "password": PASSWORD, "next": "https://evil.example/"},
    )
    assert response.headers["Location"] == "/records/usage/"


@pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.org"])
def test_a_wrong_password_and_an_unknown_address_are_told_apart_by_nothing(
    client: Client, alice: User, email: str
) -> None:
    response = client.post(reverse("account_login"), {"login": email, "password": "wrong"})
    assert "No account has this e-mail address and password." in response.content.decode()
    assert "_auth_user_id" not in client.session


@pytest.mark.usefixtures("standing_clock")
def test_the_sixth_wrong_password_is_told_to_wait(client: Client, alice: User) -> None:
    for _attempt in range(5):
        sign_in(client, password="wrong")
    response = client.post(reverse("account_login"), {"login": alice.email, "password": PASSWORD})
    assert "Too many failed attempts. Wait five minutes" in response.content.decode()
    assert "_auth_user_id" not in client.session


@pytest.mark.usefixtures("standing_clock")
def test_an_address_that_hammers_gets_a_page_that_says_so(client: Client) -> None:
    for attempt in range(31):
        response = client.post(reverse("account_login"), {"login": f"{attempt}@example.org", "password": "x"})
    assert response.status_code == 429
    assert "Too many attempts" in response.content.decode()


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_a_person_known_from_a_gateway_only_cannot_sign_in(client: Client, password: str) -> None:
    User.objects.create_user("bob@example.org", PASSWORD, is_active=False)
    client.post(reverse("account_login"), {"login": "bob@example.org", "password": password})
    assert "_auth_user_id" not in client.session


def test_nobody_signs_up(client: Client) -> None:
    page = client.get(reverse("account_signup")).content.decode()
    assert "Accounts are by invitation" in page
    client.post(
        reverse("account_signup"), {"email": "eve@example.org", "password1": PASSWORD, "password2": PASSWORD}
    )
    assert not User.objects.exists()


def test_signing_out_takes_a_post(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get(reverse("account_logout")).status_code == 200
    assert "_auth_user_id" in client.session
    assert client.post(reverse("account_logout")).status_code == 302
    assert "_auth_user_id" not in client.session


# --- Reset by e-mail -------------------------------------------------------------------------------------


def reset_link(mailoutbox: list[EmailMessage]) -> str:
    found = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+)", str(mailoutbox[-1].body))
    assert found is not None
    return found[1]


def test_a_reset_link_works_once(client: Client, alice: User, mailoutbox: list[EmailMessage]) -> None:
    client.post(reverse("account_reset_password"), {"email": alice.email})
    assert mailoutbox[0].subject == "Routescope: Choose a new password"
    link = reset_link(mailoutbox)
    form = client.get(link, follow=True)
    new = {"password1": "entirely-new-secret", "password2": "entirely-new-secret"}
    done = client.post(form.redirect_chain[-1][0], new, follow=True)
    assert "Sign in with the new password." in done.content.decode()
    assert sign_in(client, password="entirely-new-secret") == 302
    assert "This link no longer works" in Client().get(link, follow=True).content.decode()


def test_asking_for_a_reset_answers_the_same_for_an_unknown_address(
    client: Client, mailoutbox: list[EmailMessage]
) -> None:
    response = client.post(reverse("account_reset_password"), {"email": "nobody@example.org"}, follow=True)
    assert "Check your e-mail" in response.content.decode()
    assert "no account has this address" in str(mailoutbox[0].body)


def test_asking_for_a_reset_leaves_mfa_open(
    client: Client, alice: User, mailoutbox: list[EmailMessage]
) -> None:
    client.post(reverse("account_reset_password"), {"email": alice.email})
    assert not EmailAddress.objects.filter(user=alice, verified=False).exists()
    sign_in(client)
    confirm(client)
    assert client.get(reverse("mfa_activate_totp")).status_code == 200


# --- Second factor ---------------------------------------------------------------------------------------


def confirm(client: Client) -> None:
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})


@pytest.mark.usefixtures("standing_clock")
def test_an_authenticator_app_is_set_up_and_then_asked_for(client: Client, alice: User) -> None:
    sign_in(client)
    confirm(client)
    page = client.get(reverse("mfa_activate_totp"))
    secret = str(page.context["form"].secret)
    assert f'data-copy="{secret}"' in page.content.decode()
    done = client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)}, follow=True)
    assert "Keep them with your passwords." in done.content.decode()
    client.post(reverse("account_logout"))

    response = client.post(reverse("account_login"), {"login": alice.email, "password": PASSWORD})
    assert response.headers["Location"] == reverse("mfa_authenticate")
    assert "_auth_user_id" not in client.session
    wrong = client.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert "Incorrect code." in wrong.content.decode()
    recovery = Authenticator.objects.get(user=alice, type="recovery_codes").wrap().get_unused_codes()[0]
    assert client.post(reverse("mfa_authenticate"), {"code": recovery}).status_code == 302
    assert "_auth_user_id" in client.session


def test_changing_what_protects_the_account_asks_who_it_is_first(client: Client, alice: User) -> None:
    sign_in(client)
    response = client.get(reverse("mfa_activate_totp"))
    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("account_reauthenticate"))


# --- Expired sessions under htmx -------------------------------------------------------------------------


def test_an_expired_session_sends_htmx_to_sign_in_as_a_whole_page(client: Client) -> None:
    page = "http://testserver/profile/?tab=look&q=a b"
    response = client.get("/profile/", headers={"hx-request": "true", "hx-current-url": page})
    assert response.status_code == 200
    wanted = quote("/profile/?tab=look&q=a b", safe="").replace("%20", "+")
    assert response.headers["HX-Redirect"] == f"/accounts/login/?next={wanted}"
    assert response.content == b""


def test_an_expired_session_under_htmx_never_leads_to_another_site(client: Client) -> None:
    response = client.get(
        "/profile/", headers={"hx-request": "true", "hx-current-url": "https://evil.example/records/"}
    )
    assert response.headers["HX-Redirect"] == "/accounts/login/"


def test_an_expired_session_redirects_a_plain_request_as_usual(client: Client) -> None:
    response = client.get("/profile/")
    assert response.status_code == 302
    assert response.headers["Location"] == "/accounts/login/?next=/profile/"


# --- In a browser ----------------------------------------------------------------------------------------


def test_a_passkey_is_added_and_signs_one_in_alone(page: Page, alice: User) -> None:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto("/accounts/login/?next=/accounts/2fa/webauthn/add/")
    hands.sign_in(page, cast(str, alice.email), PASSWORD)
    expect(page.get_by_role("button", name="Confirm")).to_be_visible()
    hands.write(page.get_by_label("Password"), PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    hands.write(page.get_by_label("Name"), "Laptop")
    hands.Mouse(page).press(page.locator("label", has_text="Passkey: sign in with it alone"))
    page.get_by_role("button", name="Add the key").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    page.goto("/accounts/login/?next=/accounts/2fa/webauthn/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("Laptop")).to_be_visible()


def test_a_passkey_that_is_refused_says_so_in_place(page: Page, alice: User) -> None:
    page.goto("/accounts/login/")
    page.evaluate(
        "() => { navigator.credentials.get = "
        "async () => { throw new DOMException('refused', 'NotAllowedError') } }"
    )
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("No passkey was used")
