"""Model calls reported as spans: each call one record, though its spans come in parts, twice, in any order.

Spans that carry the same response ID within ``SAME_CALL`` are one call, as under two instrumentations; so are
the two spans in which logfire reports a stream (`logs.ingest.formats.spans.half.Half`). The first to arrive makes
the record, a later one completes it. One gateway's spans are stored one request after the other, so that two
spans of one call which arrive at once do not become two records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import cast

import msgspec
from django.db import OperationalError, connection
from django.utils import timezone
from psycopg import errors

from accounts.models import AIModel, Gateway
from logs.ingest import batches, storable
from logs.ingest.batches import Outcome
from logs.ingest.formats.otlp import Spans
from logs.ingest.formats.spans.half import Half
from logs.ingest.formats.spans.reading import Reading
from logs.models import RecordType, SpanHalf, Status, UsageRecord
from logs.models.events import Batch, Failure, Rejection, UsageEvent
from logs.pricing.quotes import is_priced_here
from routescope.data.apart import together
from routescope.data.ids import EPOCH, derived_id, first_id
from routescope.text.identifiers import former
from routescope.wire.reading import MAX_COUNT, RecordError

SAME_CALL = timedelta(minutes=10)
"""How far apart the spans of one response begin. An ID that comes again later is a cached answer's."""
_MEETING = timedelta(seconds=60)
"""How long after the answer began a client may take up the stream."""
_CLOCK = timedelta(seconds=1)
_KEEP_HALVES = timedelta(days=1)
_TRIES = 4


@dataclass(slots=True)
class _Call:
    """A call of this request: what its spans told, and the record of it that exists already."""

    index: int
    event: UsageEvent
    halves: list[tuple[str, Half]]
    record: UsageRecord | None = None


def store(gateway: Gateway, spans: Spans) -> Outcome:
    """Store model calls and their sums, complete the ones that are here already, and commit.

    A span that adds nothing counts as a duplicate. Raises OperationalError as ``ingest.store`` does, and
    where others of the gateway's take longer than a lock may be waited for.
    """
    for remaining in reversed(range(_TRIES)):
        try:
            return together(partial(_store_in_turn, gateway, spans))
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.DeadlockDetected) or not remaining:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


def _store_in_turn(gateway: Gateway, spans: Spans) -> Outcome:
    with connection.cursor() as cursor:
        # No longer than any lock may be waited for: the exporter then sends them again.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('spans'), %s)", [gateway.pk])
    return _store(gateway, spans)


def _store(gateway: Gateway, spans: Spans) -> Outcome:
    readings, rejected = _sound(spans)
    calls = _by_response(gateway, [pair for pair in readings if pair[1].half is None])
    calls += _by_halves(gateway, [pair for pair in readings if pair[1].half is not None])
    completed: list[_Call] = []
    completions = []
    for call in calls:
        if call.record is not None:
            known = event_of(call.record)
            if (more := merged(known, call.event)) != known:
                completed.append(call)
                completions.append((call.record, more))
    new = [(call.index, call.event) for call in calls if call.record is None]
    outcome = batches.store(gateway, Batch(events=new, rejected=rejected, faults=spans.faults))
    unfit = batches.complete(gateway, completions)
    rejected = list(outcome.rejected)
    for place, reason in unfit.items():
        call = completed[place]
        rejected.append(Rejection(index=call.index, request_id=call.event.request_id, error=reason))
    _remember_halves(gateway, calls, rejected)
    stored = outcome.accepted + len(completions) - len(unfit)
    duplicates = len(spans.readings) - stored - (len(rejected) - len(spans.rejected))
    return Outcome(stored, max(duplicates, 0), rejected, outcome.faults)


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


# --- The same response -------------------------------------------------------------------------------------


def _by_response(gateway: Gateway, readings: Sequence[tuple[int, Reading]]) -> list[_Call]:
    found = _records(gateway, [reading for _, reading in readings if reading.has_response_id])
    calls: list[_Call] = []
    by_id: dict[str, list[_Call]] = {}
    for index, reading in readings:
        if not reading.has_response_id:
            calls.append(_Call(index, reading.event, []))
            continue
        request_id = reading.event.request_id
        same = by_id.setdefault(request_id, [])
        for call in same:
            if _is_same_call(call.event, reading):
                call.event = merged(call.event, reading.event)
                break
        else:
            records = found.get(request_id, [])
            record = next((r for r in records if _is_same_call(event_of(r), reading)), None)
            if record is None and (cut := former(request_id)):
                # Stored when long IDs were cut: only the span itself tells that it is the same call.
                records = found.get(cut, [])
                record = next((r for r in records if _has_span(r.metadata, reading)), None)
            if record is not None:
                records.remove(record)
            call = _Call(index, reading.event, [], record)
            same.append(call)
            calls.append(call)
    return calls


def _records(gateway: Gateway, readings: Iterable[Reading]) -> dict[str, list[UsageRecord]]:
    events = [reading.event for reading in readings]
    if not events:
        return {}
    first = min(event.created_at for event in events) - SAME_CALL
    last = max(event.created_at for event in events) + SAME_CALL
    ids = {event.request_id for event in events}
    rows = UsageRecord.objects.select_related("model").filter(
        request_id__in=ids | {cut for one in ids if (cut := former(one))},
        gateway=gateway,
        type=RecordType.REQUEST,
        # The partitions of that time only.
        id__gte=first_id(max(first, EPOCH)),
        id__lt=first_id(max(last, EPOCH)),
    )
    found: dict[str, list[UsageRecord]] = {}
    for row in rows:
        found.setdefault(row.request_id, []).append(row)
    return found


def _is_same_call(known: UsageEvent, reading: Reading) -> bool:
    if abs(known.created_at - reading.event.created_at) > SAME_CALL:
        return False
    told = known.metadata or {}
    if _has_span(known.metadata, reading):
        return True
    # One instrumentation does not report a finished call twice: it is a cached answer, served again.
    finished = bool(known.output_tokens and reading.event.output_tokens)
    return not (finished and told.get("scope") == reading.scope)


def _has_span(metadata: dict[str, object] | None, reading: Reading) -> bool:
    """Whether a record is of this very span, which was sent again."""
    told = metadata or {}
    span_id = reading.span.partition(":")[2]
    merged_spans = told.get("merged_spans", ())
    return span_id == told.get("span_id") or (isinstance(merged_spans, list) and span_id in merged_spans)


# --- The two halves of a stream ----------------------------------------------------------------------------


def _by_halves(gateway: Gateway, readings: Sequence[tuple[int, Reading]]) -> list[_Call]:
    if not readings:
        return []
    SpanHalf.objects.filter(received_at__lt=timezone.now() - _KEEP_HALVES).delete()
    known = set(
        SpanHalf.objects.filter(gateway=gateway, span__in=[r.span for _, r in readings]).values_list(
            "span", flat=True
        )
    )
    waiting = list(
        SpanHalf.objects.filter(
            gateway=gateway, is_paired=False, key__in={r.half.key for _, r in readings if r.half is not None}
        )
    )
    calls: list[_Call] = []
    open_calls: list[_Call] = []
    for index, reading in sorted(readings, key=lambda pair: (pair[1].event.created_at, pair[1].span)):
        if reading.half is None or reading.span in known:
            continue
        known.add(reading.span)
        half = reading.half
        partner = min(
            (call for call in open_calls if _meet(half, call.halves[0][1])),
            key=lambda call: _gap(half, call.halves[0][1].met_at),
            default=None,
        )
        kept = min(
            (row for row in waiting if row.is_usage != half.is_usage and _meet_row(half, row)),
            key=lambda row: _gap(half, row.met_at),
            default=None,
        )
        if partner is not None:
            open_calls.remove(partner)
            partner.halves.append((reading.span, half))
            partner.event = merged(partner.event, reading.event)
        elif kept is not None:
            waiting.remove(kept)
            record = UsageRecord.objects.select_related("model").get(user_id=kept.user_id, pk=kept.record_id)
            SpanHalf.objects.filter(pk=kept.pk).update(is_paired=True)
            calls.append(_Call(index, reading.event, [(reading.span, half)], record))
        else:
            call = _Call(index, reading.event, [(reading.span, half)])
            open_calls.append(call)
            calls.append(call)
    return calls


def _gap(half: Half, met_at: datetime) -> timedelta:
    return abs(half.met_at - met_at)


def _meet(half: Half, other: Half) -> bool:
    if half.key != other.key or half.is_usage == other.is_usage:
        return False
    usage, call = (half, other) if half.is_usage else (other, half)
    return -_CLOCK <= usage.met_at - call.met_at <= _MEETING


def _meet_row(half: Half, row: SpanHalf) -> bool:
    return _meet(half, Half(key=row.key, is_usage=row.is_usage, met_at=row.met_at))


def _remember_halves(gateway: Gateway, calls: Iterable[_Call], rejected: Iterable[Rejection]) -> None:
    refused = {rejection.index for rejection in rejected}
    rows = []
    new = {
        derived_id(
            call.event.created_at, gateway.pk, call.event.identity or call.event.request_id, call.event.type
        ): call
        for call in calls
        if call.halves and call.record is None and call.index not in refused
    }
    # By the index on the time: there is none on the id alone.
    moments = {call.event.created_at for call in new.values()}
    stored = UsageRecord.objects.filter(pk__in=new, created_at__in=moments)
    users = dict(stored.values_list("pk", "user_id"))
    places = [(call, pk, users[pk]) for pk, call in new.items() if pk in users]
    places += [(c, c.record.pk, c.record.user_id) for c in calls if c.halves and c.record is not None]
    for call, pk, user_id in places:
        paired = call.record is not None or len(call.halves) > 1
        rows += [
            SpanHalf(
                gateway=gateway, span=span, key=half.key, is_usage=half.is_usage, met_at=half.met_at,
                is_paired=paired, user_id=user_id, record_id=pk,
            )
            for span, half in call.halves
        ]  # fmt: skip
    SpanHalf.objects.bulk_create(rows, ignore_conflicts=True)


# --- Merging -----------------------------------------------------------------------------------------------


def merged(known: UsageEvent, later: UsageEvent) -> UsageEvent:
    """Return what two spans of one call tell together.

    Amounts that both tell are never added: the larger one is the one that was complete. Everything else is
    the known value where there is one. Merging the same span again changes nothing.
    """
    ends = [
        event.created_at + timedelta(milliseconds=event.duration_ms)
        for event in (known, later)
        if event.duration_ms is not None
    ]
    changes: dict[str, object] = {
        name: getattr(later, name)
        for name in known.__struct_fields__
        if getattr(known, name) in (None, "") and getattr(later, name) not in (None, "")
    }
    for name in ("input_tokens", "output_tokens", "cached_tokens"):
        changes[name] = max(getattr(known, name), getattr(later, name))
    for name in ("cache_write_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens"):
        changes[name] = max(getattr(known, name) or 0, getattr(later, name) or 0) or changes.get(
            name, getattr(known, name)
        )
    changes["created_at"] = min(known.created_at, later.created_at)
    if ends:
        whole = max(ends) - min(known.created_at, later.created_at)
        changes["duration_ms"] = min(round(whole / timedelta(milliseconds=1)), MAX_COUNT)
    if later.status is Status.ERROR:
        changes["status"] = Status.ERROR
        if known.http_status == 200:
            changes["http_status"] = later.http_status
    elif known.status is Status.ERROR:
        changes.pop("http_status", None)
    changes["parameters"] = {**(later.parameters or {}), **(known.parameters or {})} or None
    changes["metadata"] = _merged_metadata(known, later)
    return msgspec.structs.replace(known, **changes)


def _merged_metadata(known: UsageEvent, later: UsageEvent) -> dict[str, object] | None:
    first, second = known.metadata or {}, later.metadata or {}
    spans = {*first.get("merged_spans", ()), *second.get("merged_spans", ()), second.get("span_id")}
    spans -= {None, first.get("span_id")}
    together = {**second, **first}
    if spans:
        together["merged_spans"] = sorted(spans)[:20]
    return together or None


def event_of(record: UsageRecord) -> UsageEvent:
    """Return a stored record as the event it came from; its names other than the model are left out."""
    plain = {name: getattr(record, name) for name in _PLAIN}
    if is_priced_here(record.billing):
        # Priced from what was known then: to be priced anew from all that is known now.
        plain |= {"cost": None, "billing": (record.billing or {}).get("sent")}
    model: AIModel | None = cast("AIModel | None", record.model)
    failure = Failure(
        type=record.error_type, code=record.error_code, message=record.error_message, param=record.error_param
    )
    return UsageEvent(
        type=RecordType(record.type),
        status=Status(record.status),
        model=model.name if model is not None else "",
        error=None if failure == Failure() else failure,
        **plain,
    )


_PLAIN = (
    "request_id", "created_at", "stream", "duration_ms", "ttft_ms", "http_status", "endpoint", "ip",
    "user_agent", "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "image_count", "quantities", "cost", "billing", "parameters",
    "upstream_request_id", "provider", "channel", "attempts", "task_id", "metadata",
)  # fmt: skip
