"""Model calls reported as spans: each call one record, though its spans come in parts, twice, in any order.

Which spans are one call is told by `logs.ingest.calls`; the first to arrive makes the record, a later one
completes it, and where two records turn out to be one call they become one. What came of late is kept for
that (`logs.models.KnownSpan`). One gateway's spans are stored one request after the other, so that two
spans of one call which arrive at once do not become two records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.db import OperationalError, connection
from psycopg import errors

from accounts.models import Gateway
from logs.ingest import batches, span_contents, storable
from logs.ingest.batches import Outcome
from logs.ingest.calls import meeting, merging, span_rows, twins, units
from logs.ingest.calls.ancestry import Key
from logs.ingest.calls.evidence import key_of
from logs.ingest.calls.merging import Counted, event_of
from logs.ingest.calls.span_rows import Kind, SpanRow
from logs.ingest.calls.units import FoundCalls, Unit
from logs.ingest.formats.otlp import Link, Spans
from logs.ingest.formats.spans.reading import Reading
from logs.models import UsageRecord
from logs.models.events import Batch, Rejection, UsageEvent
from routescope.data.apart import together
from routescope.data.ids import EPOCH, derived_id
from routescope.wire.reading import MAX_COUNT, RecordError

__all__ = ["event_of", "store"]

_TRIES = 4
_SLACK = 0.001
"""Seconds by which the clocks of two instrumentations of a process may differ."""


@dataclass(slots=True)
class _Call:
    """A unit with what is to be stored of it: in a new record, or in the one that stays of its records."""

    index: int
    unit: Unit
    event: UsageEvent
    record: UsageRecord | None


def store(gateway: Gateway, spans: Spans) -> Outcome:
    """Store model calls and their sums, complete the ones that are here already, and commit.

    A span that adds nothing counts as a duplicate. Raises OperationalError as ``ingest.store`` does, and
    where others of the gateway's take longer than a lock may be waited for.
    """
    for remaining in reversed(range(_TRIES)):
        try:
            outcome, new = together(partial(_store_in_turn, gateway, spans))
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.DeadlockDetected) or not remaining:
                raise
        else:
            meeting.after_spans(gateway, new)
            return outcome
    raise AssertionError("unreachable: the last try returns or raises")


def _store_in_turn(gateway: Gateway, spans: Spans) -> tuple[Outcome, list[Unit]]:
    with connection.cursor() as cursor:
        # No longer than any lock may be waited for: the exporter then sends them again.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('spans'), %s)", [gateway.pk])
    return _store(gateway, spans)


def _store(gateway: Gateway, spans: Spans) -> tuple[Outcome, list[Unit]]:
    """Return the outcome, and the calls that are new."""
    readings, rejected = _sound(spans)
    span_contents.give_to(gateway, [reading for _, reading in readings])
    found = units.find(gateway, readings, spans.links)
    several = any(len(unit.records) > 1 for unit in found.units)
    nobody = batches.nobody_of(gateway) if several else None
    calls = [_call(unit, found, nobody) for unit in found.units]
    new = [(call.index, call.event) for call in calls if call.record is None]
    outcome = batches.store(gateway, Batch(events=new, rejected=rejected, faults=spans.faults))
    rejected = list(outcome.rejected)
    refused = {rejection.index for rejection in rejected}
    completed = [call for call in calls if call.record is not None and _is_more(call)]
    moves: dict[UUID, tuple[UUID, int]] = {}
    unfit = batches.complete(gateway, [(call.record, call.event) for call in completed if call.record], moves)
    for place, reason in unfit.items():
        call = completed[place]
        rejected.append(Rejection(index=call.index, request_id=call.event.request_id, error=reason))
    _let_go(gateway, calls, found.orphans, moves)
    _remember(gateway, [c for c in calls if c.record or c.index not in refused], found, spans.links, moves)
    taken = outcome.accepted + len(completed) - len(unfit)
    duplicates = len(spans.readings) - taken - (len(rejected) - len(spans.rejected))
    made = [call.unit for call in calls if call.record is None]
    return Outcome(taken, max(duplicates, 0), rejected, outcome.faults), made


def _sound(spans: Spans) -> tuple[list[tuple[int, Reading]], list[Rejection]]:
    """Return the calls that can be stored, before they meet others, and why the rest is refused."""
    readings = []
    rejected = list(spans.rejected)
    for index, reading in spans.readings:
        try:
            storable.check(reading.event)
        except RecordError as error:
            request_id = reading.event.request_id
            rejected.append(Rejection(index=index, request_id=request_id, error=str(error)))
        else:
            readings.append((index, reading))
    return readings, rejected


# --- What a call comes to ----------------------------------------------------------------------------------


def _call(unit: Unit, found: FoundCalls, nobody: int | None = None) -> _Call:
    """Put a unit's reports together: its record first, then the answer's spans, the outer ones first."""
    depths = _depths(unit, found)

    def order(part: tuple[int, Reading]) -> tuple[bool, int, object, str]:
        reading = part[1]
        return (not reading.has_response_id, depths[key_of(reading)], reading.event.created_at, reading.span)

    records = sorted(unit.records, key=partial(_rank, nobody))
    parts = sorted(unit.parts, key=order)
    reports = [event_of(record) for record in records] + [reading.event for _, reading in parts]
    event = reports[0]
    for report in reports[1:]:
        event = merging.merged(event, report)
    told = [(depths[key_of(reading)], units.told_by(reading)) for _, reading in parts]
    told += [(depths[row.key], row.told) for row in unit.rows if row.told is not None]
    if unit.is_stripped:
        _set_times(event, [counted for _, counted in told])
    else:
        told += [
            (merging.FOREIGN if merging.is_foreign(known) else 0, merging.counted(known, "", None))
            for known in reports[: len(records)]
        ]
    merging.count(event, told)
    index = parts[0][0] if parts else -1
    return _Call(index, unit, event, records[0] if records else None)


def _rank(nobody: int | None, record: UsageRecord) -> tuple[bool, bool, bool, UUID]:
    """Order the records of a call: what a gateway itself told stays, then what somebody has, or an answer's
    ID."""
    known = event_of(record)
    is_nobodys = record.user_id == nobody
    return (not merging.is_foreign(known), is_nobodys, merging.is_placeholder(known), record.pk)


def _depths(unit: Unit, found: FoundCalls) -> dict[Key, int]:
    """Return how deep each span lies: how many calls are around it, or only its time is within theirs."""
    spans = [(key_of(reading), units.told_by(reading)) for _, reading in unit.parts]
    spans += [(row.key, row.told) for row in unit.rows if row.told is not None]
    return {
        key: found.depths.get(key, 0) + sum(_lies_within(told, other) for _, other in spans)
        for key, told in spans
    }


def _lies_within(told: Counted, other: Counted) -> bool:
    if told.scope == other.scope or told.ended - told.started >= other.ended - other.started:
        return False
    return told.started >= other.started - _SLACK and told.ended <= other.ended + _SLACK


def _set_times(event: UsageEvent, told: Sequence[Counted]) -> None:
    """Give a call its times anew, where a span that was taken for it was the sum of several."""
    if told:
        started, ended = min(one.started for one in told), max(one.ended for one in told)
        event.created_at = EPOCH + timedelta(microseconds=round(started * 1_000_000))
        event.duration_ms = min(round((ended - started) * 1000), MAX_COUNT)


def _is_more(call: _Call) -> bool:
    known = call.record
    return known is not None and (event_of(known) != call.event or len(call.unit.records) > 1)


# --- What is kept of it ------------------------------------------------------------------------------------


def _let_go(
    gateway: Gateway,
    calls: Sequence[_Call],
    orphans: Sequence[UsageRecord],
    moves: Mapping[UUID, tuple[UUID, int]],
) -> None:
    """Take away the records that became one with another, and those of what is no call."""
    gone: list[tuple[UsageRecord, tuple[UUID, int] | None]] = [(record, None) for record in orphans]
    for call in calls:
        if call.record is not None:
            stays = moves.get(call.record.pk, (call.record.pk, call.record.user_id))
            gone += [(record, stays) for record in call.unit.records if record.pk != call.record.pk]
    batches.take_away(gone)
    places = [(old, new, user_id) for old, (new, user_id) in moves.items()]
    places += [(record.pk, stays[0], stays[1]) for record, stays in gone if stays is not None]
    span_rows.moved(gateway.pk, places)


def _remember(
    gateway: Gateway,
    calls: Sequence[_Call],
    found: FoundCalls,
    links: Sequence[Link],
    moves: Mapping[UUID, tuple[UUID, int]],
) -> None:
    """Keep what later spans may have to know of these."""
    rows = [row for call, place in _places(gateway, calls, moves) for row in _rows_of(call, place)]
    rows += [_row(reading, None) for reading in found.aggregates]
    for row in found.stripped:
        row.user_id = row.record_id = None
        rows.append(row)
    counts: dict[str, int] = {}
    for trace, _ in found.known:
        counts[trace] = counts.get(trace, 0) + 1
    for link in links:
        key = (link.trace_id, link.span_id)
        counts[key[0]] = counts.get(key[0], 0) + 1
        if key not in found.known and counts[key[0]] <= span_rows.MOST_OF_TRACE:
            rows.append(SpanRow(key=key, parent=(link.trace_id, link.parent_id), kind=Kind.LINK))
    # One row for each, a call's before a link's.
    kept = {row.key: row for row in reversed(rows)}
    with_calls = {row.key[0] for row in (*kept.values(), *found.known.values()) if row.kind != Kind.LINK}
    span_rows.add(gateway.pk, kept.values(), with_calls)
    span_rows.forget()


def _places(
    gateway: Gateway, calls: Sequence[_Call], moves: Mapping[UUID, tuple[UUID, int]]
) -> Iterable[tuple[_Call, tuple[UUID, int]]]:
    """Yield the calls with the id and the user of their records."""
    new = {
        derived_id(
            call.event.created_at, gateway.pk, call.event.identity or call.event.request_id, call.event.type
        ): call
        for call in calls
        if call.record is None
    }
    # By the index on the time: there is none on the id alone.
    moments = {call.event.created_at for call in new.values()}
    stored = UsageRecord.objects.filter(pk__in=new, created_at__in=moments) if new else None
    for pk, user_id in stored.values_list("pk", "user_id") if stored is not None else ():
        yield new[pk], (pk, user_id)
    for call in calls:
        if call.record is not None:
            yield call, moves.get(call.record.pk, (call.record.pk, call.record.user_id))


def _rows_of(call: _Call, place: tuple[UUID, int]) -> Iterable[SpanRow]:
    for _, reading in call.unit.parts:
        yield _row(reading, place)
    for row in call.unit.rows:
        if row.record_id != place[0]:
            row.record_id, row.user_id = place
            yield row


def _row(reading: Reading, place: tuple[UUID, int] | None) -> SpanRow:
    record_id, user_id = place or (None, None)
    return SpanRow(
        key=key_of(reading),
        parent=units.parent_of(reading),
        kind=twins.kind_of(reading),
        meet_key=twins.meet_key(reading),
        met_at=twins.met_at(reading),
        user_id=user_id,
        record_id=record_id,
        told=units.told_by(reading),
    )
