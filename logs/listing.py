"""The list of usage records: one page of a selection, at the same cost however deep and however rare."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from accounts.models import User
from logs import rollups
from logs.models import UsageRecord
from logs.querysets import any_range
from logs.selection import Selection
from routescope import keyset
from routescope.keyset import Cursor, Page


def page(user: User, selection: Selection, cursor: Cursor, size: int) -> Page[UsageRecord]:
    """Return a page of the user's records in a selection, newest first."""

    def fetch(cursor: Cursor, limit: int) -> Sequence[UsageRecord]:
        return _fetch(user, selection, cursor, limit)

    return keyset.page(fetch, cursor, size, key=lambda record: record.id)


def count_since(user: User, selection: Selection, since: UUID, most: int) -> int:
    """Return how many records of a selection are newer than one, counting to ``most`` at most."""
    newer = UsageRecord.objects.visible_to(user).filter(selection.condition, id__gt=since)
    return len(newer.newest(Cursor(newer=since), most).values_list("id"))


def _fetch(user: User, selection: Selection, cursor: Cursor, limit: int) -> Sequence[UsageRecord]:
    records = UsageRecord.objects.visible_to(user)
    named = records.select_related("token", "model", "group")
    if selection.bounds or not selection.dimensions:
        return list(named.within(selection.chosen).filter(selection.condition).newest(cursor, limit))
    stretches = rollups.hours_holding(user, selection, cursor, limit)
    if not stretches:
        return []
    # Two steps: the ids come from the index alone, which knows the dimensions; rows are read only for those
    # that are shown.
    ids = list(
        records.filter(any_range(stretches), selection.dimensions)
        .newest(cursor, limit)
        .values_list("id", flat=True)
    )
    rows = {record.id: record for record in named.filter(id__in=ids)}
    return [rows[identifier] for identifier in ids]
