"""Closing an account: nobody comes in by it until an admin opens it or invites its owner anew."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts.models import PersonalAccessToken, User


def close(user: User) -> None:
    """Close the account and end, for good, what led into it: sessions, links that were sent, access tokens.

    None of them works again when the account is opened again.
    """
    now = timezone.now()
    user.is_active, user.closed_at = False, now
    user.renew_access()
    with transaction.atomic():
        user.save(update_fields=["is_active", "closed_at", "access_salt"])
        PersonalAccessToken.objects.filter(user=user, revoked_at=None).update(revoked_at=now)
