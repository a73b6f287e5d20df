"""Sign-in by an OpenID provider as an attacker would try it: forged, replayed, borrowed and unverified."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from time_machine import TimeMachineFixture

from accounts.models import AuditEntry, LinkedIdentity, User
from routescope.config.env import SecretText
from tests.oidc_cast import CALLBACK, answer, change, question, sign_in, who
from tests.oidc_provider import OpenIDProvider

pytestmark = pytest.mark.django_db


def last_refusal() -> str:
    return (
        AuditEntry.objects.filter(act="sign_in").order_by("id").values_list("object", flat=True).last() or ""
    )


@pytest.fixture(autouse=True)
def fresh_limits(db: None) -> None:
    cache.clear()


# --- Tokens ------------------------------------------------------------------------------------------------

LONG_AGO, FAR_AHEAD = 1_000_000_000, 4_000_000_000


@pytest.mark.parametrize(
    "lie",
    [
        {"claims": {"iss": "https://evil.example"}},
        {"claims": {"iss": "http://localhost"}},
        {"claims": {"iss": None}},
        {"claims": {"aud": "another-client"}},
        {"claims": {"aud": []}},
        {"claims": {"aud": None}},
        {"claims": {"azp": "another-client"}},
        {"claims": {"nonce": "of another sign-in"}},
        {"claims": {"nonce": ""}},
        {"claims": {"nonce": None}},
        {"claims": {"nonce": ["n"]}},
        {"claims": {"exp": LONG_AGO}},
        {"claims": {"exp": None}},
        {"claims": {"iat": FAR_AHEAD}},
        {"claims": {"nbf": FAR_AHEAD}},
        {"claims": {"sub": None}},
        {"claims": {"sub": ""}},
        {"claims": {"sub": "s" * 300}},
        {"claims": {"sub": "sub\x00alice"}},
        {"claims": {"sub": 7}},
        {"signed": "foreign"},
        {"signed": "foreign", "header": {"kid": None}},
        {"signed": "none"},
        {"signed": "secret", "secret": "a-secret-that-an-attacker-made-up-01"},
        {"header": {"kid": "another"}},
        {"header": {"kid": ""}},
        {"body": {"/jwks": '{"keys": []}'}},
        {"body": {"/jwks": '{"keys": "none"}'}},
        {"body": {"/jwks": '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "own"}, 7]}'}},
        {"body": {"/oauth2/token": '{"access_token": "a"}'}},
        {"body": {"/oauth2/token": '{"access_token": "a", "id_token": "no.jwt.atall"}'}},
        {"body": {"/oauth2/token": '{"access_token": "a", "id_token": 7}'}},
        {"body": {"/oauth2/token": "[1]"}},
        {"body": {"/oauth2/token": "access_token=a&id_token=b"}},
        {"status": {"/oauth2/token": 400}},
        {"status": {"/oauth2/token": 307}},
        {"metadata": {"issuer": "https://evil.example"}},
        {"metadata": {"token_endpoint": None}},
        {"metadata": {"jwks_uri": 7}},
    ],
    ids=str,
)
def test_a_token_that_does_not_hold_lets_nobody_in(
    client: Client, provider: OpenIDProvider, alice: User, lie: dict[str, Any]
) -> None:
    location = answer(client, provider, "sub-alice")
    provider.lie(**lie)
    response = client.get(location)
    assert response.status_code == 403, response.content.decode()
    assert "could not be verified" in response.content.decode()
    assert who(client) is None
    assert not LinkedIdentity.objects.exists()
    assert last_refusal() == "Refused a sign-in: the provider's answer does not hold."


def test_several_audiences_hold_only_for_the_client_they_were_made_for(
    client: Client, provider: OpenIDProvider, alice: User, settings: LazySettings
) -> None:
    assert settings.OIDC
    both = [settings.OIDC.client_id, "another"]
    for azp, let_in in ((None, False), ("another", False), (settings.OIDC.client_id, True)):
        location = answer(client, provider, "sub-alice")
        provider.lie(claims={"aud": both, "azp": azp})
        client.get(location)
        assert (who(client) == alice) is let_in


def test_the_clients_secret_signs_nothing(
    client: Client, provider: OpenIDProvider, alice: User, settings: LazySettings
) -> None:
    assert settings.OIDC
    provider.lie(signed="secret", secret=settings.OIDC.client_secret.reveal())
    assert sign_in(client, provider, "sub-alice").status_code == 403


def test_a_wrong_secret_is_the_operators_to_mend_and_is_not_logged(
    client: Client,
    provider: OpenIDProvider,
    alice: User,
    settings: LazySettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    change(settings, client_secret=SecretText("not-the-secret-that-was-given"))
    with caplog.at_level(logging.WARNING):
        response = sign_in(client, provider, "sub-alice")
    assert response.status_code == 403
    assert "The token endpoint answers 401: invalid_client." in caplog.text
    assert "not-the-secret" not in caplog.text + response.content.decode()


def test_the_userinfo_of_another_subject_is_refused(
    client: Client, provider: OpenIDProvider, alice: User, settings: LazySettings
) -> None:
    change(settings, admin_claim="groups", admin_values=frozenset({"admins"}))
    provider.lie(user_info={"sub": "sub-admin", "groups": ["admins"]})
    assert sign_in(client, provider, "sub-alice").status_code == 403
    assert who(client) is None


def test_the_secret_follows_no_redirect(client: Client, provider: OpenIDProvider, alice: User) -> None:
    location = answer(client, provider, "sub-alice")
    provider.lie(status={"/oauth2/token": 307})
    client.get(location)
    assert "/elsewhere" not in provider.asked()


# --- State, replay, and whose browser it is ----------------------------------------------------------------


def test_a_state_that_this_browser_was_not_given_is_refused(
    client: Client, provider: OpenIDProvider, alice: User
) -> None:
    location = answer(client, provider, "sub-alice")
    code = parse_qs(urlsplit(location).query)["code"][0]
    for query in (
        f"code={code}",
        f"code={code}&state=",
        f"code={code}&state=made-up",
        "",
        "state=%00&code=%00",
    ):
        response = client.get(f"{CALLBACK}?{query}")
        assert response.status_code == 403
        assert "no longer valid" in response.content.decode()
        assert who(client) is None
    assert "/oauth2/token" not in provider.asked()


def test_an_attackers_code_signs_nobody_else_in(client: Client, provider: OpenIDProvider, bob: User) -> None:
    """The victim is sent to the end of a sign-in that the attacker began."""
    victim = Client()
    question(victim)
    location = answer(client, provider, "sub-bob")
    assert victim.get(location).status_code == 403
    assert who(victim) is None


def test_a_stolen_code_is_of_no_use_in_another_browser(
    client: Client, provider: OpenIDProvider, alice: User
) -> None:
    """The attacker, who saw the victim's code, puts it under a state of their own."""
    code = parse_qs(urlsplit(answer(client, provider, "sub-alice")).query)["code"][0]
    attacker = Client()
    state = parse_qs(urlsplit(question(attacker)).query)["state"][0]
    response = attacker.get(f"{CALLBACK}?code={code}&state={state}")
    assert response.status_code == 403
    assert who(attacker) is None


def test_a_callback_works_once(client: Client, provider: OpenIDProvider, alice: User) -> None:
    location = answer(client, provider, "sub-alice")
    assert client.get(location).status_code == 302
    client.logout()
    assert client.get(location).status_code == 403
    assert who(client) is None


def test_a_sign_in_that_was_begun_too_long_ago_is_over(
    client: Client, provider: OpenIDProvider, alice: User, time_machine: TimeMachineFixture
) -> None:
    location = answer(client, provider, "sub-alice")
    time_machine.move_to(datetime.now(UTC) + timedelta(seconds=601))
    assert "no longer valid" in client.get(location).content.decode()


def test_a_code_of_before_a_change_of_issuer_is_refused(
    client: Client, provider: OpenIDProvider, alice: User, settings: LazySettings
) -> None:
    location = answer(client, provider, "sub-alice")
    change(settings, issuer=provider.url + "/")
    assert client.get(location).status_code == 403


def test_another_issuers_answer_is_refused(client: Client, provider: OpenIDProvider, alice: User) -> None:
    location = answer(client, provider, "sub-alice")
    assert client.get(f"{location}&iss=https%3A%2F%2Fevil.example").status_code == 403
    assert "/oauth2/token" not in provider.asked()


def test_the_question_has_a_challenge_a_nonce_and_a_fixed_way_back(
    client: Client, provider: OpenIDProvider
) -> None:
    url = reverse("oidc_begin") + "?scope=admin&auth_params=prompt%3Dnone&process=connect"
    response = client.post(url, {"process": "connect", "scope": "x"}, headers={"Host": "localhost"})
    asked = {name: found[0] for name, found in parse_qs(urlsplit(response.context["url"]).query).items()}
    assert asked["redirect_uri"] == "http://127.0.0.1:8000" + CALLBACK
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["scope"] == "openid email profile"
    assert len(asked["nonce"]) > 40 and len(asked["code_challenge"]) == 43
    assert "prompt" not in asked and "client_secret" not in asked


def test_a_link_or_another_site_begins_no_sign_in(provider: OpenIDProvider) -> None:
    assert Client().get(reverse("oidc_begin")).headers["Location"] == reverse("account_login")
    assert Client(enforce_csrf_checks=True).post(reverse("oidc_begin")).status_code == 403
    assert "/.well-known/openid-configuration" not in provider.asked()


def test_what_the_provider_says_in_a_refusal_is_not_shown_nor_forges_a_line(
    client: Client, provider: OpenIDProvider, caplog: pytest.LogCaptureFixture
) -> None:
    state = parse_qs(urlsplit(question(client)).query)["state"][0]
    words = "<script>alert(1)</script>%0A2026 INFO all is well"
    page = client.get(f"{CALLBACK}?state={state}&error={words}&error_description={words}")
    assert page.status_code == 403
    assert "alert(1)" not in page.content.decode()


# --- Addresses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verified", [False, None, "false", "no", 0, 1, "", [True]], ids=repr)
def test_an_unverified_address_of_a_superuser_links_nothing(
    client: Client, provider: OpenIDProvider, admin: User, verified: Any
) -> None:
    claims = {} if verified is None else {"email_verified": verified}
    provider.person("sub-eve", email="admin@example.com", **claims)
    response = sign_in(client, provider, "sub-eve")
    assert response.status_code == 403
    assert "does not confirm that" in response.content.decode()
    assert who(client) is None
    assert not LinkedIdentity.objects.exists()
    assert "the provider does not vouch for the address" in last_refusal()


@pytest.mark.parametrize(
    ("verified", "let_in"), [(None, True), (False, False), ("false", False), (True, True)]
)
def test_the_operators_word_for_missing_claims_is_no_word_against_a_no(
    client: Client, provider: OpenIDProvider, alice: User, settings: LazySettings, verified: Any, let_in: bool
) -> None:
    change(settings, assume_verified=True)
    claims = {} if verified is None else {"email_verified": verified}
    provider.person("sub-alice", email="alice@example.com", **claims)
    sign_in(client, provider, "sub-alice")
    assert (who(client) == alice) is let_in


def test_a_verified_address_vouches_for_no_other_claim(
    client: Client, provider: OpenIDProvider, admin: User, settings: LazySettings
) -> None:
    """Eve's own address is verified; the name she chose is an admin's."""
    change(settings, email_claim="preferred_username")
    provider.person(
        "sub-eve", email="eve@evil.example", email_verified=True, preferred_username="admin@example.com"
    )
    assert sign_in(client, provider, "sub-eve").status_code == 403
    assert who(client) is None


def test_an_address_and_its_verification_come_from_one_place(
    client: Client, provider: OpenIDProvider, admin: User
) -> None:
    provider.person("sub-eve", email="admin@example.com")
    provider.lie(user_info={"email": "eve@evil.example", "email_verified": True})
    assert sign_in(client, provider, "sub-eve").status_code == 403
    assert who(client) is None


@pytest.mark.parametrize(
    "email",
    [
        "\N{LATIN SMALL LETTER DOTLESS I}rene@example.com",
        "al\N{LATIN SMALL LETTER LONG S}o@example.com",
        "mar\N{KELVIN SIGN}@example.com",
        " irene@example.com",
        "irene@example.com\n",
        "irene@example.com, also@example.com",
        "irene@example.com\x00",
        "irene@ex\ud800ample.com",
        f"irene@{'x' * 60}.{'y' * 60}.{'z' * 60}.{'v' * 60}.example.com",
    ],
    ids=ascii,
)
def test_an_address_that_only_looks_like_another_is_another(
    client: Client, provider: OpenIDProvider, email: str
) -> None:
    for known in ("irene@example.com", "also@example.com", "mark@example.com"):
        User.objects.create_superuser(known, "password-of-theirs")
    provider.lie(claims={"email": email})
    assert sign_in(client, provider, "sub-eve").status_code == 403
    assert who(client) is None


def test_an_address_in_other_letters_is_the_same(
    client: Client, provider: OpenIDProvider, alice: User
) -> None:
    provider.person("sub-alice", email="Alice@Example.COM", email_verified=True)
    sign_in(client, provider, "sub-alice")
    assert who(client) == alice


@pytest.mark.parametrize("email", [None, "", "nobody", 7, ["alice@example.com"], {"a": 1}], ids=repr)
def test_without_an_address_nobody_new_comes(
    client: Client, provider: OpenIDProvider, alice: User, email: Any
) -> None:
    provider.person("sub-eve", email=email, email_verified=True)
    assert "sent no e-mail address" in sign_in(client, provider, "sub-eve").content.decode()
    assert who(client) is None


def test_another_issuers_subject_of_the_same_name_is_somebody_else(
    client: Client, provider: OpenIDProvider, alice: User, settings: LazySettings
) -> None:
    LinkedIdentity.objects.create(user=alice, provider="https://old.example", uid="sub-eve")
    assert sign_in(client, provider, "sub-eve").status_code == 403
    assert who(client) is None


def test_what_is_merged_into_another_does_not_sign_in(
    client: Client, provider: OpenIDProvider, alice: User, bob: User, settings: LazySettings
) -> None:
    change(settings, domains=frozenset({"example.com"}))
    User.objects.filter(pk=bob.pk).update(merged_into=alice, is_active=False)
    assert sign_in(client, provider, "sub-bob").status_code == 403
    assert who(client) is None
