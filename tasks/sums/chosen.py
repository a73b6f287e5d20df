"""What a person has chosen to see of tasks, as conditions on tasks and on counts alike."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Q

from routescope.data.ranges import TimeRange


@dataclass(frozen=True, slots=True)
class Selection:
    """A range of time and, per dimension, the values chosen. An empty tuple chooses everything.

    List and counts of a page are made from one selection, so they agree.
    """

    chosen: TimeRange = field(default_factory=TimeRange)
    statuses: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()
    models: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    causes: tuple[str, ...] = ()

    @property
    def chosen_values(self) -> list[tuple[str, tuple[str, ...] | tuple[int, ...]]]:
        """The columns in which something is chosen, and what. Tasks and counts name them alike."""
        columns: tuple[tuple[str, tuple[str, ...] | tuple[int, ...]], ...] = (
            ("status", self.statuses),
            ("type", self.types),
            ("platform", self.platforms),
            ("token_id", self.tokens),
            ("model_id", self.models),
            ("group_id", self.groups),
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
