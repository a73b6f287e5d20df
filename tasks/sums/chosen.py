"""What a person has chosen to see of tasks, as conditions on tasks and on counts alike."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Q

from routescope.data.ranges import TimeRange

_CHOSEN_IN = {
    "status": "statuses",
    "type": "types",
    "platform": "platforms",
    "token_id": "tokens",
    "model_id": "models",
    "group_id": "groups",
    "cause": "causes",
}


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
        chosen = ((column, getattr(self, name)) for column, name in _CHOSEN_IN.items())
        return [(column, values) for column, values in chosen if values]

    def without(self, column: str) -> Selection:
        """Return what would be selected if nothing were chosen in a column."""
        off: dict[str, Any] = {_CHOSEN_IN[column]: ()}
        return replace(self, **off)

    @property
    def dimensions(self) -> Q:
        """The condition without the time."""
        condition = Q()
        for column, values in self.chosen_values:
            condition &= Q(**{f"{column}__in": values})
        return condition
