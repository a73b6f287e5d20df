"""Sign-in by an OpenID provider for who has a second factor: nobody is let in or linked before it."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.test import Client
from django.urls import reverse

from accounts.models import LinkedIdentity, User
from tests.cast import code_of
from tests.oidc_cast import acts, people, save_in_admin, sign_in, who
from tests.oidc_provider import OpenIDProvider

pytestmark = pytest.mark.django_db


def test_who_set_up_a_second_factor_is_asked_for_it(
    client: Client, provider: OpenIDProvider, alice: User
) -> None:
    totp.TOTP.activate(alice, totp.generate_totp_secret())
    RecoveryCodes.activate(alice)
    response = sign_in(client, provider, "sub-alice", next="/profile/")
    assert response.headers["Location"] == reverse("mfa_authenticate")
    assert who(client) is None and not acts()
    code = Authenticator.objects.get(user=alice, type="recovery_codes").wrap().get_unused_codes()[0]
    done = client.post(reverse("mfa_authenticate"), {"code": code})
    assert done.headers["Location"] == "/profile/"
    assert who(client) == alice
    assert acts() == [f"Signed in as sub-alice of {provider.url}."]
    assert client.session.get_expiry_age() <= 12 * 3600


def waiting(client: Client, provider: OpenIDProvider, user: User, subject: str) -> str:
    """Come as far as the second factor, which ``user`` sets up; return its secret."""
    secret = str(totp.generate_totp_secret())
    totp.TOTP.activate(user, secret)
    assert sign_in(client, provider, subject).headers["Location"] == reverse("mfa_authenticate")
    return secret


def test_who_never_gets_past_the_second_factor_does_not_lock_the_owner_out(
    provider: OpenIDProvider, alice: User
) -> None:
    """The address was somebody else's at the provider for a day."""
    provider.person("sub-heir", email="alice@example.com", email_verified=True)
    secret = waiting(Client(), provider, alice, "sub-heir")
    assert not LinkedIdentity.objects.exists() and people() == []
    owner = Client()
    sign_in(owner, provider, "sub-alice")
    assert owner.post(reverse("mfa_authenticate"), {"code": code_of(secret)}).status_code == 302
    assert who(owner) == alice
    assert LinkedIdentity.objects.get().uid == "sub-alice"


def test_of_two_who_wait_at_the_second_factor_the_first_to_pass_it_is_linked(
    provider: OpenIDProvider, alice: User
) -> None:
    provider.person("sub-heir", email="alice@example.com", email_verified=True)
    slow, quick = Client(), Client()
    secret = waiting(slow, provider, alice, "sub-heir")
    sign_in(quick, provider, "sub-alice")
    RecoveryCodes.activate(alice)
    code = Authenticator.objects.get(user=alice, type="recovery_codes").wrap().get_unused_codes()[0]
    quick.post(reverse("mfa_authenticate"), {"code": code})
    refused = slow.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert refused.status_code == 403
    assert "belongs to another identity" in refused.content.decode()
    assert who(quick) == alice and who(slow) is None
    assert LinkedIdentity.objects.get().uid == "sub-alice"


@pytest.mark.parametrize(
    "change_by_admin", [{"email": "alice@elsewhere.example"}, {"is_active": None}], ids=str
)
@pytest.mark.parametrize("came_before", [False, True])
def test_what_an_admin_changes_while_somebody_is_at_the_second_factor_counts(
    provider: OpenIDProvider, alice: User, admin: User, change_by_admin: dict[str, Any], came_before: bool
) -> None:
    if came_before:
        sign_in(Client(), provider, "sub-alice")
    client = Client()
    secret = waiting(client, provider, alice, "sub-alice")
    alice.refresh_from_db()
    save_in_admin(admin, alice, **change_by_admin)
    response = client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert response.status_code == 403
    assert who(client) is None
    assert acts()[-1].startswith(f"Refused alice@example.com (sub-alice of {provider.url}): ")
    assert not LinkedIdentity.objects.filter(user=alice).exists() or change_by_admin == {"is_active": None}


def test_a_link_that_was_taken_away_at_the_second_factor_is_not_the_unvouched_ones_again(
    provider: OpenIDProvider, alice: User
) -> None:
    sign_in(Client(), provider, "sub-alice")
    provider.person("sub-alice", email="alice@example.com", email_verified=False)
    client = Client()
    secret = waiting(client, provider, alice, "sub-alice")
    LinkedIdentity.objects.all().delete()
    assert client.post(reverse("mfa_authenticate"), {"code": code_of(secret)}).status_code == 403
    assert who(client) is None and not LinkedIdentity.objects.exists()


def test_a_link_says_when_somebody_last_arrived_and_not_when_they_tried(
    client: Client, provider: OpenIDProvider, alice: User
) -> None:
    sign_in(Client(), provider, "sub-alice")
    before = LinkedIdentity.objects.get().last_login
    secret = waiting(client, provider, alice, "sub-alice")
    assert LinkedIdentity.objects.get().last_login == before
    client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert LinkedIdentity.objects.get().last_login > before
