"""The console with an OpenID provider: how it is set up in tests, and how somebody signs in by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from routescope.config.env import SecretText
from routescope.config.oidc import OidcSettings
from tests.cast import signed_in
from tests.oidc_provider import OpenIDProvider, path_of, running

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

CALLBACK = "/accounts/oidc/callback/"


@pytest.fixture(scope="session")
def oidc_server() -> Iterator[OpenIDProvider]:
    """One provider for all tests; each begins with an honest one."""
    with running() as provider:
        yield provider


@pytest.fixture
def provider(oidc_server: OpenIDProvider, settings: LazySettings, db: None) -> OpenIDProvider:
    """An honest provider that the console is set up with, which knows Alice, Bob and Eve."""
    cache.clear()
    oidc_server.lie()
    set_up(settings, oidc_server)
    for name in ("alice", "bob"):
        email = f"{name}@example.com"
        oidc_server.person(f"sub-{name}", email=email, email_verified=True, name=name.title())
    oidc_server.person("sub-eve", email="eve@evil.example", email_verified=True, name="Eve")
    return oidc_server


def set_up(settings: LazySettings, provider: OpenIDProvider) -> None:
    """Register the console under its BASE_URL, and set it up as the environment would."""
    client_id, secret = provider.client(settings.BASE_URL + CALLBACK)
    settings.OIDC = OidcSettings(provider.url, client_id, SecretText(secret), name="Example Login")


def change(settings: LazySettings, **changes: Any) -> None:
    """Change the settings of single sign-on."""
    assert settings.OIDC
    settings.OIDC = replace(settings.OIDC, **changes)


def question(client: Client, **body: str) -> str:
    """Press the button; return where that leads, at the provider."""
    response = client.post(reverse("oidc_begin"), body)
    assert response.status_code == 200, response.content.decode()
    return str(response.context["url"])


def answer(client: Client, provider: OpenIDProvider, subject: str, **body: str) -> str:
    """Press the button and sign in at the provider; return where it sends the browser, in the console."""
    return path_of(provider.authorize(question(client, **body), subject))


def sign_in(client: Client, provider: OpenIDProvider, subject: str, **body: str) -> Response:
    """Sign in by the provider, and return what the console answers."""
    return client.get(answer(client, provider, subject, **body))


def who(client: Client) -> User | None:
    """Return who is signed in."""
    pk = client.session.get("_auth_user_id")
    return None if pk is None else User.objects.get(pk=pk)


def acts() -> list[str]:
    return list(AuditEntry.objects.filter(act="sign_in").order_by("id").values_list("object", flat=True))


def people() -> list[str]:
    return list(AuditEntry.objects.filter(act="people").order_by("id").values_list("object", flat=True))


def save_in_admin(admin: User, user: User, **changes: Any) -> None:
    """Send the form of a user's page as it is shown, with some fields changed; None unticks."""
    url = f"/admin/accounts/user/{user.pk}/change/"
    client = signed_in(admin)
    form = client.get(url).context["adminform"].form
    body = {name: form[name].value() for name in form.fields if name != "password"}
    body |= changes
    body = {name: value for name, value in body.items() if value not in (None, False)}
    for prefix in ("identities", "api_tokens"):
        body |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    response = client.post(url, body)
    assert response.status_code == 302, response.context["errors"]
