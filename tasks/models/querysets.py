"""Reading tasks. Every query for a person starts at ``visible_to(user)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.db import models
from django.db.models import Q

from routescope.data.ids import first_id
from routescope.data.keyset import Cursor, nearest
from routescope.data.ranges import TimeRange
from routescope.text.identifiers import kept

if TYPE_CHECKING:
    from accounts.models import User
    from tasks.models import AsyncTask  # noqa: F401  # named by the manager's type

_Model = TypeVar("_Model", bound=models.Model)


class AsyncTaskQuerySet(models.QuerySet[_Model]):
    _owners: tuple[int, ...] = ()

    def visible_to(self, user: User) -> AsyncTaskQuerySet[_Model]:
        """Return the user's own tasks and those of users merged into this one, and nobody else's."""
        mine = self.filter(user_id__in=user.ids)
        mine._owners = user.ids
        return mine

    def _clone(self) -> AsyncTaskQuerySet[_Model]:
        clone: AsyncTaskQuerySet[_Model] = super()._clone()  # type: ignore[misc]
        clone._owners = self._owners
        return clone

    def within(self, chosen: TimeRange) -> AsyncTaskQuerySet[_Model]:
        """Return the tasks submitted in a range of time."""
        rows = self
        if chosen.start is not None:
            rows = rows.filter(id__gte=first_id(chosen.start))
        if chosen.end is not None:
            rows = rows.filter(id__lt=first_id(chosen.end))
        return rows

    def identified_by(self, identifier: str) -> AsyncTaskQuerySet[_Model]:
        """Return the tasks, of all time, with this task ID, provider's task ID or request ID."""
        identifier = kept(identifier)
        return self.filter(
            Q(task_id=identifier)
            | Q(provider_task_id=identifier, provider_task_id__gt="")
            | Q(request_id=identifier, request_id__gt="")
        )

    def newest(self, cursor: Cursor, limit: int) -> AsyncTaskQuerySet[_Model]:
        """Return at most ``limit`` rows from the cursor on, nearest first."""
        return nearest(self, cursor, limit, self._owners)


class AsyncTaskManager(models.Manager["AsyncTask"].from_queryset(AsyncTaskQuerySet["AsyncTask"])):  # type: ignore[misc]
    pass
