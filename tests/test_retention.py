"""What has expired goes by the partition; sums stay as long as the policy says."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import override_settings
from time_machine import TimeMachineFixture

from accounts.models import AuditEntry, Gateway, User
from logs.content import contents
from logs.content.contents import Captured
from logs.maintenance import retention
from logs.models import Level, UsageContent, UsageDay, UsageRecord
from logs.rollups import own_sums, pending
from logs.selection.chosen import Selection
from routescope.data import partitions
from routescope.data.ids import derived_id
from routescope.data.partitions import Day, Month
from routescope.data.scopes import Scope
from tests.cast import event, store
from tests.work import Work, so_far

NOW = datetime(2026, 3, 31, 23, 59, 59, 999_000, tzinfo=UTC)
"""The last millisecond of a day and of a month."""
LATER = NOW.replace(year=2044, month=2, day=29)
"""A time of which no other test has partitions: transactions of other tests may have left theirs."""


def names(table: str) -> list[str]:
    return [partition.name for partition in partitions.existing(table)]


def content_of(days_ago: int) -> Captured:
    moment = NOW - timedelta(days=days_ago)
    return Captured(derived_id(moment, days_ago), 1, Level.FULL, b'{"input":"text"}', 6, None, False)


def test_content_goes_by_the_day_records_by_the_month_and_sums_stay(alice: User, gateway: Gateway) -> None:
    old = NOW - timedelta(days=400)
    with override_settings(RECORD_RETENTION_MONTHS=600, CONTENT_RETENTION_DAYS=99_999):
        store(gateway, event(created_at=old, cost=Decimal(2)), event(created_at=NOW, cost=Decimal(1)))
        contents.store([content_of(days) for days in (0, 29, 30, 31, 60)])
    before = own_sums.totals(Scope.own(alice), Selection())
    with override_settings(RECORD_RETENTION_MONTHS=12, CONTENT_RETENTION_DAYS=30):
        planned = retention.run(dry=True, now=NOW)
        assert UsageContent.objects.count() == 5 and UsageRecord.objects.count() == 2
        report = retention.run(now=NOW)
        again = retention.run(now=NOW)

    assert [one.name for one in planned.dropped] == [one.name for one in report.dropped]
    assert any("would be dropped" in line for line in planned.lines)
    assert UsageContent.objects.count() == 3
    assert UsageRecord.objects.get().cost == 1
    assert own_sums.totals(Scope.own(alice), Selection()) == before
    assert again.dropped == [] and again.created == []


def test_coming_partitions_are_made(db: None) -> None:
    report = retention.run(now=LATER)
    for table, period in (
        ("usage_record", Month.of(LATER).plus(2)),
        ("usage_content", Day.of(LATER).plus(3)),
    ):
        coming = partitions.partition_name(table, period)
        assert coming in report.created and coming in names(table)


def test_sums_go_after_years(alice: User, gateway: Gateway) -> None:
    with override_settings(RECORD_RETENTION_MONTHS=600):
        store(gateway, event(created_at=NOW - timedelta(days=366 * 4)), event(created_at=NOW))
    pending.fold()
    with override_settings(RECORD_RETENTION_MONTHS=600, ROLLUP_RETENTION_YEARS=2):
        assert retention.run(dry=True, now=NOW).deleted["usage_day_folded"] == 1
        retention.run(now=NOW)
    assert UsageDay.objects.count() == 1


def test_the_command_says_what_it_would_do(
    db: None, capsys: pytest.CaptureFixture[str], time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(LATER, tick=False)
    call_command("retention", dry_run=True)
    assert "would be created" in capsys.readouterr().out
    call_command("retention")
    assert "usage_content_" in capsys.readouterr().out
    call_command("retention")
    assert capsys.readouterr().out == "Nothing to do.\n"


def audited() -> list[str]:
    """Return what was written down, without how long what is kept from now on."""
    written = AuditEntry.objects.exclude(object__startswith="Kept from now on:")
    return list(written.order_by("pk").values_list("object", flat=True))


def expire(gateway: Gateway) -> None:
    """Store what the run of ``NOW`` drops: a month, a day, a stray, and sums."""
    with override_settings(RECORD_RETENTION_MONTHS=600, CONTENT_RETENTION_DAYS=99_999):
        store(gateway, event(created_at=NOW - timedelta(days=366 * 4)))
        contents.store([content_of(60)])
        pending.fold()


@override_settings(RECORD_RETENTION_MONTHS=12, CONTENT_RETENTION_DAYS=30, ROLLUP_RETENTION_YEARS=2)
def test_what_was_dropped_stands_in_the_audit_log(alice: User, gateway: Gateway) -> None:
    expire(gateway)
    retention.run(dry=True, now=NOW)
    assert audited() == []
    report = retention.run(now=NOW)
    entries = audited()
    for one in report.dropped:
        assert sum(f"({one.name}): dropped with about" in entry for entry in entries) == 1
    assert "usage_record of 2022-03 (usage_record_2022_03)" in "\n".join(entries)
    assert "usage_content of 2026-01-30 (usage_content_2026_01_30)" in "\n".join(entries)
    assert "usage_day_folded: 1 rows from before 2024-01-01 00:00 UTC deleted, by the scheduler" in entries
    assert len(entries) == len(report.dropped) + sum(count > 0 for count in report.deleted.values())
    assert {(one.act, one.actor) for one in AuditEntry.objects.all()} == {(AuditEntry.Act.RETENTION, None)}
    retention.run(now=NOW)
    assert audited() == entries


@override_settings(RECORD_RETENTION_MONTHS=12, CONTENT_RETENTION_DAYS=30, ROLLUP_RETENTION_YEARS=2)
def test_many_rows_are_one_entry_that_counts_them_all(
    alice: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_ROWS_AT_ONCE", 2)
    with override_settings(RECORD_RETENTION_MONTHS=600):
        store(gateway, *(event(created_at=NOW - timedelta(days=366 * 4 + day)) for day in range(5)))
    pending.fold()
    assert retention.run(now=NOW).deleted["usage_day_folded"] == 5
    [entry] = [one for one in audited() if one.startswith("usage_day_folded")]
    assert entry.startswith("usage_day_folded: 5 rows")


@override_settings(RECORD_RETENTION_MONTHS=12, CONTENT_RETENTION_DAYS=30, ROLLUP_RETENTION_YEARS=2)
def test_nothing_goes_that_cannot_be_written_down(
    alice: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    expire(gateway)
    before = names("usage_record"), names("usage_content"), UsageDay.objects.count()

    def full(*args: object, **kwargs: object) -> None:
        raise DatabaseError("the audit log cannot be written")

    monkeypatch.setattr(AuditEntry.objects, "create", full)
    for step in (
        lambda: retention.run(now=NOW),
        lambda: retention._delete("usage_day_folded", "start", NOW, retention.Report(dry=False)),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            step()
    after = names("usage_record"), names("usage_content"), UsageDay.objects.count()
    assert set(before[0]) <= set(after[0]) and set(before[1]) <= set(after[1]) and before[2] == after[2]


@override_settings(RECORD_RETENTION_MONTHS=12, CONTENT_RETENTION_DAYS=30)
def test_the_command_is_a_persons(alice: User, gateway: Gateway, time_machine: TimeMachineFixture) -> None:
    expire(gateway)
    time_machine.move_to(NOW, tick=False)
    call_command("retention")
    name = pwd.getpwuid(os.getuid()).pw_name
    assert audited() and all(
        one.endswith(f"by the system's user {name} (manage.py retention)") for one in audited()
    )


@pytest.mark.slow
def test_the_expired_part_of_a_million_records_is_dropped_unread(
    alice: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    month = Month.of(NOW).plus(-20)
    partitions.ensure("usage_record", [month])
    lower, span = month.start, int((month.plus(1).start - month.start).total_seconds())
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO usage_record (id, created_at, user_id, gateway_id, input_tokens, output_tokens,
                cached_tokens, type, status, cause, request_id, cost)
            SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '8'
                || substr(md5(n::text), 1, 19))::uuid, moment, %s, %s, 10, 10, 0, 1, 1, 0, 'req_' || n, 0.001
            FROM (SELECT n, %s::timestamptz + n * %s * interval '1 second' AS moment
                  FROM generate_series(0, 999999) AS n) AS rows
            """,
            [alice.pk, gateway.pk, lower, span / 1_000_001],
        )
    store(gateway, event(created_at=NOW, cost=Decimal(1)))
    before = own_sums.totals(Scope.own(alice), Selection())
    drop, done = partitions.drop, {}

    def noting(table: str, partition: partitions.Partition, note: Callable[[], object]) -> bool:
        done[partition.name] = so_far(partition.name)
        return drop(table, partition, note)

    monkeypatch.setattr(partitions, "drop", noting)
    with override_settings(RECORD_RETENTION_MONTHS=12):
        report = retention.run(now=NOW)
    assert done[partitions.partition_name("usage_record", month)] == Work()
    assert partitions.partition_name("usage_record", month) in [one.name for one in report.dropped]
    assert UsageRecord.objects.count() == 1
    assert own_sums.totals(Scope.own(alice), Selection()) == before


def test_days_are_whole_utc_days() -> None:
    day = Day.of(datetime(2026, 3, 1, 23, 59, tzinfo=UTC))
    assert day.suffix == "2026_03_01"
    assert day.plus(1).start == datetime(2026, 3, 2, tzinfo=UTC)
