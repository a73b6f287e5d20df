"""What IDs tell of spans and records that are one call.

- The answer's ID, within ``SAME_CALL``: as under two instrumentations, or of a gateway's own record.
- LiteLLM's call ID, where there is no answer's: its attempts share one, so the end tells which it is.

What meets without an ID is told by `logs.ingest.calls.twins`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from accounts.models import Gateway
from logs.ingest.calls.ancestry import Key
from logs.ingest.calls.merging import event_of, is_foreign
from logs.ingest.formats.spans.reading import Reading
from logs.models import REQUEST_TYPES, UsageRecord
from logs.models.events import UsageEvent
from routescope.data.ids import EPOCH, first_id
from routescope.text.identifiers import former

SAME_CALL = timedelta(minutes=10)
"""How far apart the spans of one response begin. An ID that comes again later is a cached answer's."""
SAME_END = timedelta(milliseconds=50)
"""How far apart two reports of one attempt may end: LiteLLM's own agree to the microsecond, and the next
attempt may fail within a second."""

Same = list[tuple[Key, Key]]
"""Pairs of spans and records that are one call."""


def key_of(reading: Reading) -> Key:
    return (reading.trace_id, reading.span_id)


def record_key(record: UsageRecord) -> Key:
    """Return what stands for a record among the keys of spans."""
    return ("record", record.pk.hex)


# --- The answer's ID, and LiteLLM's ------------------------------------------------------------------------


def by_ids(gateway: Gateway, readings: Sequence[Reading]) -> tuple[Same, list[UsageRecord]]:
    """Return what IDs tell of spans, and the records that they lead to, locked."""
    found = records_with(gateway, readings)
    same: Same = []
    used: set[Key] = set()
    groups: dict[str, list[list[Reading]]] = {}
    for reading in sorted(readings, key=lambda one: (one.event.created_at, one.span)):
        if reading.has_response_id:
            of_id = groups.setdefault(reading.event.request_id, [])
            group = next((g for g in of_id if all(is_same_call(o.event, reading) for o in g)), None)
            if group is not None:
                same.append((key_of(group[0]), key_of(reading)))
                group.append(reading)
                continue
            of_id.append([reading])
        record = _record(found, reading, used)
        if record is not None:
            used.add(record_key(record))
            same.append((record_key(record), key_of(reading)))
    records = [record for record in found if record_key(record) in used]
    return same, records


def _record(found: Sequence[UsageRecord], reading: Reading, used: set[Key]) -> UsageRecord | None:
    free = [record for record in found if record_key(record) not in used]
    if reading.has_response_id:
        request_id = reading.event.request_id
        for record in free:
            if record.request_id == request_id and is_same_call(event_of(record), reading):
                return record
        cut = former(request_id)
        for record in free:
            # Stored when long IDs were cut: only the span itself tells that it is the same call.
            if cut is not None and record.request_id == cut and has_span(record.metadata, reading):
                return record
    if reading.call_id is None:
        return None
    attempts = [record for record in free if is_attempt(record, reading)]
    return min(attempts, key=lambda record: abs(_end(record) - reading.ended_at), default=None)


def records_with(gateway: Gateway, readings: Iterable[Reading]) -> list[UsageRecord]:
    """Return the calls that are stored under the spans' IDs, about their time; nobody else may change
    them."""
    readings = [reading for reading in readings if reading.has_response_id or reading.call_id]
    if not readings:
        return []
    ids = {reading.event.request_id for reading in readings if reading.has_response_id}
    calls = {reading.call_id for reading in readings if reading.call_id}
    moments = [reading.event.created_at for reading in readings]
    first, last = min(moments) - SAME_CALL, max(moments) + SAME_CALL
    named = Q(request_id__in=ids | calls | {cut for one in ids if (cut := former(one))})
    if calls:
        named |= Q(upstream_request_id__in=calls)
    rows = UsageRecord.objects.select_related("model").select_for_update(of=("self",))
    return list(
        rows.filter(
            named,
            gateway=gateway,
            type__in=REQUEST_TYPES,
            # The partitions of that time only.
            id__gte=first_id(max(first, EPOCH)),
            id__lt=first_id(max(last, EPOCH)),
        ).order_by("id")
    )


def is_same_call(known: UsageEvent, reading: Reading) -> bool:
    """Whether what is known under an answer's ID is the call of a span, and no cached answer's."""
    if abs(known.created_at - reading.event.created_at) > SAME_CALL:
        return False
    if has_span(known.metadata, reading):
        return True
    told = known.metadata or {}
    call_id = told.get("call_id") or (known.upstream_request_id if "call_type" in told else None)
    if call_id and reading.call_id:
        return bool(call_id == reading.call_id)
    # One instrumentation does not report a finished call twice: it is a cached answer, served again.
    finished = bool(known.output_tokens and reading.event.output_tokens)
    return not (finished and told.get("scope") == reading.scope)


def is_attempt(record: UsageRecord, reading: Reading) -> bool:
    """Whether a record that a gateway sent is the attempt of a span with its call ID."""
    known = event_of(record)
    if not is_foreign(known) or reading.call_id not in (record.request_id, record.upstream_request_id):
        return False
    if reading.has_response_id and record.request_id not in (reading.call_id, reading.event.request_id):
        return False
    same_outcome = record.status == reading.event.status
    return same_outcome and abs(_end(record) - reading.ended_at) <= SAME_END


def has_span(metadata: dict[str, object] | None, reading: Reading) -> bool:
    """Whether a record is of this very span, which was sent again."""
    told = metadata or {}
    several = told.get("merged_spans", ())
    return reading.span_id == told.get("span_id") or (
        isinstance(several, list) and reading.span_id in several
    )


def _end(record: UsageRecord) -> datetime:
    return record.created_at + timedelta(milliseconds=record.duration_ms or 0)
