"""What a provider's claims say of a person, read as the operator's settings mean them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.sign_in.oidc.issuer import Claims
from routescope.config.oidc import OidcSettings

_LONGEST_NAME = 200
_LONGEST_EMAIL = 254
"""Characters that a user's row has for each."""


@dataclass(frozen=True, slots=True)
class ClaimedIdentity:
    """Who comes from the provider."""

    issuer: str
    subject: str
    email: str
    """In lower case; empty where the claims hold none."""
    is_verified: bool
    """Whether the provider vouches that the address is theirs."""
    name: str
    is_admin: bool
    groups: frozenset[str]
    """Names of the permission groups that the claims put them into."""

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"

    def kept(self) -> dict[str, Any]:
        """Return it as a session can hold it until they have arrived."""
        return {**asdict(self), "groups": sorted(self.groups)}

    @classmethod
    def from_kept(cls, kept: dict[str, Any]) -> ClaimedIdentity:
        return cls(**{**kept, "groups": frozenset(kept["groups"])})


def needs_user_info(claims: Claims, settings: OidcSettings) -> bool:
    """Say whether the ID token leaves out a claim that the settings ask for."""
    wanted = [settings.email_claim, settings.admin_claim, settings.group_claim]
    if not settings.assume_verified:
        wanted.append("email_verified")
    return any(name and claim(claims, name) is None for name in wanted)


def identity_of(claims: Claims, user_info: Claims, settings: OidcSettings) -> ClaimedIdentity:
    """Read the claims of an ID token, and beside them those of the UserInfo endpoint."""
    both = (claims, user_info)
    email = next((found for source in both if (found := _email(source, settings.email_claim))), "")
    return ClaimedIdentity(
        issuer=settings.issuer,
        subject=claims["sub"],
        email=email,
        is_verified=bool(email) and _vouched(email, both, settings),
        name=next((found for source in both if (found := _name(source))), ""),
        is_admin=bool(settings.admin_values & _values(both, settings.admin_claim)),
        groups=frozenset(
            settings.groups[value]
            for value in _values(both, settings.group_claim)
            if value in settings.groups
        ),
    )


def claim(claims: Claims, name: str) -> Any:
    """Return a claim by its name, or by its path (``realm_access.roles``); None where there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def folded(email: str) -> str:
    """Return an address as addresses are compared.

    Only ASCII letters have a lower case here: a Kelvin sign is no "k", or whoever owns the one address would
    be taken for the owner of the other.
    """
    return email.lower() if email.isascii() else email


def _vouched(email: str, sources: Iterable[Claims], settings: OidcSettings) -> bool:
    """Say whether ``email_verified`` speaks of this very address, and says yes.

    The claim is about ``email``, of the same source: it vouches for no other claim's address. Where it is
    missing, the operator's word counts (``OIDC_ASSUME_VERIFIED``); a no stays a no.
    """
    spoken = [source["email_verified"] for source in sources if _speaks_of(source, email)]
    # Some providers write it as text.
    if any(word is not True and str(word).lower() != "true" for word in spoken):
        return False
    return bool(spoken) or settings.assume_verified


def _speaks_of(source: Claims, email: str) -> bool:
    return "email_verified" in source and _email(source, "email") == email


def _name(claims: Claims) -> str:
    found = claims.get("name")
    return found.strip()[:_LONGEST_NAME] if isinstance(found, str) and found.isprintable() else ""


def _email(claims: Claims, name: str) -> str:
    found = claim(claims, name)
    if not isinstance(found, str) or not found.isprintable() or len(found) > _LONGEST_EMAIL:
        return ""
    try:
        validate_email(found)
    except ValidationError:
        return ""
    return folded(found)


def _values(sources: Iterable[Claims], name: str) -> set[str]:
    """Return a claim's values, be it a list, a text or a yes."""
    found: set[str] = set()
    for source in sources if name else ():
        value = claim(source, name)
        several = value if isinstance(value, list) else [value]
        found |= {"true" if one is True else str(one) for one in several if one is not None}
    return found
