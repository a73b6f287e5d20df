"""Importing the logs of a new-api or one-api installation, resumable at any moment.

A slice of rows, what became of it, and the position after it are one transaction: whenever the import is
interrupted, it goes on where it stopped, and nothing is missing or counted twice. Attempts and the charge of
one request may lie in different slices: the record is then completed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import takewhile

import msgspec

from accounts.models import Gateway
from logs.ingest import batches
from logs.ingest.formats.newapi import QUOTA_PER_USD, TYPES, Call, NewApiRow, fold, together
from logs.ingest.spans import event_of
from logs.models import REQUEST_TYPES, ImportPosition, Status, UsageRecord
from logs.models.events import Batch, UsageEvent
from routescope.data import apart, limits, room
from routescope.data.ids import EPOCH, first_id
from routescope.newapi.source import NewApiSource, Unreadable
from routescope.text.identifiers import former, shown

TABLE = "logs"
SLICE = 5_000
"""Rows at a time: some 10 MB, whatever the table's size."""
_SAME_REQUEST = timedelta(hours=1)
"""How far apart the rows of one request may lie."""
_SETTLED_SECONDS = 5
_WRONG_CLOCK_SECONDS = 3600
"""A row further ahead than this does not hold the others up."""
_MAX_REASONS = 50


@dataclass(slots=True)
class UsageProgress:
    """What the import has done in this run. ``cost`` is USD, refunds taken off."""

    last_id: int = 0
    rows: int = 0
    records: int = 0
    folded: int = 0
    refunds: int = 0
    other: int = 0
    duplicates: int = 0
    refused: int = 0
    cost: Decimal = Decimal(0)
    reasons: list[str] = field(default_factory=list)

    def refuse(self, reason: str, rows: int = 1) -> None:
        """Count rows that are refused; the first ones are told with their reasons."""
        self.refused += rows
        if len(self.reasons) < _MAX_REASONS:
            self.reasons.append(reason)


def run(
    source: NewApiSource, gateway: Gateway, *, quota_per_usd: Decimal = QUOTA_PER_USD
) -> Iterator[UsageProgress]:
    """Import what lies after the position kept; yield after each slice, which is then committed.

    Raises SourceError, and NoRoomError between two slices.
    """
    progress = UsageProgress()
    position, _ = ImportPosition.objects.get_or_create(gateway=gateway, source=source.name[:500], table=TABLE)
    while True:
        found = source.read(TABLE, NewApiRow, after=position.last_id, limit=SLICE)
        rows = list(takewhile(_is_settled, found))
        keys = [key for row in rows if (key := _key(row)) is not None]
        if not keys:
            break
        with limits.limited(limits.IMPORT), room.for_records():
            position, taken = apart.together(
                partial(_slice, gateway, position, rows, keys, quota_per_usd, progress)
            )
        if taken is not None:
            progress = taken
            yield progress


def _slice(
    gateway: Gateway,
    position: ImportPosition,
    rows: Sequence[NewApiRow | Unreadable],
    keys: Sequence[int],
    quota_per_usd: Decimal,
    before: UsageProgress,
) -> tuple[ImportPosition, UsageProgress | None]:
    """Take a slice in and return what is done by then, None where another import of the source was faster."""
    position = ImportPosition.objects.select_for_update().get(pk=position.pk)
    if position.last_id >= keys[0]:
        return position, None
    progress = replace(before, reasons=list(before.reasons))
    _take(gateway, rows, quota_per_usd, progress)
    progress.last_id = position.last_id = keys[-1]
    position.rows += len(rows)
    position.save()
    return position, progress


def _key(row: NewApiRow | Unreadable) -> int | None:
    return row.key if isinstance(row, Unreadable) else row.id


def _is_settled(row: NewApiRow | Unreadable) -> bool:
    """Tell whether all rows before this one are there: rows get ids in one order and appear in another."""
    if isinstance(row, Unreadable):
        return True
    age = time.time() - row.created_at
    return age >= _SETTLED_SECONDS or age < -_WRONG_CLOCK_SECONDS


def _take(
    gateway: Gateway, found: Sequence[NewApiRow | Unreadable], quota_per_usd: Decimal, progress: UsageProgress
) -> None:
    rows = [row for row in found if isinstance(row, NewApiRow)]
    progress.rows += len(found)
    progress.other += sum(row.type not in TYPES for row in rows)
    for row in found:
        if isinstance(row, Unreadable):
            progress.refuse(f"row {row.key}: {row.reason}")

    def refuse(row: NewApiRow, reason: str) -> None:
        progress.refuse(f"{shown(row.request_id or '')}: {reason} (row {row.id})")

    calls = fold(_clean(rows), quota_per_usd, refuse)
    known = _known(gateway, calls)
    new: list[tuple[int, UsageEvent]] = []
    completions = []
    for index, call in enumerate(calls):
        records = _records_of(call, known)
        if call.charged_by is not None and call.charged_by in map(_charge, records):
            progress.duplicates += 1
            continue
        record = next((r for r in records if _charge(r) is None or call.charged_by is None), None)
        if record is not None:
            completions.append((record, together(event_of(record), _charge(record), call)))
            records.remove(record)
            progress.folded += call.rows
            continue
        if records:
            call.event.identity = f"{call.event.request_id}#{call.charged_by}"
        progress.folded += call.rows - 1
        new.append((index, call.event))
    outcome = batches.store(gateway, Batch(events=new, rejected=[]))
    unfit = batches.complete(gateway, completions)
    for rejection in outcome.rejected:
        row = calls[rejection.index].attempt["log_id"]
        progress.refuse(f"{rejection.request_id}: {rejection.error} (row {row})")
    for place, reason in unfit.items():
        progress.refuse(f"{completions[place][0].request_id}: {reason}")
    if outcome.faults:
        reason = f"{outcome.faults:,} rows, through a fault of Routescope: see its log"
        progress.refuse(reason, outcome.faults)
    refused_calls = {rejection.index for rejection in outcome.rejected}
    kept = [event for index, event in new if index not in refused_calls]
    progress.records += outcome.accepted
    progress.duplicates += outcome.duplicates
    progress.refunds += sum((event.cost or 0) < 0 for event in kept)
    progress.cost += sum((event.cost or Decimal(0) for event in kept), Decimal(0))
    progress.cost += sum(
        ((e.cost or 0) - (r.cost or 0) for place, (r, e) in enumerate(completions) if place not in unfit),
        Decimal(0),
    )


def _clean(rows: Sequence[NewApiRow]) -> Iterator[NewApiRow]:
    """Leave out what PostgreSQL cannot store, which MySQL and SQLite can."""
    for row in rows:
        for name in ("content", "other", "request_id", "upstream_request_id"):
            text = getattr(row, name)
            if text and "\x00" in text:
                row = msgspec.structs.replace(row, **{name: text.replace("\x00", "\ufffd")})
        yield row


def _records_of(call: Call, known: dict[str, list[UsageRecord]]) -> list[UsageRecord]:
    """Return the records that the rows of a call may belong to."""
    if not call.is_foldable:
        return []
    records = known.get(call.event.request_id, [])
    if not records and (cut := former(call.event.request_id)):
        # Imported when long IDs were cut: only a row that is in it tells that it is the same request.
        row = call.attempt["log_id"]
        records = [record for record in known.get(cut, []) if (record.metadata or {}).get("log_id") == row]
    return records


def _known(gateway: Gateway, calls: Sequence[Call]) -> dict[str, list[UsageRecord]]:
    wanted = [call.event for call in calls if call.is_foldable]
    if not wanted:
        return {}
    found: dict[str, list[UsageRecord]] = {}
    ids = {event.request_id for event in wanted}
    rows = UsageRecord.objects.select_related("model").filter(
        request_id__in=ids | {cut for one in ids if (cut := former(one))},
        gateway=gateway,
        type__in=REQUEST_TYPES,
        # The partitions of that time only.
        id__gte=first_id(max(min(event.created_at for event in wanted) - _SAME_REQUEST, EPOCH)),
        id__lt=first_id(max(event.created_at for event in wanted) + _SAME_REQUEST),
    )
    for row in rows:
        found.setdefault(row.request_id, []).append(row)
    return found


def _charge(record: UsageRecord) -> int | None:
    """Return the row that charged a record, None while all its attempts failed."""
    return (record.metadata or {}).get("log_id") if record.status == Status.SUCCESS else None
