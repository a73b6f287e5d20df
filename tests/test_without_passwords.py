"""PASSWORD_SIGN_IN=0: the OpenID provider alone says who gets in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.conf import LazySettings
from django.contrib.auth import authenticate
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.test import Client, RequestFactory
from django.urls import reverse
from playwright.sync_api import Page, expect

from accounts.models import User
from accounts.people import invites
from tests.cast import signed_in
from tests.oidc_cast import sign_in, who
from tests.oidc_provider import OpenIDProvider

pytestmark = pytest.mark.django_db
PASSWORD = "alice-password"


@pytest.fixture(autouse=True)
def without_passwords(provider: OpenIDProvider, settings: LazySettings) -> None:
    settings.PASSWORD_SIGN_IN = False


def test_the_sign_in_page_shows_the_button_alone(client: Client) -> None:
    page = client.get(reverse("account_login") + "?next=/profile/").content.decode()
    assert "Sign in with Example Login" in page
    assert 'name="next" value="/profile/"' in page
    for gone in ("password", "passkey", "mfa_login", 'name="login"', "Forgot"):
        assert gone not in page.lower() or (gone == "Forgot" and gone not in page)


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_a_password_is_refused_right_or_wrong(client: Client, alice: User, password: str) -> None:
    response = client.post(reverse("account_login"), {"login": alice.email, "password": password})
    assert response.status_code == 403
    assert who(client) is None


def test_a_password_opens_no_other_door(client: Client, alice: User, admin: User) -> None:
    for email, password in (("alice@example.com", PASSWORD), ("admin@example.com", "admin-password")):
        client.post(reverse("admin:login"), {"username": email, "password": password}, follow=True)
        assert who(client) is None
        assert authenticate(RequestFactory().post("/"), username=email, password=password) is None
        assert authenticate(RequestFactory().post("/"), email=email, password=password) is None


@pytest.mark.parametrize(
    "path",
    [
        "password/change/",
        "password/set/",
        "password/reset/",
        "password/reset/done/",
        "password/reset/key/1-abc/",
        "password/reset/key/done/",
        "reauthenticate/",
        "2fa/webauthn/login/",
    ],
)
def test_pages_that_ask_for_a_password_are_not_there(
    client: Client, alice: User, path: str, mailoutbox: list[EmailMessage]
) -> None:
    for somebody in (client, signed_in(alice)):
        assert somebody.get(f"/accounts/{path}").status_code == 404
        assert somebody.post(f"/accounts/{path}", {"email": alice.email}).status_code == 404
    assert not mailoutbox


def test_no_page_of_ones_own_offers_a_password(alice: User) -> None:
    client = signed_in(alice)
    for url in ("/profile/", reverse("mfa_index"), reverse("usersessions_list"), "/profile/access-tokens/"):
        page = client.get(url).content.decode()
        assert "/password/" not in page
        assert "password" not in page.lower(), url


def test_an_invitation_leads_to_the_button(client: Client, mailoutbox: list[EmailMessage]) -> None:
    bob = User.objects.create_user("bob@example.com", is_active=False)
    invites.invite(bob)
    body = str(mailoutbox[0].body)
    assert "Sign in with Example Login" in body and "password" not in body
    link = next(word for word in body.split() if "/invite/" in word)
    page = client.get(link).content.decode()
    assert "Sign in with Example Login" in page and 'type="password"' not in page
    chosen = {"password1": "entirely-new-secret", "password2": "entirely-new-secret"}
    assert client.post(link, chosen).status_code == 403
    bob.refresh_from_db()
    assert not bob.is_active


def test_a_second_factor_is_set_up_and_asked_for_without_a_password(
    client: Client, provider: OpenIDProvider, alice: User
) -> None:
    sign_in(client, provider, "sub-alice")
    page = client.get(reverse("mfa_activate_totp"))
    assert page.status_code == 200, "no password is asked for, as there is none"
    totp.TOTP.activate(alice, totp.generate_totp_secret())
    changed = client.post(reverse("mfa_deactivate_totp"))
    assert changed.headers["Location"].startswith(reverse("mfa_reauthenticate"))
    assert Authenticator.objects.filter(user=alice, type="totp").exists()


def test_the_operator_gets_in_by_turning_passwords_on_again(
    client: Client, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "break-glass-password")
    call_command("createsuperuser", email="operator@example.com", interactive=False, verbosity=0)
    body = {"login": "operator@example.com", "password": "break-glass-password"}
    assert client.post(reverse("account_login"), body).status_code == 403
    settings.PASSWORD_SIGN_IN = True
    assert client.post(reverse("account_login"), body).status_code == 302


def test_passwords_are_not_turned_off_where_nobody_could_sign_in() -> None:
    root = Path(__file__).resolve().parent.parent
    found = subprocess.run(
        [sys.executable, "-c", "import routescope.settings"],
        cwd=root,
        env={"PASSWORD_SIGN_IN": "0", "PATH": "", "ROUTESCOPE_STATE": "var/test"},
        capture_output=True,
        text=True,
    )
    assert "PASSWORD_SIGN_IN=0 needs OIDC_ISSUER" in found.stderr


def test_the_sign_in_page_in_the_browser(page: Page) -> None:
    page.goto("/accounts/login/")
    expect(page.get_by_role("button")).to_have_count(1)
    expect(page.get_by_role("button", name="Sign in with Example Login")).to_be_visible()
