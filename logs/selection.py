"""What a person has chosen to see, as conditions on records and on sums alike."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Q

from routescope.ranges import TimeRange


@dataclass(frozen=True, slots=True)
class Selection:
    """A range of time and, per dimension, the values chosen. An empty tuple chooses everything.

    Every list, sum, chart and breakdown of a page is made from one selection, so they agree. ``bounds`` is
    what no rollup knows (thresholds, stream, endpoint): with it, sums are made from the records themselves.
    """

    chosen: TimeRange = field(default_factory=TimeRange)
    tokens: tuple[int, ...] = ()
    models: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    statuses: tuple[int, ...] = ()
    types: tuple[int, ...] = ()
    causes: tuple[int, ...] = ()
    bounds: Q = field(default_factory=Q)

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
            condition &= Q(**{f"{column}__in": values})
        return condition

    @property
    def is_filtered(self) -> bool:
        """Whether anything but the time is chosen."""
        return bool(self.condition)

    @property
    def condition(self) -> Q:
        """The condition on records without the time: dimensions and bounds."""
        return self.dimensions & self.bounds
