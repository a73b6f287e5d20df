"""Identities in doubt: two people who are called alike, and may be one.

Gateways call people what they please: an address here, a name there. Of the same address they are one already
(`accounts.identities.resolving`); where only the rest is alike, an admin decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from accounts.models import User, UserIdentity

MOST_READ = 2_000
"""The newest names, and the newest people, that are compared."""
_SHORTEST = 3
_ANYBODYS = frozenset(
    ("admin", "anonymous", "api", "app", "default", "default_user_id", "demo", "dev", "info", "mail", "none",
     "null", "prod", "root", "service", "staging", "system", "team", "test", "unknown", "user")
)  # fmt: skip
"""What many are called: alike in these, nobody is the same."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """``one`` may be ``other``: both are called ``word``. ``one`` is the one of whom less is known."""

    one: User
    other: User
    word: str

    @property
    def key(self) -> str:
        return f"{min(self.one.pk, self.other.pk)}-{max(self.one.pk, self.other.pk)}"


def doubts(most: int) -> list[Doubt]:
    """Return at most ``most`` pairs of people who are called alike and are two here. Two queries."""
    called: dict[str, dict[int, User]] = {}
    identities = UserIdentity.objects.exclude(name="").select_related("user__merged_into").order_by("-pk")
    for identity in identities[:MOST_READ]:
        _call(called, identity.user, identity.name)
    for user in User.objects.filter(merged_into=None).order_by("-pk")[:MOST_READ]:
        _call(called, user, user.email or "")
        _call(called, user, user.name)
    found: dict[str, Doubt] = {}
    for word in sorted(called):
        for doubt in _pairs(word, sorted(called[word].values(), key=_known)):
            found.setdefault(doubt.key, doubt)
    return list(found.values())[:most]


def _call(called: dict[str, dict[int, User]], user: User, name: str) -> None:
    word = _word(name)
    if word:
        whole = cast("User", user.merged_into or user)
        called.setdefault(word, {})[whole.pk] = whole


def _word(name: str) -> str:
    """Return what two names are compared by: small letters, of an address what stands before the @."""
    word = name.strip().casefold().partition("@")[0].strip()
    if len(word) < _SHORTEST or word in _ANYBODYS or not any(letter.isalpha() for letter in word):
        return ""
    return word


def _known(user: User) -> tuple[bool, bool, bool, int]:
    """Order people by how much is known of them, the least first: who is an admin is merged into nobody."""
    return user.is_staff or user.is_superuser, user.is_active, bool(user.email), user.pk


def _pairs(word: str, people: list[User]) -> Iterator[Doubt]:
    """Yield each of them with the one of whom most is known. Two who both sign in are two people."""
    best = people[-1]
    for one in people[:-1]:
        if not one.is_active and not one.is_staff:
            yield Doubt(one, best, word)
