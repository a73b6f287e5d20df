"""Putting together what is one call: the spans of a request, those of before, and stored records.

What the evidence says are pairs (`logs.ingest.calls.evidence`, `twins`, `ancestry`); a unit is what they
connect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from accounts.models import Gateway
from logs.ingest.calls import ancestry, evidence, merging, span_rows, twins
from logs.ingest.calls.ancestry import Fact, Key
from logs.ingest.calls.evidence import Same, key_of
from logs.ingest.calls.merging import Counted
from logs.ingest.calls.span_rows import Kind, SpanRow
from logs.ingest.formats.otlp import Link
from logs.ingest.formats.spans.reading import Reading
from logs.models import UsageRecord
from logs.models.further_ids import digest_of

_RECORD = "record"
_MOST_OF_CALL = 20
"""Spans of one call that are compared: it is told by two or three."""


@dataclass(slots=True)
class Unit:
    """One call: its new spans with their places in the request, those of before, and its records.

    More than one record are to become one; none is to be made. ``is_stripped``: a span that was taken for
    this call is none of it.
    """

    parts: list[tuple[int, Reading]] = field(default_factory=list)
    rows: list[SpanRow] = field(default_factory=list)
    records: list[UsageRecord] = field(default_factory=list)
    is_stripped: bool = False


@dataclass(slots=True)
class FoundCalls:
    """``aggregates`` are new spans that are no calls; ``stripped`` ones of before that turned out to be none.

    ``known`` are the spans that were here, by their keys, ``depths`` how many calls lie around each.
    """

    units: list[Unit]
    aggregates: list[Reading]
    stripped: list[SpanRow]
    orphans: list[UsageRecord]
    known: dict[Key, SpanRow]
    depths: dict[Key, int]
    duplicates: int


class _Sets:
    """Which keys are one by pairs of them."""

    def __init__(self, pairs: Iterable[tuple[Key, Key]]) -> None:
        self._of: dict[Key, Key] = {}
        for one, other in pairs:
            first, second = self.of(one), self.of(other)
            if first != second:
                self._of[max(first, second)] = min(first, second)

    def of(self, key: Key) -> Key:
        """Return the one that stands for all that are the same."""
        found = key
        while (above := self._of.get(found, found)) != found:
            found = above
        while key != found:
            self._of[key], key = found, self._of.get(key, found)
        return found


def find(gateway: Gateway, readings: Sequence[tuple[int, Reading]], links: Sequence[Link]) -> FoundCalls:
    """Return the calls that a request tells of, and what of before they change."""
    traces = {reading.trace_id for _, reading in readings} | {link.trace_id for link in links}
    known = span_rows.of_traces(gateway.pk, traces)
    fresh: dict[Key, tuple[int, Reading]] = {}
    namesakes: list[tuple[int, Reading]] = []
    duplicates = 0
    for index, reading in readings:
        row = known.get(key_of(reading))
        if row is not None and row.kind != Kind.LINK:
            duplicates += 1
        elif (first := fresh.setdefault(key_of(reading), (index, reading))[1]) is not reading:
            # Sent twice, or another call's by an exporter that gives several spans one ID.
            is_other = first.event.created_at != reading.event.created_at
            namesakes += [(index, reading)] if is_other else []
            duplicates += not is_other
    new = [reading for _, reading in fresh.values()]
    same, records = evidence.by_ids(gateway, new)
    found_met, looked_at = twins.by_meeting(gateway, new)
    same += found_met
    met = set(found_met)
    met_keys = {key for pair in met for key in pair}
    rows = {**{key: row for key, row in looked_at.items() if key in met_keys}, **known}
    calls = {key: row for key, row in rows.items() if row.kind != Kind.LINK and row.record_id is not None}

    facts = {key: fact_of(row.told, key) for key, row in calls.items() if row.told is not None}
    facts |= {key_of(reading): fact_of(told_by(reading), key_of(reading)) for reading in new}
    parents = {key: row.parent for key, row in rows.items()}
    parents |= {(link.trace_id, link.span_id): (link.trace_id, link.parent_id) for link in links}
    parents |= {key_of(reading): parent_of(reading) for reading in new}
    # Of spans that lie in each other more is known than that they are of one time.
    same = [pair for pair in same if pair not in met or not ancestry.are_nested(*pair, parents)]
    related = ancestry.related(
        facts,
        parents,
        _apart_from_ancestry(same, calls, facts, parents),
        {key: row.record_id for key, row in calls.items()},
    )
    same += [(key, _record_of(row)) for key, row in calls.items()]
    found = _put_together(fresh, calls, records, same, related, known, duplicates)
    found.units += [Unit(parts=[part]) for part in namesakes]
    return found


def _apart_from_ancestry(
    same: Same,
    calls: Mapping[Key, SpanRow],
    facts: Mapping[Key, Fact],
    parents: Mapping[Key, Key | None],
) -> dict[Key, Key]:
    """Return of each call which one stands for those that are the same, whatever their ancestry says.

    Spans of before that lie in each other and made one record are only so where the answer's ID says it.
    """
    of_record: dict[Key, list[Key]] = {}
    for key, row in calls.items():
        of_record.setdefault(_record_of(row), []).append(key)

    def are_named(one: Key, other: Key) -> bool:
        response = facts[one].response if one in facts else None
        return response is not None and other in facts and facts[other].response == response

    pairs = [pair for pair in same if _RECORD not in (pair[0][0], pair[1][0])]
    for keys in of_record.values():
        for one, other in combinations(keys[:_MOST_OF_CALL], 2):
            if are_named(one, other) or not ancestry.are_nested(one, other, parents):
                pairs.append((one, other))
    for record, new in same:
        # What an ID led to a record by is one with the span there that has this ID.
        pairs += [(key, new) for key in of_record.get(record, ())[:_MOST_OF_CALL] if are_named(key, new)]
    sets = _Sets(pairs)
    return {key: sets.of(key) for key in facts}


def _put_together(
    fresh: Mapping[Key, tuple[int, Reading]],
    calls: Mapping[Key, SpanRow],
    records: Sequence[UsageRecord],
    same: Same,
    related: ancestry.Related,
    known: dict[Key, SpanRow],
    duplicates: int,
) -> FoundCalls:
    aggregates = related.aggregates
    pairs = [pair for pair in same if aggregates.isdisjoint(pair)]
    pairs += [pair for pair in related.same if aggregates.isdisjoint(pair)]
    sets = _Sets(pairs)
    loaded = {evidence.record_key(record): record for record in records}
    members: dict[Key, list[Key]] = {}
    every = [*fresh, *calls, *loaded, *map(_record_of, calls.values())]
    for key in dict.fromkeys(key for key in every if key not in aggregates):
        members.setdefault(sets.of(key), []).append(key)
    stripped = [calls[key] for key in aggregates if key in calls]
    lost = {_record_of(row): row.key[0] for row in stripped}
    units = []
    orphans: list[Key] = []
    for keys in members.values():
        of_records = [key for key in keys if key[0] == _RECORD]
        spans = [key for key in keys if key[0] != _RECORD]
        if not spans:
            orphans += [key for key in of_records if key in lost]
            continue
        is_stripped = any(key in lost for key in of_records)
        if any(key in fresh for key in spans) or len(of_records) > 1 or is_stripped:
            units.append((spans, of_records, is_stripped))
    # What was made of an aggregate alone becomes the record of a call within it that has none yet.
    for spans, of_records, _ in units:
        traces = {trace for trace, _ in spans}
        orphan = next((key for key in orphans if lost[key] in traces), None) if not of_records else None
        if orphan is not None:
            orphans.remove(orphan)
            of_records.append(orphan)
    loaded |= _load(
        {key for _, found, _ in units for key in found} | set(orphans), loaded, calls.values(), stripped
    )
    return FoundCalls(
        units=[
            Unit(
                parts=[fresh[key] for key in spans if key in fresh],
                rows=[calls[key] for key in spans if key in calls],
                records=[loaded[key] for key in of_records if key in loaded],
                is_stripped=any(key in lost for key in of_records),
            )
            for spans, of_records, _ in units
        ],
        aggregates=[fresh[key][1] for key in aggregates if key in fresh],
        stripped=stripped,
        orphans=[loaded[key] for key in orphans if key in loaded],
        known=known,
        depths=related.depths,
        duplicates=duplicates,
    )


def _load(
    wanted: set[Key], loaded: Mapping[Key, UsageRecord], rows: Iterable[SpanRow], further: Iterable[SpanRow]
) -> dict[Key, UsageRecord]:
    """Return the records that are not loaded yet, locked."""
    places = {
        row.record_id: row.user_id
        for row in (*rows, *further)
        if row.record_id and _record_of(row) in wanted and _record_of(row) not in loaded
    }
    if not places:
        return {}
    found = (
        UsageRecord.objects.select_related("model")
        .select_for_update(of=("self",))
        .filter(user_id__in=set(places.values()), id__in=list(places))
    )
    return {evidence.record_key(record): record for record in found.order_by("id")}


def told_by(reading: Reading) -> Counted:
    """Return what a span counts, as it is kept."""
    response = f"{digest_of(reading.event.request_id):x}" if reading.has_response_id else None
    return merging.counted(reading.event, reading.scope, response)


def parent_of(reading: Reading) -> Key | None:
    return (reading.trace_id, reading.parent_id) if len(reading.parent_id) == 16 else None


def fact_of(told: Counted, key: Key) -> Fact:
    """Return what its ancestry is judged by."""
    return Fact(
        key=key,
        failed=told.failed,
        started=told.started,
        ended=told.ended,
        response=told.response,
        input=told.input_tokens,
        output=told.output_tokens,
    )


def _record_of(row: SpanRow) -> Key:
    """Return what stands for a stored call's record among the keys of spans."""
    return (_RECORD, row.record_id.hex if row.record_id else "")
