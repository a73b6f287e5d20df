"""What the environment says of single sign-on, and what stops the start."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from routescope.config import oidc

WHOLE = {
    "OIDC_ISSUER": "https://login.example.com",
    "OIDC_CLIENT_ID": "routescope",
    "OIDC_CLIENT_SECRET": "the-secret-itself",
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"OIDC_ISSUER": ""}, "OIDC_ISSUER is not"),
        ({"OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID"),
        ({"OIDC_CLIENT_SECRET": ""}, "OIDC_CLIENT_SECRET"),
        ({"OIDC_ISSUER": "http://login.example.com"}, "https"),
        ({"OIDC_ISSUER": "login.example.com"}, "no URL"),
        ({"OIDC_ISSUER": "https://login.example.com/.well-known/openid-configuration"}, "the issuer itself"),
        ({"OIDC_ISSUER": "https://login.example.com/" + "x" * 200}, "longer"),
        ({"OIDC_ADMIN_CLAIM": "groups"}, "OIDC_ADMIN_VALUES"),
        ({"OIDC_ADMIN_VALUES": "admins"}, "OIDC_ADMIN_CLAIM"),
        ({"OIDC_GROUP_CLAIM": "groups"}, "OIDC_GROUPS"),
        ({"OIDC_DOMAINS": "*.example.com"}, "whole domains"),
        ({"OIDC_DOMAINS": "com"}, "whole domains"),
        ({"OIDC_SCOPES": "email"}, "openid"),
        ({"OIDC_NAME": "n" * 31}, "button"),
        ({"OIDC_SESSION_HOURS": "0"}, "at least 1"),
        ({"OIDC_SESSION_HOURS": "9999"}, "at most"),
    ],
)
def test_settings_that_could_let_anybody_in_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], said: str
) -> None:
    for name, value in (WHOLE | changes).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=said) as error:
        oidc.from_environment()
    assert "the-secret-itself" not in str(error.value)


def test_the_environment_is_read_as_the_docs_say(monkeypatch: pytest.MonkeyPatch) -> None:
    assert oidc.from_environment() is None
    variables = WHOLE | {
        "OIDC_DOMAINS": "Example.com, @example.org",
        "OIDC_GROUP_CLAIM": "realm_access.roles",
        "OIDC_GROUPS": "support=Support desk, leads",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = oidc.from_environment()
    assert found
    assert found.domains == {"example.com", "example.org"}
    assert found.groups == {"support": "Support desk", "leads": "leads"}
    assert found.host == ("login.example.com", 443)
    assert found.client_secret.reveal() == "the-secret-itself"
    assert "the-secret-itself" not in repr(found)
    with pytest.raises(TypeError):
        found.client_secret.__reduce__()
