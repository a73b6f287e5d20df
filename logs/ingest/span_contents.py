"""Content of model calls that comes apart from their spans, as log events: it joins the record of its span.

Under the content policy, as content within a span does. Logs and spans are exported by themselves: what comes
first waits for the other, encrypted and for some minutes.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.models import Gateway
from logs.content.contents import Policies
from logs.ingest import batches
from logs.ingest.calls import span_rows
from logs.ingest.calls.ancestry import Key
from logs.ingest.calls.merging import event_of
from logs.ingest.formats.otlp_logs import SpanMessage
from logs.ingest.formats.spans import content
from logs.ingest.formats.spans.reading import Reading
from logs.ingest.formats.spans.span import SpanEvent
from logs.models import Level, SpanContent, UsageRecord
from routescope import encryption
from routescope.data.apart import together

KEEP = timedelta(minutes=15)
"""How long content waits for its span: a call's may take as long, and is exported when it ends."""
MOST_WAITING = 1_000
"""Of one gateway: beyond, the oldest makes room."""

_Events = list[SpanEvent]
_decode = msgspec.json.Decoder(list[tuple[str, dict[str, Any]]]).decode


def take_in(gateway: Gateway, messages: Sequence[SpanMessage]) -> None:
    """Give content to the records of its spans, or let it wait for them, and commit.

    Nothing is looked at where no policy lets any content of the gateway be kept. Raises OperationalError as
    ``ingest.store`` does.
    """
    if messages and _may_keep(gateway):
        by_span: dict[Key, _Events] = {}
        for message in messages:
            by_span.setdefault((message.trace_id, message.span_id), []).append(message.event)
        together(partial(_take_in, gateway, by_span))


def give_to(gateway: Gateway, readings: Sequence[Reading]) -> None:
    """Give spans that have no content of their own what waited for them, in the caller's transaction."""
    if not readings or not SpanContent.objects.filter(gateway_id=gateway.pk).exists():
        return
    rows = SpanContent.objects.filter(
        gateway_id=gateway.pk, trace_id__in={UUID(hex=reading.trace_id) for reading in readings}
    )
    waiting: dict[Key, list[SpanContent]] = {}
    for row in rows.order_by("pk"):
        trace, _, span = str(row).partition(":")
        waiting.setdefault((trace, span), []).append(row)
    for reading in readings:
        found = waiting.pop((reading.trace_id, reading.span_id), [])
        if found:
            given, answered = content.of_events([event for row in found for event in _events(row)])
            event = reading.event
            event.input, event.output = event.input or given, event.output or answered
            SpanContent.objects.filter(pk__in=[row.pk for row in found]).delete()


def forget() -> None:
    """Delete what has waited in vain."""
    SpanContent.objects.filter(received_at__lt=timezone.now() - KEEP).delete()


def _may_keep(gateway: Gateway) -> bool:
    policies = Policies.of(gateway.pk)
    some = (policies.gateway, *policies.groups.values(), *policies.tokens.values())
    return policies.gateway != Level.OFF and any(level not in (None, Level.OFF) for level in some)


def _take_in(gateway: Gateway, by_span: dict[Key, _Events]) -> None:
    with connection.cursor() as cursor:
        # Whoever stores spans has this lock: a span that is being stored finds what waits, or is found here.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('spans'), %s)", [gateway.pk])
    known = span_rows.of_traces(gateway.pk, {trace for trace, _ in by_span})
    records = _records([row for key in by_span if (row := known.get(key)) is not None])
    by_record: dict[UUID | None, _Events] = {}
    waiting = []
    for key, events in by_span.items():
        row = known.get(key)
        if row is not None and row.record_id in records:
            by_record.setdefault(row.record_id, []).extend(events)
        elif row is None:
            waiting.append(_row(gateway, key, events))
    completions = []
    for identifier, events in by_record.items():
        event = event_of(records[identifier])
        event.input, event.output = content.of_events(events)
        completions.append((records[identifier], event))
    if completions:
        places: dict[UUID, tuple[UUID, int]] = {}
        batches.complete(gateway, completions, places)
        span_rows.moved(gateway.pk, [(old, *place) for old, place in places.items() if old != place[0]])
    SpanContent.objects.bulk_create(waiting)
    forget()
    mine = SpanContent.objects.filter(gateway_id=gateway.pk).order_by("-pk")
    SpanContent.objects.filter(pk__in=list(mine.values_list("pk", flat=True)[MOST_WAITING:])).delete()


def _records(rows: Sequence[span_rows.SpanRow]) -> dict[UUID | None, UsageRecord]:
    ids = [row.record_id for row in rows if row.record_id]
    if not ids:
        return {}
    found = UsageRecord.objects.select_related("model").select_for_update(of=("self",))
    found = found.filter(user_id__in={row.user_id for row in rows}, id__in=ids)
    return {record.pk: record for record in found.order_by("id")}


def _row(gateway: Gateway, key: Key, events: _Events) -> SpanContent:
    told = msgspec.json.encode([(event.name, event.attributes) for event in events])
    # A side is cut to so much anyway when it is kept.
    body = told if len(told) <= 4 * settings.CONTENT_MAX_BYTES else b"[]"
    return SpanContent(
        gateway_id=gateway.pk,
        trace_id=UUID(hex=key[0]),
        span_id=int.from_bytes(bytes.fromhex(key[1]), "big", signed=True),
        body=encryption.encrypt(zlib.compress(body, 3)),
        received_at=timezone.now(),
    )


def _events(row: SpanContent) -> _Events:
    try:
        told = zlib.decompress(encryption.decrypt(bytes(row.body)))
    except encryption.DecryptionError:
        return []
    return [SpanEvent(name=name, time_ns=0, attributes=attributes) for name, attributes in _decode(told)]
