"""Reading usage records. Every query for a person starts at ``visible_to(user)``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Self, TypeVar
from uuid import UUID

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Cast

from routescope.data.ids import first_id, moment_of
from routescope.data.keyset import Cursor, nearest
from routescope.data.ranges import TimeRange
from routescope.text.identifiers import former, kept

if TYPE_CHECKING:
    from accounts.models import User

TOKENS = Cast("input_tokens", models.BigIntegerField()) + F("output_tokens")
"""Input and output together: the sum of two that just fit their columns does not fit theirs."""

_Record = TypeVar("_Record", bound=models.Model)


class UsageRecordQuerySet(models.QuerySet[_Record]):
    _owners: tuple[int, ...] = ()

    def visible_to(self, user: User) -> Self:
        """Return the user's own records, and nobody else's. Admins see others' through the Django admin.

        Those of users who were merged into this one are the user's own.
        """
        mine = self.filter(user_id__in=user.ids)
        mine._owners = user.ids
        return mine

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]
        clone._owners = self._owners
        return clone

    def within(self, chosen: TimeRange) -> Self:
        """Return the records of a range of time, as a range of ids: other partitions are not touched."""
        return self.filter(id_range(chosen))

    def identified_by(self, identifier: str) -> Self:
        """Return the records, of all time, that carry this request ID, ours or the provider's."""
        identifier = kept(identifier)
        found = Q(request_id=identifier) | Q(upstream_request_id=identifier)
        if cut := former(identifier):
            found |= Q(request_id=cut)
        return self.filter(found)

    def by_id(self, identifier: UUID) -> Self:
        """Return the one record with this id, of whichever user, through the index on its time."""
        moment = moment_of(identifier)
        return self.filter(
            id=identifier, created_at__gte=moment, created_at__lt=moment + timedelta(milliseconds=1)
        )

    def newest(self, cursor: Cursor, limit: int) -> Self:
        """Return at most ``limit`` rows from the cursor on, nearest first."""
        return nearest(self, cursor, limit, self._owners)


def id_range(chosen: TimeRange) -> Q:
    """Return the condition that a record's time is in the range."""
    condition = Q()
    if chosen.start is not None:
        condition &= Q(id__gte=first_id(chosen.start))
    if chosen.end is not None:
        condition &= Q(id__lt=first_id(chosen.end))
    return condition


def any_range(stretches: Sequence[TimeRange]) -> Q:
    """Return the condition that a record's time is in one of the ranges. There must be at least one."""
    condition = id_range(stretches[0])
    for stretch in stretches[1:]:
        condition |= id_range(stretch)
    return condition
