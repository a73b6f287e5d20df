"""Calls that a gateway's own callback and spans tell of alike: LiteLLM may send both, in either order.

Whoever stores commits first and then looks for the other's records: so neither misses the other though both
arrive at once, and nobody waits. A gateway that sends no spans is asked about them in one small query.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import DatabaseError, OperationalError
from django.db.models import Q
from psycopg import errors

from accounts.models import Gateway
from logs.ingest import batches
from logs.ingest.calls import merging, span_rows
from logs.ingest.calls.evidence import SAME_CALL, SAME_END
from logs.ingest.calls.merging import event_of
from logs.ingest.calls.units import Unit
from logs.models import REQUEST_TYPES, UsageRecord
from logs.models.events import Batch, UsageEvent
from routescope.data import troubles
from routescope.data.apart import together
from routescope.data.ids import EPOCH, first_id

logger = logging.getLogger(__name__)

_TRIES = 4
_MOST_OF_ID = 20
"""Records of one ID that are compared: attempts at one call, and answers from a cache."""


def after_callback(gateway: Gateway, batch: Batch) -> None:
    """Make one of the records that a callback's batch shares with spans. Never raises for the database's
    sake.

    The batch is committed, and LiteLLM sends nothing twice: it is told so whatever becomes of this.
    """
    _quietly(partial(_after_callback, gateway, [event for _, event in batch.events]))


def after_spans(gateway: Gateway, units: Iterable[Unit]) -> None:
    """Make one of the records that new calls of spans share with a callback which came meanwhile."""
    readings = [reading for unit in units for _, reading in unit.parts]
    ids = {reading.event.request_id for reading in readings if reading.has_response_id}
    ids |= {reading.call_id for reading in readings if reading.call_id}
    if ids:
        _quietly(partial(_unite, gateway, ids, [reading.event.created_at for reading in readings]))


def _after_callback(gateway: Gateway, events: Sequence[UsageEvent]) -> None:
    if span_rows.are_there(gateway.pk):
        ids = {one for event in events for one in _ids(event) if one}
        _unite(gateway, ids, [event.created_at for event in events])


def _quietly(work: Callable[[], None]) -> None:
    """Do what must not cost the answer: what was stored is committed."""
    try:
        work()
    except DatabaseError as error:
        if troubles.tell(error, "making one of a callback's records and those of spans") is None:
            logger.exception("Records of a callback and of spans could not be made one")


def _unite(gateway: Gateway, ids: Collection[str], moments: Sequence[datetime]) -> None:
    """Make one of the records that share an ID and are one call: a gateway's own takes up the spans'."""
    if not ids:
        return
    for remaining in reversed(range(_TRIES)):
        try:
            together(partial(_unite_found, gateway, ids, min(moments), max(moments)))
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.DeadlockDetected) or not remaining:
                raise
        else:
            return


def _unite_found(gateway: Gateway, ids: Collection[str], first: datetime, last: datetime) -> None:
    completions = []
    gone = []
    for records, taken in _candidates(gateway, ids, first, last):
        told = {record.pk: event_of(record) for record in records}
        own = [record for record in records if merging.is_foreign(told[record.pk])]
        of_spans = [record for record in records if not merging.is_foreign(told[record.pk])]
        for record in own:
            same = [one for one in of_spans if _are_one(told[record.pk], told[one.pk])]
            if not same:
                continue
            other = min(same, key=lambda one: abs(_end(told[one.pk]) - _end(told[record.pk])))
            of_spans.remove(other)
            taken |= {record.pk, other.pk}
            both = merging.merged(told[record.pk], told[other.pk])
            counts = [(merging.FOREIGN, merging.counted(told[record.pk], "", None))]
            merging.count(both, [*counts, (0, merging.counted(told[other.pk], "", None))])
            completions.append((record, both))
            gone.append((other, record.pk))
    if completions:
        places: dict[UUID, tuple[UUID, int]] = {}
        batches.complete(gateway, completions, places)
        kept = [(record, places[of]) for record, of in gone if of in places]
        batches.take_away(kept)
        moved = [(old, *place) for old, place in places.items()]
        span_rows.moved(gateway.pk, moved + [(record.pk, *place) for record, place in kept])


def _candidates(
    gateway: Gateway, ids: Collection[str], first: datetime, last: datetime
) -> Iterable[tuple[list[UsageRecord], set[UUID]]]:
    """Yield the records about a time that share an ID, locked, where there are several.

    Beside them a set for those that have become one with another: these are not yielded again.
    """
    named = list(ids)
    rows = (
        UsageRecord.objects.select_related("model")
        .select_for_update(of=("self",))
        .filter(
            Q(request_id__in=named) | Q(upstream_request_id__in=named),
            gateway=gateway,
            type__in=REQUEST_TYPES,
            id__gte=first_id(max(first - SAME_CALL, EPOCH)),
            id__lt=first_id(max(last + SAME_CALL, EPOCH)),
        )
        .order_by("id")
    )
    wanted = set(ids)
    by_id: dict[str, list[UsageRecord]] = {}
    for row in rows:
        for one in {row.request_id, row.upstream_request_id} & wanted:
            by_id.setdefault(str(one), []).append(row)
    taken: set[UUID] = set()
    for several in by_id.values():
        rest = [row for row in several if row.pk not in taken][:_MOST_OF_ID]
        if len(rest) > 1:
            yield rest, taken


def _ids(event: UsageEvent) -> tuple[str | None, str | None]:
    return event.request_id, event.upstream_request_id


def _are_one(own: UsageEvent, of_spans: UsageEvent) -> bool:
    """Whether a gateway's record and one of spans are one call: the same attempt, and no cached answer's."""
    if abs(own.created_at - of_spans.created_at) > SAME_CALL:
        return False
    metadata = of_spans.metadata or {}
    call_id = metadata.get("call_id") or (of_spans.upstream_request_id if "call_id" in metadata else None)
    if call_id is not None and call_id not in _ids(own):
        return False
    if own.request_id == of_spans.request_id and own.request_id != call_id:
        # One answer, and one call ID where both have one.
        return True
    is_close = abs(_end(own) - _end(of_spans)) <= SAME_END
    return own.status == of_spans.status and is_close and call_id is not None


def _end(event: UsageEvent) -> datetime:
    return event.created_at + timedelta(milliseconds=event.duration_ms or 0)
