"""Who is sending: ingest keys in the Authorization header."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Gateway, IngestKey

_USED_RESOLUTION = timedelta(minutes=1)
_FIELDS = [field.attname for field in Gateway._meta.concrete_fields]
_OF_KEY = f"""
    SELECT key.id, key.last_used_at, {", ".join(f"gateway.{name}" for name in _FIELDS)}
    FROM accounts_ingestkey AS key JOIN accounts_gateway AS gateway ON gateway.id = key.gateway_id
    WHERE key.key_hash = %s AND key.revoked_at IS NULL AND gateway.is_active
"""  # noqa: S608
"""By hand: the query set takes longer to build than its answer to come, and every batch asks this."""


def authenticate(request: HttpRequest) -> Gateway | None:
    """Return the gateway whose key the request carries as ``Authorization: Bearer``, or None.

    None for a missing, unknown or revoked key and for an inactive gateway alike.
    """
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return None
    with connection.cursor() as cursor:
        cursor.execute(_OF_KEY, [IngestKey.hash(key.strip())])
        row = cursor.fetchone()
    if row is None:
        return None
    key_id, used_at, *values = row
    now = timezone.now()
    if used_at is None or now - used_at > _USED_RESOLUTION:
        # To the minute: a write per request would make this row the busiest of the database.
        IngestKey.objects.filter(pk=key_id).update(last_used_at=now)
    return Gateway.from_db(connection.alias, _FIELDS, values)
