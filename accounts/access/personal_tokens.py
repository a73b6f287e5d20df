"""Personal access tokens: made, found by the key a request carries, revoked; and how often they may ask."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import PersonalAccessToken, User

MOST = 20
"""Tokens in use that a person may have at a time."""
LIFETIMES = (7, 30, 90, 365)
"""The lifetimes to choose from, in days. None lasts for ever."""

_USED_RESOLUTION = timedelta(minutes=1)
_COUNT = """
INSERT INTO accounts_readallowance AS kept (user_id, "window", used)
VALUES (%s, date_trunc('minute', clock_timestamp()), 1)
ON CONFLICT (user_id) DO UPDATE SET
    used = CASE WHEN kept."window" = excluded."window" THEN kept.used + 1 ELSE 1 END,
    "window" = excluded."window"
RETURNING used, extract(epoch FROM "window" + interval '1 minute' - clock_timestamp())
"""


def issue(user: User, name: str, days: int) -> tuple[PersonalAccessToken, str]:
    """Make a token that lasts ``days``. Returns the stored row and the token, which is not kept anywhere."""
    key = PersonalAccessToken.PREFIX + secrets.token_urlsafe(32)
    row = PersonalAccessToken.objects.create(
        user=user,
        name=name,
        key_hash=_hash(key),
        hint=f"{key[:8]}…{key[-4:]}",
        expires_at=timezone.now() + timedelta(days=days),
    )
    return row, key


def revoke(user: User, pk: int) -> bool:
    """Revoke one of the person's tokens, at once and for good. Returns whether there was one in use."""
    mine = PersonalAccessToken.objects.filter(user=user, pk=pk, revoked_at=None)
    return bool(mine.update(revoked_at=timezone.now()))


def in_use(user: User) -> int:
    """Return how many of the person's tokens are neither revoked nor expired."""
    now = timezone.now()
    return PersonalAccessToken.objects.filter(user=user, revoked_at=None, expires_at__gt=now).count()


def reader_of(request: HttpRequest) -> User | None:
    """Return whose token the request carries as ``Authorization: Bearer``, or None.

    None for a missing, unknown, expired or revoked token and for a person who may not sign in, alike.
    """
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return None
    now = timezone.now()
    row = (
        PersonalAccessToken.objects.select_related("user")
        .filter(key_hash=_hash(key.strip()), revoked_at=None, expires_at__gt=now, user__is_active=True)
        .first()
    )
    if row is None:
        return None
    if row.last_used_at is None or now - row.last_used_at > _USED_RESOLUTION:
        # To the minute: a write per request would tell nothing more.
        PersonalAccessToken.objects.filter(pk=row.pk).update(last_used_at=now)
    return row.user


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a person's requests in this minute; ``seconds`` until the next one begins."""

    limit: int
    remaining: int
    seconds: int
    is_spent: bool

    @property
    def headers(self) -> dict[str, str]:
        """The headers of draft-ietf-httpapi-ratelimit-headers (-03), which most clients read."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.seconds),
        }


def count_request(user: User) -> Allowance:
    """Count a request of the person's, with whichever token, and return what is left of this minute."""
    limit: int = settings.READ_API_REQUESTS_PER_MINUTE
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [user.pk])
        used, left = cursor.fetchone()
    return Allowance(limit, max(limit - used, 0), max(int(left) + 1, 1), used > limit)


def _hash(key: str) -> str:
    # A plain hash is enough: tokens are 256 random bits.
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
