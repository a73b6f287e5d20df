"""Everybody's records, for admins: pages at a bounded cost over any number of records.

The table has no index on ``id`` alone (see its migration), so pages go by ``(created_at, id)`` along the
index on the time. Filters are answered by the user-less rollups first: only hours that hold a match are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from accounts.models import User
from logs.models import UsageRecord
from logs.models.querysets import UsageRecordQuerySet
from logs.record.details import CALLED
from logs.rollups import everyones_sums
from logs.selection.chosen import Selection
from routescope.data import sparse
from routescope.data.ids import MILLISECOND, first_id, moment_of
from routescope.data.keyset import Cursor, Page
from routescope.data.ranges import TimeRange

_TICK = timedelta(microseconds=1)
_BULKY = ("parameters", "quantities", "billing", "attempts", "metadata", "error_message", "user_agent")
_Key = tuple[datetime, UUID]


def identified(identifier: str) -> Page[UsageRecord]:
    """Return the records of all time that carry a request ID, newest first.

    Ordered by an expression that no index has, on purpose: offered one, the planner walks it for the first
    hundred rows instead of looking the ID up.
    """
    rows = UsageRecord.objects.of_one_id(identifier)
    return Page(with_users(list(_named(rows))), older=None, newer=None)


def page(selection: Selection, cursor: Cursor, size: int) -> Page[UsageRecord]:
    """Return a page of everybody's records in a selection without tokens and bounds, newest first.

    Where matches are so rare that finding a full page would read too much, the page holds what was found, and
    ``older`` or ``newer`` goes on from where the search stopped. Raises ValueError for what no rollup knows.
    """
    if selection.tokens or selection.needs_records:
        raise ValueError("Everybody's records are not found by token or bounds: no rollup knows these.")
    edge = _edge(cursor)
    if edge is None:
        cursor = Cursor()
    newest_first = cursor.newer is None
    ahead = replace(selection, chosen=_ahead(selection.chosen, edge, newest_first))
    if selection.dimensions:
        stretches = everyones_sums.hours_holding(ahead, newest_first=newest_first, limit=size + 1)
    else:
        stretches = everyones_sums.Stretches([ahead.chosen], None)
    keys = _keys(ahead, stretches.ranges, edge, newest_first, size + 1)
    reached = None if stretches.reached is None else first_id(stretches.reached)
    found = sparse.page(keys, cursor, size, key=lambda key: key[1], reached=reached)
    first = sparse.in_place_of(found, cursor, size, lambda: page(selection, Cursor(), size))
    return first or Page(_rows(found.rows), found.older, found.newer)


def _edge(cursor: Cursor) -> _Key | None:
    """Return the key of the row that the cursor names; of its place in time, where that row is no more."""
    identifier = cursor.older or cursor.newer
    if identifier is None:
        return None
    try:
        found = UsageRecord.objects.by_id(identifier).values_list("created_at", flat=True)[:1]
        return (*found, moment_of(identifier))[0], identifier
    except OverflowError:  # A UUID whose time no calendar holds: none of ours.
        return None


def _ahead(chosen: TimeRange, edge: _Key | None, newest_first: bool) -> TimeRange:
    """Return the part of the range that lies on the cursor's far side, its own instant included.

    Not where a search stopped early, which is a bound between instants: with the hour that begins there, it
    would search that hour again, for ever.
    """
    if edge is None:
        return chosen
    moment, identifier = edge
    if not newest_first:
        return chosen.clipped(TimeRange(moment, None))
    return chosen.clipped(TimeRange(None, moment if identifier == first_id(moment) else moment + _TICK))


def _keys(
    selection: Selection, ranges: Sequence[TimeRange], edge: _Key | None, newest_first: bool, limit: int
) -> list[_Key]:
    """Return the keys of at most ``limit`` matches in disjoint ranges, nearest first.

    One subquery a range: conditions joined by OR would have the planner walk the index through the gaps.
    """
    order = ("-created_at", "-id") if newest_first else ("created_at", "id")
    past = _past(edge, newest_first)
    parts = [
        UsageRecord.objects.filter(_within(stretch), past, selection.dimensions)
        .order_by(*order)
        .values_list("created_at", "id")[:limit]
        for stretch in ranges
    ]
    if len(parts) < 2:
        return [key for part in parts for key in part]
    return list(parts[0].union(*parts[1:], all=True).order_by(*order)[:limit])


def _past(edge: _Key | None, newest_first: bool) -> Q:
    if edge is None:
        return Q()
    moment, identifier = edge
    if newest_first:
        return Q(created_at__lt=moment) | Q(created_at=moment, id__lt=identifier)
    return Q(created_at__gt=moment) | Q(created_at=moment, id__gt=identifier)


def _within(stretch: TimeRange) -> Q:
    """Return the condition on the time for the index, and on the id for the partitions.

    An id knows its time to the millisecond only, hence the wider bound.
    """
    condition = Q()
    if stretch.start is not None:
        condition &= Q(created_at__gte=stretch.start, id__gte=first_id(stretch.start))
    if stretch.end is not None:
        condition &= Q(created_at__lt=stretch.end, id__lt=first_id(stretch.end + MILLISECOND))
    return condition


def _rows(keys: Sequence[_Key]) -> Sequence[UsageRecord]:
    """Return the records with these keys, in their order."""
    if not keys:
        return []
    moments, ids = zip(*keys, strict=True)
    found = _named(UsageRecord.objects.filter(id__in=ids, created_at__in=moments))
    rows = {record.id: record for record in found}
    return with_users([rows[identifier] for identifier in ids])


def _named(records: UsageRecordQuerySet[UsageRecord]) -> UsageRecordQuerySet[UsageRecord]:
    """Join the names that a list shows, and leave out what only the record's own page does."""
    return records.select_related("model", *CALLED).defer(*_BULKY)


def with_users(records: Sequence[UsageRecord]) -> Sequence[UsageRecord]:
    """Give each record its user, by one query; a nameless one where the user is gone.

    Not joined: records outlive the rows they name, and a join on a column that is not null drops them.
    """
    users = User.objects.select_related("merged_into").in_bulk({record.user_id for record in records})
    for record in records:
        record.user = users.get(record.user_id) or User(pk=record.user_id)
    return records
