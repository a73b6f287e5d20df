"""Sign-in by OpenID Connect, as the environment sets it up; `docs/single-sign-on.md` says what for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from routescope.config import env
from routescope.config.env import SecretText
from routescope.config.listening import is_this_machine

_LONGEST_ISSUER = 200
"""Characters that allauth's table of linked identities has for it."""
_LONGEST_NAME = 30
_LONGEST_SESSION = 24 * 14


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """Which OpenID provider people sign in by, and what its claims mean here."""

    issuer: str
    client_id: str
    client_secret: SecretText = field(repr=False)
    name: str = "OpenID Connect"
    """What the button calls the provider."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    email_claim: str = "email"
    assume_verified: bool = False
    """Whether an address counts as verified where the provider says nothing of it. Its no is always a no."""
    domains: frozenset[str] = frozenset()
    """Whose addresses need no invitation; in lower case."""
    admin_claim: str = ""
    admin_values: frozenset[str] = frozenset()
    group_claim: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Names of permission groups by the claim's value."""
    session_hours: int = 12

    @property
    def host(self) -> tuple[str, int]:
        """The provider's host and port. The operator named it: it may be a private address."""
        parts = urlsplit(self.issuer)
        return (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def from_environment() -> OidcSettings | None:
    """Return what the ``OIDC_`` variables say, or None without ``OIDC_ISSUER``.

    Raises ImproperlyConfigured where they cannot be used, or could let in whom nobody means to.
    """
    issuer = env.text("OIDC_ISSUER")
    if not issuer:
        for name in ("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"):
            if env.text(name):
                raise ImproperlyConfigured(f"{name} is set, but OIDC_ISSUER is not.")
        return None
    _check_issuer(issuer)
    for name in ("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"):
        if not env.text(name):
            raise ImproperlyConfigured(f"OIDC_ISSUER needs {name}.")
    scopes = env.text("OIDC_SCOPES", "openid email profile").split()
    if "openid" not in scopes:
        raise ImproperlyConfigured("OIDC_SCOPES must hold openid: without it, no provider says who it is.")
    return OidcSettings(
        issuer=issuer,
        client_id=env.text("OIDC_CLIENT_ID"),
        client_secret=env.secret("OIDC_CLIENT_SECRET"),
        name=_name(),
        scopes=tuple(scopes),
        email_claim=env.text("OIDC_EMAIL_CLAIM", "email"),
        assume_verified=env.flag("OIDC_ASSUME_VERIFIED", False),
        domains=frozenset(_domain(word) for word in env.words("OIDC_DOMAINS")),
        admin_claim=_with("OIDC_ADMIN_CLAIM", "OIDC_ADMIN_VALUES"),
        admin_values=frozenset(env.words("OIDC_ADMIN_VALUES")),
        group_claim=_with("OIDC_GROUP_CLAIM", "OIDC_GROUPS"),
        groups=_groups(),
        session_hours=_session_hours(),
    )


def _check_issuer(issuer: str) -> None:
    parts = urlsplit(issuer)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username:
        raise ImproperlyConfigured(f"OIDC_ISSUER={issuer!r} is no URL such as https://login.example.com.")
    if parts.query or parts.fragment or "/.well-known/" in issuer:
        raise ImproperlyConfigured(
            "OIDC_ISSUER is the issuer itself, as its metadata spells it: without a query, and without "
            "/.well-known/openid-configuration."
        )
    if parts.scheme == "http" and not is_this_machine(parts.hostname):
        raise ImproperlyConfigured("OIDC_ISSUER must be https: who answers decides who gets in.")
    if len(issuer) > _LONGEST_ISSUER:
        raise ImproperlyConfigured(f"OIDC_ISSUER is longer than {_LONGEST_ISSUER} characters.")


def _name() -> str:
    name = env.text("OIDC_NAME", "OpenID Connect")
    if len(name) > _LONGEST_NAME:
        raise ImproperlyConfigured(f"OIDC_NAME is longer than {_LONGEST_NAME} characters: it is on a button.")
    return name


def _with(claim: str, values: str) -> str:
    """Return a claim's name. One without the other would give a right to nobody, or by no claim."""
    if bool(env.text(claim)) != bool(env.words(values)):
        raise ImproperlyConfigured(f"{claim} and {values} go together: set both, or neither.")
    return env.text(claim)


def _domain(word: str) -> str:
    domain = word.lower().removeprefix("@")
    if "@" in domain or "*" in domain or "." not in domain:
        raise ImproperlyConfigured(f"OIDC_DOMAINS holds {word!r}: name whole domains, such as example.com.")
    return domain


def _groups() -> dict[str, str]:
    """Return groups by value: ``support=Support desk``, or ``support`` where both are called the same."""
    pairs = (word.partition("=") for word in env.words("OIDC_GROUPS"))
    return {value.strip(): group.strip() or value.strip() for value, _, group in pairs}


def _session_hours() -> int:
    hours = env.integer("OIDC_SESSION_HOURS", 12, minimum=1)
    if hours > _LONGEST_SESSION:
        raise ImproperlyConfigured(f"OIDC_SESSION_HOURS={hours} is too long; at most {_LONGEST_SESSION}.")
    return hours
