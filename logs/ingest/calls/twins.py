"""Spans of one call that share no ID: the halves of a stream, and what two instrumentations tell of a call.

logfire reports a stream in two spans that carry the same request. Two instrumentations that know nothing of
each other each have a span of the same time and the same model: a refused call, an embedding, has no answer
whose ID could tell, and one of them may start a trace of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.models import Gateway
from logs.ingest.calls import span_rows
from logs.ingest.calls.ancestry import Key
from logs.ingest.calls.evidence import Same, key_of
from logs.ingest.calls.span_rows import Kind, SpanRow
from logs.ingest.formats.spans.half import Half
from logs.ingest.formats.spans.reading import Reading
from logs.models import Status
from routescope.data.ids import EPOCH

MEETING = timedelta(seconds=60)
"""How long after the answer began a client may take up the stream."""
_CLOCK = timedelta(seconds=1)
_TWINS_END = timedelta(milliseconds=100)
"""How far apart twins may end: the outer one has but the SDK's work to do."""
_SLACK = timedelta(milliseconds=5)
_MOST_LOOKED_AT = 200
"""Of the spans of one key: who calls the same model so often at once has twins that fit anyway."""


def by_meeting(gateway: Gateway, readings: Sequence[Reading]) -> tuple[Same, dict[Key, SpanRow]]:
    """Return which spans are halves of one stream or twins, and the stored ones that were looked at."""
    wanted = [
        (key, met_at(reading), MEETING + _CLOCK if reading.half else _TWINS_END)
        for reading in readings
        if (key := meet_key(reading)) is not None
    ]
    rows = span_rows.meeting(gateway.pk, wanted)
    halves = [(reading, reading.half) for reading in readings if reading.half is not None]
    singles = [reading for reading in readings if reading.half is None and not reading.has_response_id]
    return _halves(halves, rows.values()) + _twins(singles, rows.values()), rows


def meet_key(reading: Reading) -> str | None:
    """Return the key under which a span waits for others; None where its answer's ID tells more."""
    if reading.half is not None:
        return reading.half.key
    return None if reading.has_response_id else reading.twin_key


def met_at(reading: Reading) -> datetime:
    """Return the time about which others met it."""
    return reading.half.met_at if reading.half is not None else reading.ended_at


def kind_of(reading: Reading) -> int:
    """Return as what a span is kept."""
    if reading.half is None:
        return Kind.CALL
    return Kind.END if reading.half.is_usage else Kind.BEGINNING


# --- Halves ------------------------------------------------------------------------------------------------


def _halves(readings: Sequence[tuple[Reading, Half]], rows: Iterable[SpanRow]) -> Same:
    kinds: dict[object, set[int]] = {}
    stored = [row for row in rows if row.kind in (Kind.BEGINNING, Kind.END)]
    for row in stored:
        kinds.setdefault(row.record_id, set()).add(row.kind)
    waiting: dict[str, list[tuple[Key, Half]]] = {}
    for row in stored:
        if len(kinds[row.record_id]) == 1 and row.meet_key is not None and row.met_at is not None:
            half = Half(key=row.meet_key, is_usage=row.kind == Kind.END, met_at=row.met_at)
            waiting.setdefault(row.meet_key, []).append((row.key, half))
    same: Same = []
    for reading, half in sorted(readings, key=lambda one: (one[0].event.created_at, one[0].span)):
        pool = waiting.setdefault(half.key, [])
        partner = min(
            (pair for pair in pool[-_MOST_LOOKED_AT:] if _meet(half, pair[1])),
            key=lambda pair: abs(half.met_at - pair[1].met_at),
            default=None,
        )
        if partner is None:
            pool.append((key_of(reading), half))
        else:
            pool.remove(partner)
            same.append((partner[0], key_of(reading)))
    return same


def _meet(half: Half, other: Half) -> bool:
    if half.is_usage == other.is_usage:
        return False
    usage, call = (half, other) if half.is_usage else (other, half)
    return -_CLOCK <= usage.met_at - call.met_at <= MEETING


# --- Twins -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Single:
    """A span without an answer's ID, and the scopes that have told of its call."""

    key: Key
    scopes: set[str]
    started: datetime
    ended: datetime
    failed: bool
    input: int


def _twins(readings: Sequence[Reading], rows: Iterable[SpanRow]) -> Same:
    known: dict[str, list[_Single]] = {}
    of_record: dict[object, set[str]] = {}
    for row in rows:
        told = row.told
        is_single = row.kind == Kind.CALL and told is not None and told.response is None
        if is_single and told is not None and row.meet_key is not None and row.record_id is not None:
            scopes = of_record.setdefault(row.record_id, set())
            scopes.add(told.scope)
            times = EPOCH + timedelta(seconds=told.started), EPOCH + timedelta(seconds=told.ended)
            one = _Single(row.key, scopes, *times, told.failed, told.input_tokens)
            known.setdefault(row.meet_key, []).append(one)
    same: Same = []
    for reading in sorted(readings, key=lambda one: (one.event.created_at, one.span)):
        event = reading.event
        new = _Single(
            key_of(reading), {reading.scope}, event.created_at, reading.ended_at,
            event.status is Status.ERROR, event.input_tokens,
        )  # fmt: skip
        pool = known.setdefault(reading.twin_key, [])
        twin = min(
            (one for one in pool[-_MOST_LOOKED_AT:] if _are_twins(one, new)),
            key=lambda one: abs(one.ended - new.ended),
            default=None,
        )
        if twin is not None:
            same.append((twin.key, new.key))
            twin.scopes |= new.scopes
            new.scopes = twin.scopes
        pool.append(new)
    return same


def _are_twins(one: _Single, other: _Single) -> bool:
    if not one.scopes.isdisjoint(other.scopes) or one.failed != other.failed:
        return False
    if one.input and other.input and one.input != other.input:
        return False
    outer, inner = (one, other) if one.started <= other.started else (other, one)
    return inner.ended <= outer.ended + _SLACK and abs(one.ended - other.ended) <= _TWINS_END
