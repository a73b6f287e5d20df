"""Rows that are each somebody's, with ids that sort by time: a person's own, by range, by ID, by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, TypeVar

from django.db import models
from django.db.models import Q

from routescope.data.keyset import Cursor, nearest
from routescope.data.ranges import TimeRange
from routescope.data.scopes import Scope, id_range

MOST_OF_ONE_ID = 100
"""Rows that share one ID: a call with its refunds and adjustments, or the tasks that one request submitted.
More is no ID of one piece of work.
"""

_Model = TypeVar("_Model", bound=models.Model)


class OwnedQuerySet(models.QuerySet[_Model]):
    """Every query for a person starts at ``visible_to(scope)``."""

    _scope: Scope | None = None

    def visible_to(self, scope: Scope) -> Self:
        """Return the rows that a scope holds, and no others.

        Those of users who were merged into one are that one's own.
        """
        seen = self.filter(scope.condition)
        seen._scope = scope
        return seen

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]
        clone._scope = self._scope
        return clone

    def _unquote(self, row: _Model) -> None:
        """Take of a row, which is not saved then, what may quote what was sent or answered,
        and what tells of a person rather than of their call.
        """

    def _fetch_all(self) -> None:
        is_new = self._result_cache is None
        super()._fetch_all()
        if is_new and self._scope is not None and self._scope.is_without_content:
            for row in self._result_cache or ():
                if isinstance(row, models.Model):
                    self._unquote(row)

    def within(self, chosen: TimeRange) -> Self:
        """Return the rows of a range of time, as a range of ids: other partitions are not touched."""
        return self.filter(id_range(chosen))

    def identified_by(self, identifier: str) -> Self:
        """Return the rows, of all time, that carry an ID."""
        raise NotImplementedError

    def of_one_id(self, identifier: str) -> Self:
        """Return the newest rows that carry an ID, at most ``MOST_OF_ONE_ID``."""
        return self.identified_by(identifier).order_by("-id")[:MOST_OF_ONE_ID]

    def resembling(self, column: str, ends: tuple[str, str], among: int, most: int) -> list[str]:
        """Return the IDs in a column, newest first, that begin and end so: of the newest ``among`` rows.

        No index knows them, so that many rows are read.
        """
        beginning, end = ends
        alike = (
            one
            for one in self.newest(Cursor(), among).values_list(column, flat=True)
            if one.startswith(beginning) and one.endswith(end)
        )
        return list(dict.fromkeys(alike))[:most]

    def newest(self, cursor: Cursor, limit: int) -> Self:
        """Return at most ``limit`` rows from the cursor on, nearest first."""
        return nearest(self, cursor, limit, self._scope)


def any_range(stretches: Sequence[TimeRange]) -> Q:
    """Return the condition that a row's time is in one of the ranges. There must be at least one."""
    condition = id_range(stretches[0])
    for stretch in stretches[1:]:
        condition |= id_range(stretch)
    return condition
