"""Sign-in by an OpenID provider: what the audit log holds of it, what is kept, and for how long."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.conf import LazySettings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, LinkedIdentity, User
from accounts.people import invites
from accounts.staff import audit
from tests.oidc_cast import change, people, sign_in
from tests.oidc_provider import OpenIDProvider

pytestmark = pytest.mark.django_db


# --- What the audit log holds ------------------------------------------------------------------------------


def test_who_is_added_opened_and_linked_is_in_the_audit_log(
    provider: OpenIDProvider, settings: LazySettings, admin: User
) -> None:
    invited = User.objects.create_user("bob@example.com", is_active=False)
    invites.invite(invited)
    sign_in(Client(), provider, "sub-bob")
    bob = f"sub-bob of {provider.url}"
    assert people() == [
        f"bob@example.com: Opened for {bob}, who was invited.",
        f"bob@example.com: Linked with {bob}.",
    ]
    assert {entry.subject for entry in AuditEntry.objects.all()} == {invited}
    change(settings, domains=frozenset({"example.com", "evil.example"}))
    sign_in(Client(), provider, "sub-alice")
    alice = f"sub-alice of {provider.url}"
    assert people()[2:] == [
        f"Alice: Added for {alice}, whose domain is let in.",
        f"Alice: Linked with {alice}.",
    ]
    User.objects.create_user("eve@evil.example", is_active=False)
    sign_in(Client(), provider, "sub-eve")
    assert people()[4] == f"eve@evil.example: Opened for sub-eve of {provider.url}, whose domain is let in."
    sign_in(Client(), provider, "sub-eve")
    assert len(people()) == 6, "who comes again is linked already"


@pytest.mark.parametrize("refused", ["Added", "Opened", "Linked"])
def test_nothing_is_done_that_the_audit_log_cannot_hold(
    provider: OpenIDProvider, settings: LazySettings, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    change(settings, domains=frozenset({"example.com"}))
    User.objects.create_user("bob@example.com", is_active=False)
    write = audit.note

    def full(request: Any, act: str, subject: Any, what: str) -> AuditEntry:
        if f": {refused} " in what:
            raise OSError("No space left on device")
        return write(request, act, subject, what)

    monkeypatch.setattr(audit, "note", full)
    for subject in ("sub-bob", "sub-alice"):
        with contextlib.suppress(OSError):
            sign_in(Client(), provider, subject)
    assert LinkedIdentity.objects.count() == len([one for one in people() if ": Linked " in one])
    assert User.objects.filter(name="Alice").count() == len([one for one in people() if ": Added " in one])
    opened = User.objects.filter(email="bob@example.com", is_active=True)
    assert opened.count() == len([one for one in people() if ": Opened " in one])
    assert not any(f": {refused} " in one for one in people())


# --- What is kept ------------------------------------------------------------------------------------------


def test_a_session_ends_after_the_hours_that_the_operator_sets(
    client: Client, provider: OpenIDProvider, alice: User, settings: LazySettings
) -> None:
    change(settings, session_hours=3)
    sign_in(client, provider, "sub-alice")
    left = Session.objects.get(pk=client.session.session_key).expire_date - timezone.now()
    assert timedelta(hours=2, minutes=59) < left <= timedelta(hours=3)


def test_neither_tokens_nor_the_secret_nor_claims_are_kept(
    client: Client, provider: OpenIDProvider, alice: User, settings: LazySettings
) -> None:
    sign_in(client, provider, "sub-alice")
    assert settings.OIDC
    secret = settings.OIDC.client_secret.reveal()
    session = Session.objects.get(pk=client.session.session_key).get_decoded()
    kept = [session, SocialAccount.objects.get().extra_data]
    assert kept[1] == {}
    for never in (secret, "access_token", "id_token", "eyJ", "pkce_code_verifier", "nonce"):
        assert never not in str(kept)
    assert not SocialToken.objects.exists() and not SocialApp.objects.exists()
    assert secret not in f"{settings.OIDC!r} {settings.OIDC.client_secret} {[settings.OIDC.client_secret]}"


def test_the_admin_has_no_page_for_tokens(admin: User, client: Client, provider: OpenIDProvider) -> None:
    provider.person("sub-admin", email="admin@example.com", email_verified=True)
    sign_in(client, provider, "sub-admin")
    for model in ("socialapp", "socialtoken", "socialaccount"):
        assert client.get(f"/admin/socialaccount/{model}/").status_code == 404
    page = client.get("/admin/accounts/linkedidentity/").content.decode()
    assert "sub-admin" in page and provider.url in page
    asked = client.get("/admin/accounts/linkedidentity/?extra_data__icontains=a")
    assert asked.status_code in (302, 400, 403)
