"""Keeping and dropping: content for days, records for months, sums for years. Partitions go, not rows.

Sums outlive the records that they were made of: what a year cost is known when its calls no longer are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg import sql

from accounts.models import AuditEntry
from accounts.staff import audit
from accounts.staff.audit import SCHEDULER
from logs.ingest.rows import TABLE as RECORDS
from logs.models.content import TABLE as CONTENT
from logs.models.further_ids import TABLE as FURTHER_IDS
from logs.models.marks import TABLE as MARKS
from logs.rollups import pending
from routescope.data import partitions
from routescope.data.ids import first_id, moment_of
from routescope.data.partitions import Day, Month, Partition, Period
from routescope.data.troubles import Trouble, trouble_of

logger = logging.getLogger(__name__)

SUMS = ("usage_hour_folded", "usage_day_folded", "usage_total_hour_folded", "usage_total_day_folded")
_MONTHS_AHEAD = 2
_DAYS_AHEAD = 3
_ROWS_AT_ONCE = 20_000
NOTHING = "Nothing to do."
_KEPT = "Kept from now on:"


@dataclass(slots=True)
class Report:
    """What a run did, or would do, and who ran it: ``by`` in words for the audit log.

    ``rows`` of partitions are estimates; those of tables are counted.
    """

    dry: bool
    by: str = SCHEDULER
    created: list[str] = field(default_factory=list)
    dropped: list[Partition] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """The report in words, for a log and an operator's terminal."""
        would = "would be " if self.dry else ""
        lines = [f"{name}: {would}created" for name in self.created]
        lines += [
            f"{one.name}: {would}dropped, about {one.rows:,} rows, {one.size / 2**20:,.1f} MiB"
            for one in self.dropped
        ]
        lines += [f"{name}: in use, left for the next run" for name in self.waiting]
        lines += [f"{table}: {count:,} rows {would}deleted" for table, count in self.deleted.items() if count]
        return lines or [NOTHING]


@dataclass(frozen=True, slots=True)
class Clocks:
    """From when on what is kept, by the settings: all that is older goes."""

    content: datetime
    records: datetime
    sums: datetime

    @classmethod
    def at(cls, now: datetime) -> Clocks:
        month = Month.of(now)
        return cls(
            Day.of(now).plus(-settings.CONTENT_RETENTION_DAYS).start,
            month.plus(-settings.RECORD_RETENTION_MONTHS).start,
            Month(month.year - settings.ROLLUP_RETENTION_YEARS, 1).start,
        )


def run(*, dry: bool = False, now: datetime | None = None, by: str = SCHEDULER) -> Report:
    """Drop what is older than the settings say, and make the coming partitions. May be run at any time.

    What is dropped stands in the audit log, written in the transaction that drops it.
    """
    now = now or timezone.now()
    report = Report(dry, by)
    clocks = Clocks.at(now)
    if not dry:
        _note_clocks(by)
    _make(now, report)
    _drop(CONTENT, clocks.content, report)
    _drop(RECORDS, clocks.records, report)
    _drop(FURTHER_IDS, clocks.records, report)
    _drop(MARKS, clocks.records, report)
    _delete("usage_offered_value", "seen", clocks.records, report)
    _delete("usage_traffic_hour", "start", clocks.records, report)
    _delete("usage_traffic_slice", "start", clocks.records, report)
    _delete("usage_total_minute_folded", "start", clocks.records, report)
    _delete("usage_latency", "start", clocks.records, report)
    _delete("usage_latency_part", "start", clocks.records, report)
    # Strays that arrived before their partition was made.
    _delete(f"{CONTENT}_default", "id", str(first_id(clocks.content)), report)
    _delete(f"{RECORDS}_default", "id", str(first_id(clocks.records)), report)
    _delete(f"{FURTHER_IDS}_default", "id", str(first_id(clocks.records)), report)
    _delete(f"{MARKS}_default", "id", str(first_id(clocks.records)), report)
    if not report.dry:
        pending.fold()
    for table in SUMS:
        _delete(table, "start", clocks.sums, report)
    for line in report.lines:
        logger.info("Retention: %s", line)
    return report


def make_partitions(now: datetime | None = None) -> Report:
    """Make the coming partitions, and those whose records came while they could not be made."""
    report = Report(dry=False)
    _make(now or timezone.now(), report)
    return report


def _make(now: datetime, report: Report) -> None:
    months = [Month.of(now).plus(ahead) for ahead in range(_MONTHS_AHEAD + 1)]
    _complete(RECORDS, months, Month, report)
    _complete(FURTHER_IDS, months, Month, report)
    _complete(MARKS, months, Month, report)
    _complete(CONTENT, [Day.of(now).plus(ahead) for ahead in range(_DAYS_AHEAD + 1)], Day, report)


def _complete(table: str, periods: Sequence[Period], kind: type[Period], report: Report) -> None:
    if report.dry:
        known = {partition.name for partition in partitions.existing(table)}
        names = [partitions.partition_name(table, period) for period in periods]
        report.created += [name for name in names if name not in known]
        return
    made, waiting = partitions.complete(table, periods, kind)
    report.created += made
    report.waiting += waiting


def _drop(table: str, before: datetime, report: Report) -> None:
    for partition in partitions.existing(table):
        if partition.period.plus(1).start > before:
            continue
        try:
            if not report.dry and not partitions.drop(table, partition, _noting(table, partition, report)):
                continue
        except OperationalError as error:
            if trouble_of(error) is not Trouble.BUSY:
                raise
            report.waiting.append(partition.name)
        else:
            report.dropped.append(partition)


def _delete(table: str, column: str, before: datetime | str, report: Report) -> None:
    """Delete the rows of a table that has no partitions for it, some at a time.

    The first of them go in one transaction with the audit entry, which counts them all.
    """
    names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    with connection.cursor() as cursor:
        count = sql.SQL("SELECT count(*) FROM {table} WHERE {column} < %s").format(**names)
        if report.dry:
            cursor.execute(count, [before])
            [report.deleted[table]] = cursor.fetchone()
            return
        statement = sql.SQL(
            "DELETE FROM {table} WHERE ctid = ANY(ARRAY("
            "SELECT ctid FROM {table} WHERE {column} < %s LIMIT %s))"
        ).format(**names)
        with transaction.atomic():
            cursor.execute(statement, [before, _ROWS_AT_ONCE])
            deleted = last = cursor.rowcount
            if deleted:
                cursor.execute(count, [before])
                [left] = cursor.fetchone()
                what = f"{table}: {deleted + left:,} rows from before {_when(before)} deleted"
                audit.note_unattended(AuditEntry.Act.RETENTION, what, report.by)
        while last == _ROWS_AT_ONCE:
            cursor.execute(statement, [before, _ROWS_AT_ONCE])
            last = cursor.rowcount
            deleted += last
        report.deleted[table] = deleted


def _note_clocks(by: str) -> None:
    """Write down how long what is kept where that is new: the environment says it, which tells nobody."""
    kept = (
        f"{_KEPT} input and output {settings.CONTENT_RETENTION_DAYS} days,"
        f" records {settings.RECORD_RETENTION_MONTHS} months, sums {settings.ROLLUP_RETENTION_YEARS} years"
    )
    told = AuditEntry.objects.filter(act=AuditEntry.Act.RETENTION, object__startswith=_KEPT)
    last = told.order_by("-id").values_list("object", flat=True).first()
    if last is None or not last.startswith(f"{kept},"):
        audit.note_unattended(AuditEntry.Act.RETENTION, kept, by)


def _noting(table: str, partition: Partition, report: Report) -> Callable[[], AuditEntry]:
    what = (
        f"{table} of {partition.period.suffix.replace('_', '-')} ({partition.name}): dropped with about"
        f" {partition.rows:,} rows (an estimate)"
    )
    return partial(audit.note_unattended, AuditEntry.Act.RETENTION, what, report.by)


def _when(before: datetime | str) -> str:
    """Return the moment that is a column's bound, or is in an id that is one, in UTC."""
    moment = before if isinstance(before, datetime) else moment_of(UUID(before))
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
