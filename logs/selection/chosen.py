"""What a person has chosen to see, as conditions on records and on sums alike."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from logs.models.marks import marked
from routescope.data.ids import moment_of
from routescope.data.ranges import TimeRange

NONE = 0
"""Stands among the tokens, models or groups of a selection for records without one, as in the rollups."""


def is_of_none(column: str, values: tuple[int, ...]) -> bool:
    """Return whether records without a token, model or group are among those that values choose."""
    return NONE in values and column in ("token_id", "model_id", "group_id")


@dataclass(frozen=True, slots=True)
class IdSpan:
    """A half-open range of ids, ``first <= id < last``."""

    first: UUID
    last: UUID


@dataclass(frozen=True, slots=True)
class Looked:
    """The records among which a selection with bounds was looked for (`logs.selection.lookback`), nearest
    first.

    ``records`` is how many they were and ``reached`` the last of them, where the range goes on; None where
    all of it was looked at, and nothing needs to be said. ``is_dense``: most records of the spans are meant.
    ``led_by`` are the marks by which they were found (`logs.selection.by_marks`): those with one of them.
    """

    spans: tuple[IdSpan, ...]
    records: int = 0
    reached: UUID | None = None
    is_dense: bool = False
    led_by: tuple[int, ...] = ()

    @property
    def back_to(self) -> datetime | None:
        """The time (UTC) up to which was looked; None where all of the range was."""
        return None if self.reached is None else moment_of(self.reached)

    def before(self, identifier: UUID) -> Looked:
        """Return what lies before an id, in time, of the same records."""
        return self._clipped(IdSpan(UUID(int=0), identifier))

    def after(self, identifier: UUID) -> Looked:
        """Return what lies after an id of the same records."""
        return self._clipped(IdSpan(UUID(int=identifier.int + 1), UUID(int=2**128 - 1)))

    def _clipped(self, within: IdSpan) -> Looked:
        spans = (IdSpan(max(span.first, within.first), min(span.last, within.last)) for span in self.spans)
        return replace(self, spans=tuple(span for span in spans if span.first < span.last))


@dataclass(frozen=True, slots=True)
class Selection:
    """A range of time and, per dimension, the values chosen. An empty tuple chooses everything.

    Every list, sum, chart and breakdown of a page is made from one selection, so they agree. ``bounds`` is
    what no rollup knows (thresholds, stream, endpoint, estimates): with it, sums are made from the records
    themselves, from those that were ``looked`` at. ``least`` are its lower thresholds once more, by the bound
    of a sum (``max_cost`` …) that must reach them: a sum whose bound does not holds no such record.

    ``marks`` are tags and metadata (`logs.models.marks`): a record has one of each. ``is_by_record``: sums
    are made from the records although no filter asks for that.
    """

    chosen: TimeRange = field(default_factory=TimeRange)
    tokens: tuple[int, ...] = ()
    models: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    statuses: tuple[int, ...] = ()
    types: tuple[int, ...] = ()
    causes: tuple[int, ...] = ()
    bounds: Q = field(default_factory=Q)
    least: tuple[tuple[str, Decimal], ...] = ()
    looked: Looked | None = None
    marks: tuple[tuple[int, ...], ...] = ()
    is_by_record: bool = False

    @property
    def needs_records(self) -> bool:
        """Whether only the records themselves can tell what is selected, or is asked of it."""
        return bool(self.bounds or self.marks or self.is_by_record)

    @property
    def told_by_records(self) -> Q:
        """The condition that only records can answer."""
        condition = self.bounds
        for several in self.marks:
            condition &= marked(several)
        return condition

    @property
    def covered(self) -> TimeRange:
        """The range that sums, chart and breakdown are of: the part of the one chosen that was looked at."""
        if self.looked is None or self.looked.back_to is None:
            return self.chosen
        return TimeRange(self.looked.back_to, self.chosen.end)

    @property
    def chosen_values(self) -> list[tuple[str, tuple[int, ...]]]:
        """The columns in which something is chosen, and what. Records and rollups name them alike."""
        columns = (
            ("token_id", self.tokens),
            ("model_id", self.models),
            ("group_id", self.groups),
            ("status", self.statuses),
            ("type", self.types),
            ("cause", self.causes),
        )
        return [(column, values) for column, values in columns if values]

    @property
    def dimensions(self) -> Q:
        """The condition without the time."""
        condition = Q()
        for column, values in self.chosen_values:
            meant = Q(**{f"{column}__in": values})
            if is_of_none(column, values):
                # Records have no value there, rollups a 0: either leaves the other's condition unmet.
                meant |= Q(**{f"{column}__isnull": True})
            condition &= meant
        return condition

    @property
    def is_filtered(self) -> bool:
        """Whether anything but the time is chosen."""
        return self.needs_records or bool(self.dimensions)

    @property
    def condition(self) -> Q:
        """The condition on records without the time: dimensions, bounds and marks."""
        return self.dimensions & self.told_by_records
