"""Months that are over are packed once; nothing of them changes but their size."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection

from accounts.models import Gateway
from logs.ingest.rows import TABLE
from logs.maintenance import compaction
from logs.models import UsageRecord
from routescope.data import partitions
from tests.cast import NOON, event, store
from tests.sums import check_rollups

APRIL = datetime(2026, 4, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_month_is_packed(transactional_db: None) -> None:
    """Tables stay from test to test, emptied, and with them the mark of whoever packed them."""
    with connection.cursor() as cursor:
        for one in partitions.existing(TABLE):
            cursor.execute(f'COMMENT ON TABLE "{one.name}" IS NULL')


def size(index: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(%s::regclass)", [index])
        [found] = cursor.fetchone()
    return int(found)


def test_a_month_is_packed_once_when_it_is_over(gateway: Gateway) -> None:
    for n in range(30):
        store(gateway, *(event(user=f"u{user}", minutes=n * 7 + user) for user in range(200)))
    store(gateway, event(created_at=NOON + timedelta(days=40)))
    before = size("usage_record_2026_03_pkey")
    # What earlier tests left: tables stay, emptied.
    compaction.compact(APRIL - timedelta(days=1))
    assert compaction.compact(APRIL + timedelta(days=1)) == [], "gateways may be late"
    assert compaction.compact(APRIL + compaction.SETTLED) == ["usage_record_2026_03"]
    assert size("usage_record_2026_03_pkey") < 0.8 * before
    assert compaction.compact(APRIL + compaction.SETTLED) == []
    assert UsageRecord.objects.count() == 6001
    check_rollups()
    # Late records find their place all the same.
    assert store(gateway, event()).accepted == 1


def test_what_a_broken_off_run_left_behind_is_cleared_away(gateway: Gateway) -> None:
    store(gateway, *(event(minutes=-60 * 24 * 60) for _ in range(2)))
    with connection.cursor() as cursor:
        with pytest.raises(IntegrityError):
            # Fails as two records have one gateway, and leaves a half-made index.
            cursor.execute(
                "CREATE UNIQUE INDEX CONCURRENTLY usage_record_2026_01_pkey_ccnew"
                " ON usage_record_2026_01 (gateway_id)"
            )
        compaction.compact(APRIL + compaction.SETTLED)
        cursor.execute("SELECT to_regclass('usage_record_2026_01_pkey_ccnew')")
        assert cursor.fetchone() == (None,)
