"""Who is sending: ingest keys in the Authorization header."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Gateway, IngestKey

_USED_RESOLUTION = timedelta(minutes=1)


def authenticate(request: HttpRequest) -> Gateway | None:
    """Return the gateway whose key the request carries as ``Authorization: Bearer``, or None.

    None for a missing, unknown or revoked key and for an inactive gateway alike.
    """
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return None
    row = (
        IngestKey.objects.select_related("gateway")
        .filter(key_hash=IngestKey.hash(key.strip()), revoked_at=None, gateway__is_active=True)
        .first()
    )
    if row is None:
        return None
    now = timezone.now()
    if row.last_used_at is None or now - row.last_used_at > _USED_RESOLUTION:
        # To the minute: a write per request would make this row the busiest of the database.
        IngestKey.objects.filter(pk=row.pk).update(last_used_at=now)
    return row.gateway
