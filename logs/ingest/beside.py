"""What is kept beside records for them to be found by: further IDs, tags and metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from uuid import UUID

from logs.models import UsageRecord, further_ids, marks, offered
from logs.models.events import UsageEvent
from logs.models.further_ids import TABLE as FURTHER_IDS
from logs.models.marks import SESSION
from logs.models.marks import TABLE as MARKS
from routescope.data import partitions
from routescope.data.partitions import Month

_Key = tuple[int, bytes]
"""User and id of a record."""


@dataclass(slots=True)
class Beside:
    """By records' ids: the digests of their further IDs and of their marks. Most have neither.

    ``told`` is which values a page may offer, with the last day of each.
    """

    further: dict[bytes, set[int]] = field(default_factory=dict)
    marks: dict[bytes, set[int]] = field(default_factory=dict)
    told: dict[offered.Told, date] = field(default_factory=dict)

    def note(self, identifier: bytes, user_id: int, event: UsageEvent) -> None:
        """Note what is to be kept of a new record."""
        if not event.metadata:
            return
        own = (event.request_id, event.upstream_request_id)
        if digests := further_ids.digests_of(event.metadata, own):
            self.further[identifier] = digests
        if digests := self.digests_of(user_id, event):
            self.marks[identifier] = digests

    def digests_of(self, user_id: int, event: UsageEvent) -> set[int]:
        """Return the digests of an event's marks, and note which values they are of."""
        facets = marks.facets_of(event.metadata)
        if not facets:
            return set()
        day = event.created_at.astimezone(UTC).date()
        for key, value in facets:
            for owner in (user_id, offered.EVERYONE):
                # Each session is another one: none is offered to choose.
                one = (owner, key, "" if key == SESSION else value)
                if one not in self.told or self.told[one] < day:
                    self.told[one] = day
        return marks.digests_of(facets)

    def prepare(self, months: Iterable[Month]) -> None:
        """See that the partitions are there, and what is offered is kept: before the records are."""
        if self.further:
            partitions.ensure(FURTHER_IDS, months)
        if self.marks:
            partitions.ensure(MARKS, months)
            offered.keep(self.told)

    def write(self, fresh: Iterable[_Key]) -> None:
        """Write what these records have, in the caller's transaction."""
        for known, add in ((self.further, further_ids.add), (self.marks, marks.add)):
            if known:
                add(
                    (digest, user_id, UUID(bytes=identifier))
                    for user_id, identifier in fresh
                    for digest in known.get(identifier, ())
                )


def completed(
    completions: Sequence[tuple[UsageRecord, UsageEvent]],
    places: Mapping[UUID, tuple[UUID, int]],
    months: Iterable[Month],
) -> None:
    """Keep what records are found by once they say more; ``places`` are their new ids and users."""
    months = set(months)
    partitions.ensure(FURTHER_IDS, months)
    further_ids.add(
        (digest, user_id, new_id)
        for record, event in completions
        for new_id, user_id in [places[record.pk]]
        for digest in further_ids.digests_of(event.metadata, (event.request_id, event.upstream_request_id))
        | ({further_ids.digest_of(record.request_id)} if record.request_id != event.request_id else set())
    )
    taken_away(record for record, _event in completions)
    found = Beside()
    for record, event in completions:
        new_id, user_id = places[record.pk]
        if digests := found.digests_of(user_id, event):
            found.marks[new_id.bytes] = digests
    found.prepare(months)
    found.write([(user_id, new_id.bytes) for new_id, user_id in places.values()])


def taken_away(records: Iterable[UsageRecord]) -> None:
    """Take the marks of records away, in the caller's transaction, as they are before they change or go."""
    marks.delete(
        (digest, record.user_id, record.pk)
        for record in records
        for digest in marks.digests_of(marks.facets_of(record.metadata))
    )
