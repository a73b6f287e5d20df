"""Importing the logs of a new-api or one-api installation, resumable at any moment.

A slice of rows, what became of it, and the position after it are one transaction: whenever the import is
interrupted, it goes on where it stopped, and nothing is missing or counted twice. Attempts and the charge of
one request may lie in different slices: the record is then completed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import takewhile

import msgspec

from accounts.models import Gateway
from logs.ingest import batches
from logs.ingest.formats.newapi import IS_CHARGED, QUOTA_PER_USD, Call, fold, together
from logs.ingest.formats.newapi_other import Dialect, dialect_of
from logs.ingest.formats.newapi_rows import NewApiRow, is_taken
from logs.ingest.spans import event_of
from logs.models import REQUEST_TYPES, ImportPosition, Status, UsageRecord
from logs.models.events import Batch, UsageEvent
from routescope.data import apart, limits, room
from routescope.data.ids import EPOCH, first_id
from routescope.newapi.gaps import Gaps
from routescope.newapi.source import NewApiSource, Unreadable
from routescope.text.identifiers import former, shown

TABLE = "logs"
SLICE = 5_000
"""Rows at a time: some 10 MB, whatever the table's size."""
_SAME_REQUEST = timedelta(hours=1)
"""How far apart the rows of one request may lie."""
_SETTLED_SECONDS = 5
_MOST_RANGES = 200
"""Gaps that are asked for at once: SQLite takes 999 parameters."""
_MAX_REASONS = 50


@dataclass(slots=True)
class UsageProgress:
    """What the import has done in this run. ``cost`` is USD, refunds taken off.

    ``late`` rows came where there were none before; ``given_up`` gaps were more than may be watched.
    """

    last_id: int = 0
    rows: int = 0
    records: int = 0
    folded: int = 0
    refunds: int = 0
    other: int = 0
    late: int = 0
    given_up: int = 0
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
    """Import what came late, and what lies after the position kept; yield after each slice, which is then
    committed.

    Raises SourceError, and NoRoomError between two slices.
    """
    progress = UsageProgress()
    position, _ = ImportPosition.objects.get_or_create(gateway=gateway, source=source.name[:500], table=TABLE)
    what = _What(gateway, dialect_of(source.columns(TABLE)), quota_per_usd)
    for rows in _late(source, position):
        taken = _committed(partial(_late_slice, what, position, rows, progress))
        if taken is not None:
            progress = taken
            yield progress
    while True:
        position.refresh_from_db()
        found = source.read(TABLE, NewApiRow, after=position.last_id, limit=SLICE)
        # After the rows were read: whatever is missing among them is of a transaction before this.
        running = source.transactions()
        rows = list(takewhile(_is_settled, found))
        if not any(_key(row) is not None for row in rows):
            break
        taken = _committed(partial(_slice, what, position, rows, running, progress))
        if taken is not None:
            progress = taken
            yield progress


@dataclass(frozen=True, slots=True)
class _What:
    gateway: Gateway
    dialect: Dialect
    quota_per_usd: Decimal


_Rows = Sequence["NewApiRow | Unreadable"]


def _committed(work: Callable[[], UsageProgress | None]) -> UsageProgress | None:
    with limits.limited(limits.IMPORT), room.for_records():
        return apart.together(work)


def _late(source: NewApiSource, position: ImportPosition) -> Iterator[_Rows]:
    """Yield the rows that have come where there were none, in slices."""
    ranges = Gaps(position.gaps).ranges
    for start in range(0, len(ranges), _MOST_RANGES):
        some = ranges[start : start + _MOST_RANGES]
        after = some[0][0] - 1
        while found := source.read(TABLE, NewApiRow, after=after, limit=SLICE, within=some):
            yield found
            if len(found) < SLICE:
                break
            after = max((key for row in found if (key := _key(row)) is not None), default=some[-1][1])


def _late_slice(
    what: _What, position: ImportPosition, found: _Rows, before: UsageProgress
) -> UsageProgress | None:
    """Take in rows that came late, and return what is done by then, None where there is nothing to take."""
    position = ImportPosition.objects.select_for_update().get(pk=position.pk)
    gaps = Gaps(position.gaps)
    rows = [row for row in found if (_key(row) or 0) in gaps and not _is_open(row, what.dialect)]
    if not rows:
        return None
    progress = replace(before, reasons=list(before.reasons))
    _take(what, rows, progress)
    progress.late += len(rows)
    progress.last_id = position.last_id
    gaps.fill(key for row in rows if (key := _key(row)) is not None)
    position.gaps = gaps.kept()
    position.rows += len(rows)
    position.save()
    return progress


def _slice(
    what: _What,
    position: ImportPosition,
    rows: _Rows,
    running: tuple[int, int] | None,
    before: UsageProgress,
) -> UsageProgress | None:
    """Take a slice in and return what is done by then, None where another import of the source was faster."""
    position = ImportPosition.objects.select_for_update().get(pk=position.pk)
    numbered = [(key, row) for row in rows if (key := _key(row)) is not None]
    if position.last_id >= numbered[0][0]:
        return None
    progress = replace(before, reasons=list(before.reasons))
    _take(what, [row for row in rows if not _is_open(row, what.dialect)], progress)
    now = time.time()
    gaps = Gaps(position.gaps)
    oldest, following = running or (None, None)
    gaps.notice(position.last_id, [(key, _written(row)) for key, row in numbered], now, following)
    for key, row in numbered:
        if _is_open(row, what.dialect):
            gaps.wait_for(key, now)
    progress.given_up += gaps.expire(now, oldest)
    progress.last_id = position.last_id = numbered[-1][0]
    position.gaps = gaps.kept()
    position.rows += len(rows)
    position.save()
    return progress


def _key(row: NewApiRow | Unreadable) -> int | None:
    return row.key if isinstance(row, Unreadable) else row.id


def _written(row: NewApiRow | Unreadable) -> float | None:
    return None if isinstance(row, Unreadable) else row.created_at


def _is_open(row: NewApiRow | Unreadable, dialect: Dialect) -> bool:
    return isinstance(row, NewApiRow) and dialect.is_open(row.type)


def _is_settled(row: NewApiRow | Unreadable) -> bool:
    """Tell whether a row's neighbours had time to come, so that few gaps are seen: the rest come late.

    A row whose clock runs ahead does not hold the others up.
    """
    return isinstance(row, Unreadable) or not abs(time.time() - row.created_at) < _SETTLED_SECONDS


def _take(what: _What, found: _Rows, progress: UsageProgress) -> None:
    gateway = what.gateway
    rows = [row for row in found if isinstance(row, NewApiRow)]
    progress.rows += len(found)
    progress.other += sum(not is_taken(row, what.dialect) for row in rows)
    for row in found:
        if isinstance(row, Unreadable):
            progress.refuse(f"row {row.key}: {row.reason}")

    def refuse(row: NewApiRow, reason: str) -> None:
        progress.refuse(f"{shown(row.request_id or '')}: {reason} (row {row.id})")

    calls = fold(_clean(rows), what.quota_per_usd, refuse, what.dialect)
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
        for name in ("content", "other", "metadata", "request_id", "upstream_request_id"):
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
    metadata = record.metadata or {}
    is_charged = record.status == Status.SUCCESS or metadata.get(IS_CHARGED) is True
    return metadata.get("log_id") if is_charged else None
