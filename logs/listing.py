"""The list of usage records: one page of a selection, at the same cost however deep and however rare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import User
from logs import rollups
from logs.details import CALLED
from logs.models import UsageRecord
from logs.querysets import UsageRecordQuerySet, any_range
from logs.rows import Listed
from logs.selection import Selection
from routescope import keyset
from routescope.ids import first_id
from routescope.keyset import Cursor, Page
from routescope.ranges import TimeRange


def page(user: User, selection: Selection, cursor: Cursor, size: int) -> Page[UsageRecord]:
    """Return a page of the user's records in a selection, newest first."""

    def fetch(cursor: Cursor, limit: int) -> Sequence[UsageRecord]:
        return list(_found(user, selection, cursor, limit).select_related("model", *CALLED))

    return keyset.page(fetch, cursor, size, key=lambda record: record.id)


def listed(user: User, selection: Selection, cursor: Cursor, size: int) -> Page[Listed]:
    """Return the same page, with no more of its records than a list shows."""

    def fetch(cursor: Cursor, limit: int) -> Sequence[Listed]:
        if not selection.is_filtered and len(user.ids) == 1:
            return _plain(user, selection.chosen, cursor, limit)
        return [
            Listed._make(row) for row in _found(user, selection, cursor, limit).values_list(*Listed._fields)
        ]

    return keyset.page(fetch, cursor, size, key=lambda record: record.id)


def _plain(user: User, chosen: TimeRange, cursor: Cursor, limit: int) -> list[Listed]:
    """Return the rows of a page without filters, the one that is opened most: without the ORM's own time."""
    conditions: list[str] = ["user_id = %s"]
    values: list[Any] = [user.pk]
    for sign, bound in (
        (">=", None if chosen.start is None else first_id(chosen.start)),
        ("<", None if chosen.end is None else first_id(chosen.end)),
        (">", cursor.newer),
        ("<", None if cursor.newer else cursor.older),
    ):
        if bound is not None:
            conditions.append(f"id {sign} %s")
            values.append(bound)
    with connection.cursor() as database:
        database.execute(
            f"SELECT {', '.join(Listed._fields)} FROM usage_record WHERE {' AND '.join(conditions)}"  # noqa: S608
            f" ORDER BY id {'' if cursor.newer else 'DESC'} LIMIT %s",
            [*values, limit],
        )
        return [Listed._make(row) for row in database.fetchall()]


def count_since(user: User, selection: Selection, since: UUID, most: int) -> int:
    """Return how many records of a selection are newer than one, counting to ``most`` at most."""
    newer = UsageRecord.objects.visible_to(user).filter(selection.condition, id__gt=since)
    return len(newer.newest(Cursor(newer=since), most).values_list("id"))


def _found(user: User, selection: Selection, cursor: Cursor, limit: int) -> UsageRecordQuerySet[UsageRecord]:
    """Return the rows of a page, nearest to the cursor first."""
    records = UsageRecord.objects.visible_to(user)
    if selection.bounds or not selection.dimensions:
        return records.within(selection.chosen).filter(selection.condition).newest(cursor, limit)
    stretches = rollups.hours_holding(user, selection, cursor, limit)
    if not stretches:
        return records.none()
    # Two steps: the ids come from the index alone, which knows the dimensions; rows are read only for those
    # that are shown.
    matching = records.filter(any_range(stretches), selection.dimensions)
    ids = list(matching.newest(cursor, limit).values_list("id", flat=True))
    return records.filter(id__in=ids).order_by("id" if cursor.newer else "-id")
