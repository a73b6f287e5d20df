"""A small ledger of what gateways send: counts by day, and why the last refused ones were refused.

Written after the records are committed, and never a reason to refuse them: where it cannot be written, the
log says so and the gateway gets its answer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import DatabaseError, connection, transaction
from django.db.models import Max, Sum
from django.utils import timezone

from accounts.gateways.error_texts import without_long_quotes
from accounts.models import Delivery, Gateway, Refusal
from routescope.data import troubles
from routescope.text import identifiers
from routescope.text.identifiers import shown
from routescope.text.prose import PROSE_WORDS
from routescope.text.redaction import without_secrets

logger = logging.getLogger(__name__)

KEEP_REFUSALS = 50
"""Per gateway: enough to see what is wrong, and no more however much is."""
KEEP_DAYS = 90
_MOST_REASONS = 10
"""Of one request: a batch that is wrong throughout says the same a thousand times."""

_COUNTS = ("requests", "failed_requests", "accepted", "duplicates", "ignored", "refused")
_COUNT = """
    WITH soon AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO accounts_delivery AS kept (gateway_id, endpoint, day, requests, failed_requests, accepted,
        duplicates, ignored, refused, last_at)
    SELECT %s, %s, %s, 1, %s, %s, %s, %s, %s, %s FROM soon
    ON CONFLICT (gateway_id, endpoint, day) DO UPDATE SET
        requests = kept.requests + 1,
        failed_requests = kept.failed_requests + excluded.failed_requests,
        accepted = kept.accepted + excluded.accepted,
        duplicates = kept.duplicates + excluded.duplicates,
        ignored = kept.ignored + excluded.ignored,
        refused = kept.refused + excluded.refused,
        last_at = greatest(kept.last_at, excluded.last_at)
    RETURNING requests
"""
"""One statement, and a transaction of its own. Its counts may lose their last moments in a crash: records do
not wait for a second flush."""


@dataclass(frozen=True)
class Sent:
    """What a gateway sent to one address in the days that are kept."""

    endpoint: str
    last_at: datetime
    requests: int
    failed_requests: int
    accepted: int
    duplicates: int
    ignored: int
    refused: int


def summary(gateway: Gateway) -> list[Sent]:
    """Return what a gateway sent by address, the latest first."""
    sums = {name: Sum(name) for name in _COUNTS}
    rows = (
        Delivery.objects.filter(gateway=gateway).values("endpoint").annotate(last_at=Max("last_at"), **sums)
    )
    return [Sent(**row) for row in rows.order_by("-last_at", "endpoint")]


def took(
    gateway: Gateway,
    endpoint: str,
    *,
    accepted: int,
    duplicates: int,
    ignored: int = 0,
    refused: Iterable[tuple[str | None, str]] = (),
) -> None:
    """Note a request that was answered with 200. ``refused``: request ID and reason of each record."""
    _note(gateway, endpoint, accepted, duplicates, ignored, list(refused), failed=False)


def refused(gateway: Gateway, endpoint: str, reason: str) -> None:
    """Note a request of which nothing could be used."""
    _note(gateway, endpoint, 0, 0, 0, [(None, reason)], failed=True)


def _note(
    gateway: Gateway,
    endpoint: str,
    accepted: int,
    duplicates: int,
    ignored: int,
    refusals: list[tuple[str | None, str]],
    *,
    failed: bool,
) -> None:
    now = timezone.now()
    try:
        refused_records = 0 if failed else len(refusals)
        day = now.astimezone(UTC).date()
        counts = [int(failed), accepted, duplicates, ignored, refused_records]
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, [gateway.pk, endpoint[:100], day, *counts, now])
            [requests] = cursor.fetchone()
        if requests == 1:
            Delivery.objects.filter(gateway=gateway, day__lt=day - timedelta(days=KEEP_DAYS)).delete()
        if refusals:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL synchronous_commit = off")
                _keep(gateway, endpoint, refusals)
    except DatabaseError as error:
        if troubles.tell(error, f"counting what {gateway} sent, which is stored all the same") is None:
            logger.exception(
                "What %s sent could not be counted; its records are stored all the same", gateway
            )


def _without_content(reason: str) -> str:
    """Return a reason less what it quotes of the record: of one refused, no policy says what may be kept."""
    return without_long_quotes(without_secrets(shown(reason)), most_words=PROSE_WORDS - 1)


def _keep(gateway: Gateway, endpoint: str, refusals: list[tuple[str | None, str]]) -> None:
    now = timezone.now()
    different = {reason: request_id for request_id, reason in reversed(refusals)}
    Refusal.objects.bulk_create(
        Refusal(
            gateway=gateway,
            at=now,
            endpoint=endpoint[:100],
            request_id=identifiers.kept(request_id or "")[:255],
            reason=_without_content(reason)[:500],
        )
        for reason, request_id in list(different.items())[:_MOST_REASONS]
    )
    last = Refusal.objects.filter(gateway=gateway).order_by("-id").values_list("id", flat=True)
    oldest_kept = list(last[KEEP_REFUSALS - 1 : KEEP_REFUSALS])
    if oldest_kept:
        Refusal.objects.filter(gateway=gateway, id__lt=oldest_kept[0]).delete()
