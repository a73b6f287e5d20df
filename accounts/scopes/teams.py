"""Which records of which people are a team's."""

from __future__ import annotations

from datetime import UTC, datetime

from accounts.models import Team, User
from routescope.data.ranges import TimeRange
from routescope.data.scopes import Window

_LATEST = datetime.max.replace(tzinfo=UTC)


def windows_of(team: Team) -> tuple[Window, ...]:
    """Return whose rows are a team's, and of what time. No row is in two windows.

    Those of users who were merged into a member are the member's, as everywhere.
    """
    meant: dict[int, list[TimeRange]] = {}
    for row in team.memberships.select_related("user").order_by("since", "pk"):
        meant.setdefault(row.user.canonical_id, []).append(TimeRange(row.begins, row.until))
    ids = {head: [head] for head in meant}
    for one in User.objects.filter(merged_into__any=list(meant)).only("merged_into").order_by("pk"):
        ids[one.canonical_id].append(one.pk)
    return tuple(
        Window(user_id, within)
        for head, ranges in meant.items()
        for within in _joined(ranges)
        for user_id in ids[head]
    )


def _joined(ranges: list[TimeRange]) -> list[TimeRange]:
    """Return ranges of time with those that overlap as one. All have a start."""
    found: list[TimeRange] = []
    for one in sorted(ranges, key=lambda one: (one.start or _LATEST, one.end or _LATEST)):
        last = found[-1] if found else None
        if last and one.start and (last.end is None or one.start <= last.end):
            end = None if last.end is None or one.end is None else max(last.end, one.end)
            found[-1] = TimeRange(last.start, end)
        else:
            found.append(one)
    return found
