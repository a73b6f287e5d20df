"""The dearest, slowest and largest records of a selection, without an index on any of these.

Each sum knows what no record in it exceeds (`logs.rollups.bounds`), so that the search begins where the
largest may be, and ends where what was found beats all that is left:

1. The sums of days in the order of their bounds, some at a time; then those of these days' hours.
2. The records of the first hours' sums: their ids from the index, then their rows.
3. As long as a sum that was not read may hold something larger: on with it, twice as far.

A bound may be too high, and a filter that no rollup knows may leave little of what is read. So a search ends
after `MOST_RECORDS` in any case, and then gives only what is certain: each record that it returns is in its
place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection, models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from logs.selection import conditions, lookback
from logs.selection.chosen import Selection
from logs.selection.conditions import Sql
from routescope.data.ids import first_id
from routescope.data.partitions import Month
from routescope.data.ranges import DAY, HOUR, TimeRange, floor
from routescope.data.scopes import Scope

MOST_RECORDS = 20_000
"""Records that one search reads. See `logs.selection.lookback.MOST_RECORDS`."""
MOST_ENTRIES = 1_000_000
"""Entries of the index that are walked to find them: some 0.3 s, for a page far down a month of that size."""
MOST_OF_ONE = 100_000
"""Records that the first sum may hold: it is read whatever it costs, or nothing would be found."""
_MOST_ROUNDS = 12
_KEY = ("token_id", "model_id", "group_id", "type", "status", "cause")
"""What tells a user's sums of one period apart. Everybody's are by all but the token."""
_EVERYONE = 0
"""Stands for the user in everybody's sums, as for the token."""


class Sort(models.TextChoices):
    """What a list is sorted by, the largest first."""

    COST = "cost", _("Cost")
    DURATION = "duration", _("Duration")
    TOKENS = "tokens", _("Tokens")


_VALUES = {
    Sort.COST: "cost",
    Sort.DURATION: "duration_ms",
    Sort.TOKENS: "input_tokens::bigint + output_tokens",
}
_BOUNDS = {Sort.COST: "max_cost", Sort.DURATION: "max_duration_ms", Sort.TOKENS: "max_tokens"}


class Place(NamedTuple):
    """Where a record stands: by its value (USD, ms or tokens), of equals the newer one first."""

    value: Decimal
    id: UUID


@dataclass(slots=True)
class Ranked:
    """``places`` from the cursor on, in its direction, and by id whose they are; ``ahead`` is how many
    records stand before them: up to the cursor and with its own, upwards without.

    ``is_whole``: the search saw enough. Otherwise it ended after it had ``read`` so many records.
    """

    places: list[Place] = field(default_factory=list)
    owners: dict[UUID, int] = field(default_factory=dict)
    ahead: int = 0
    read: int = 0
    is_whole: bool = True


def largest(
    scope: Scope,
    selection: Selection,
    sort: Sort,
    limit: int,
    *,
    after: Place | None = None,
    up: bool = False,
) -> Ranked:
    """Return the ``limit`` largest records of a selection that have such a value: after a place, or of all.

    With ``up`` those before the place, nearest first.
    """
    try:
        search = _Search(scope, selection, sort, limit, after, up)
    except EmptyResultSet:  # a threshold beyond what its column holds
        return Ranked()
    search.run()
    return search.found


class _Cell(NamedTuple):
    """A sum, and the place below which all its records stand."""

    below: Place
    user_id: int
    start: datetime
    key: tuple[int, ...]
    records: int

    @property
    def is_of_everyone(self) -> bool:
        """Whether it is everybody's, of which the users' own are still to be found."""
        return self.user_id == _EVERYONE


class _Search:
    def __init__(
        self, scope: Scope, selection: Selection, sort: Sort, limit: int, after: Place | None, up: bool
    ) -> None:
        self.found = Ranked()
        self._scope, self._sort, self._limit, self._after, self._up = scope, sort, limit, after, up
        # Sums outlive their records.
        kept = TimeRange(Month.of(timezone.now()).plus(-settings.RECORD_RETENTION_MONTHS).start, None)
        self._within = selection.chosen.clipped(kept)
        self._dimensions = conditions.dimensions(selection)
        self._reached = conditions.reached(selection)
        self._bounds = conditions.bounds(selection.told_by_records)
        self._days_seen = 0
        self._unseen: Place | None = None
        self._waiting: list[_Cell] = []
        self._entries = 0

    def run(self) -> None:
        lookback.steady()
        some = at_once = self._limit
        for _round in range(_MOST_ROUNDS):
            self._see(some)
            self._find_users(at_once)
            while not self._is_done and (batch := self._next(at_once)):
                if not self._read(batch):
                    break
                at_once *= 2
                self._find_users(at_once)
            if self._is_done:
                return
            if self._next(1):
                break
            some *= 2
        self._keep_what_is_certain()

    @property
    def _left(self) -> Place | None:
        """The place below which everything stands that was not read; None where all was."""
        places = [cell.below for cell in self._waiting[:1]]
        if self._unseen is not None:
            places.append(self._unseen)
        return max(places, default=None)

    @property
    def _is_done(self) -> bool:
        left, places = self._left, self.found.places
        if left is None:
            return True
        if self._up:
            return self._after is not None and left <= self._after
        return len(places) >= self._limit and places[self._limit - 1] >= left

    def _keep_what_is_certain(self) -> None:
        left = self._left
        self.found.is_whole = False
        # Upwards the nearest come first: one that was not read may stand between any of them.
        self.found.places = [one for one in self.found.places if not self._up and left and one >= left]

    # --- Sums -----------------------------------------------------------------------------------------------

    def _see(self, some: int) -> None:
        """Take the next days, and let their hours wait to be read, in the order of their bounds."""
        bound, key = _BOUNDS[self._sort], ", ".join(_KEY)
        everyone = self._scope.is_everyone
        # Of everybody's neither the user nor the token is known.
        whose = (
            f"{_EVERYONE} AS user_id, start, {_EVERYONE} AS token_id"
            if everyone
            else "user_id, start, token_id"
        )
        by = key.removeprefix("token_id, ") if everyone else f"user_id, {key}"
        sums = f"{whose}, {key.removeprefix('token_id, ')}, sum(records)::bigint, max({bound})"
        times, moments = self._periods(DAY)
        dimensions, values = self._dimensions
        reached, least = self._reached
        # Of the whole sum: a row of what waits may change a price alone, and hold no record.
        held = f"sum(records) > 0 AND max({bound}) IS NOT NULL{reached}"
        meant, owners = self._whose()
        days = self._cells(
            f"SELECT {sums} AS bound FROM usage{'_total' if everyone else ''}_day"  # noqa: S608
            f" WHERE {meant}{times}{dimensions} GROUP BY start, {by} HAVING {held}"
            f" ORDER BY bound DESC, start DESC, {by} OFFSET %s LIMIT %s",
            [*owners, *moments, *values, *least, self._days_seen, some + 1],
            DAY,
        )
        self._unseen = days[some].below if len(days) > some else None
        days = days[:some]
        self._days_seen += len(days)
        times, moments = self._periods(HOUR)
        same = " AND ".join(f"{one} = day.{one}" for one in (_KEY[1:] if everyone else ("user_id", *_KEY)))
        hours = self._cells(
            f"SELECT hour.* FROM unnest(%s::integer[], %s::timestamptz[], {_ARRAYS})"  # noqa: S608
            f" AS day (user_id, start, {key})"
            f" CROSS JOIN LATERAL (SELECT {sums} FROM usage{'_total' if everyone else ''}_hour WHERE {same}"
            f" AND start >= day.start AND start < day.start + interval '24 hours'{times}"
            f" GROUP BY start, {by} HAVING {held}"
            " OFFSET 0) AS hour",
            [[day.user_id for day in days], [day.start for day in days], *_columns(days), *moments, *least],
            HOUR,
        )
        self._waiting = sorted([*self._waiting, *hours], reverse=True)

    def _whose(self) -> Sql:
        """Return the condition on the sums' users, and on the days of those who came or left."""
        scope = self._scope
        if scope.is_everyone:
            return "true", []
        if scope.is_whole:
            return "user_id = ANY(%s)", [list(scope.ids)]
        parts: list[str] = []
        values: list[Any] = []
        for share in scope.shares(self._within):
            since, until = share.within.start, share.within.end
            times = f"{' AND start >= %s' if since else ''}{' AND start < %s' if until else ''}"
            parts.append(f"user_id = ANY(%s){times}")
            values += [list(share.ids), *([floor(since, DAY)] if since else []), *([until] if until else [])]
        return f"({' OR '.join(parts)})" if parts else "false", values

    def _find_users(self, some: int) -> None:
        """See that the next sums to read are users': everybody's lead to those of the users who have any."""
        key, bound = ", ".join(_KEY), _BOUNDS[self._sort]
        same = " AND ".join(f"{column} = every.{column}" for column in ("start", *_KEY[1:]))
        reached, least = self._reached
        after = self._after
        while every := [
            cell
            for place, cell in enumerate(self._waiting)
            if cell.is_of_everyone and (place < some or (after is not None and cell.below > after))
        ]:
            found = self._cells(
                f"SELECT hour.* FROM unnest(%s::timestamptz[], {_ARRAYS}) AS every (start, {key})"  # noqa: S608
                f" CROSS JOIN LATERAL (SELECT user_id, start, {key}, sum(records)::bigint, max({bound})"
                f" FROM usage_hour WHERE {same} GROUP BY user_id, start, {key}"
                f" HAVING sum(records) > 0 AND max({bound}) IS NOT NULL{reached} OFFSET 0) AS hour",
                [[cell.start for cell in every], *_columns(every), *least],
                HOUR,
            )
            known = set(every)
            rest = [cell for cell in self._waiting if cell not in known]
            self._waiting = sorted([*rest, *found], reverse=True)

    def _cells(self, sql: str, values: Sequence[Any], unit: timedelta) -> list[_Cell]:
        with connection.cursor() as database:
            database.execute(sql, values)
            return [
                _Cell(Place(Decimal(bound), first_id(start + unit)), user_id, start, tuple(key), records)
                for user_id, start, *key, records, bound in database.fetchall()
            ]

    def _periods(self, unit: timedelta) -> Sql:
        """Return the condition on the starts of periods that meet the range."""
        start, end = self._within.start, self._within.end
        return (
            f"{' AND start >= %s' if start else ''}{' AND start < %s' if end else ''}",
            [*([floor(start, unit)] if start else []), *([end] if end else [])],
        )

    # --- Records --------------------------------------------------------------------------------------------

    def _next(self, some: int) -> list[_Cell]:
        """Return the next sums to read: as many, and those that may hold what is ahead of the cursor."""
        batch: list[_Cell] = []
        for cell in self._waiting:
            if self._unseen is not None and cell.below < self._unseen:
                break
            if len(batch) >= some and (self._after is None or cell.below <= self._after):
                break
            batch.append(cell)
        return batch

    def _read(self, batch: list[_Cell]) -> bool:
        """Read what of the next sums may be read; return whether that was all of them."""
        volumes = self._volumes(batch)
        taken: list[_Cell] = []
        hours: dict[tuple[int, datetime], int] = {}
        for cell in batch:
            hour = (cell.user_id, cell.start)
            entries = 0 if hour in hours else volumes.get(hour, 0)
            most = MOST_RECORDS if self.found.read else MOST_OF_ONE
            if self._entries + entries > MOST_ENTRIES or self.found.read + cell.records > most:
                break
            hours.setdefault(hour, len(hours) + 1)
            self._entries += entries
            self.found.read += cell.records
            taken.append(cell)
        if taken:
            self._waiting = self._waiting[len(taken) :]
            self._take(taken, hours)
        return len(taken) == len(batch)

    def _volumes(self, batch: list[_Cell]) -> dict[tuple[int, datetime], int]:
        """Return how many entries of the index the hours of some sums have."""
        with connection.cursor() as database:
            database.execute(
                "SELECT user_id, start, sum(records)::bigint FROM usage_hour"
                " WHERE user_id = ANY(%s) AND start = ANY(%s) GROUP BY user_id, start",
                [list({cell.user_id for cell in batch}), list({cell.start for cell in batch})],
            )
            return {(user_id, start): volume for user_id, start, volume in database.fetchall()}

    def _parts(self, user_id: int, start: datetime) -> list[TimeRange]:
        """Return the parts of a user's hour that are meant."""
        hour = TimeRange(start, start + HOUR).clipped(self._within)
        if self._scope.is_whole:
            return [hour]
        return [hour.clipped(one.within) for one in self._scope.windows or () if one.user_id == user_id]

    def _take(self, cells: list[_Cell], hours: dict[tuple[int, datetime], int]) -> None:
        """Read the records of some sums. ``hours`` are numbered.

        Lateral on purpose, and fenced by OFFSET: the entries of the hours first, from the index alone, then
        the rows of those that are meant.
        """
        parts = [
            (number, user_id, first_id(part.start), first_id(part.end))
            for (user_id, start), number in hours.items()
            for part in self._parts(user_id, start)
            if part.start and part.end
        ]
        key = ", ".join(_KEY)
        bounds, bound_values = self._bounds
        order = "ASC" if self._up else "DESC"
        ahead, beyond = "false", "true"
        place: list[Any] = []
        if self._after is not None:
            cursor, place = "(%s::numeric, %s::uuid)", list(self._after)
            ahead = f"(value, id) {'>' if self._up else '>='} {cursor}"
            beyond = f"(value, id) {'>' if self._up else '<'} {cursor}"
        with connection.cursor() as database:
            database.execute(
                "WITH entry AS ("  # noqa: S608
                " SELECT hour.number, hour.user_id, one.*"
                " FROM unnest(%s::bigint[], %s::integer[], %s::uuid[], %s::uuid[])"
                " AS hour (number, user_id, first, last) CROSS JOIN LATERAL ("
                "  SELECT id, coalesce(token_id, 0) AS token_id, coalesce(model_id, 0) AS model_id,"
                "   coalesce(group_id, 0) AS group_id, type, status, cause FROM usage_record"
                "  WHERE usage_record.user_id = hour.user_id AND id >= hour.first AND id < hour.last OFFSET 0"
                " ) AS one"
                "), meant AS ("
                f" SELECT entry.user_id, entry.id FROM unnest(%s::bigint[], {_ARRAYS})"
                f" AS cell (number, {key})"
                f" JOIN entry USING (number, {key})"
                "), found AS MATERIALIZED ("
                " SELECT matching.value, matching.id, meant.user_id FROM meant CROSS JOIN LATERAL ("
                f"  SELECT ({_VALUES[self._sort]})::numeric AS value, id FROM usage_record"
                f"  WHERE usage_record.user_id = meant.user_id AND usage_record.id = meant.id AND ({bounds})"
                "  OFFSET 0) AS matching WHERE matching.value IS NOT NULL"
                ") SELECT counted.ahead, near.value, near.id, near.user_id"
                f" FROM (SELECT count(*) FILTER (WHERE {ahead}) AS ahead FROM found) AS counted"
                f" LEFT JOIN LATERAL (SELECT value, id, user_id FROM found WHERE {beyond}"
                f"  ORDER BY value {order}, id {order} LIMIT %s) AS near ON true",
                [
                    *map(list, zip(*parts, strict=True) if parts else ((),) * 4),
                    [hours[cell.user_id, cell.start] for cell in cells],
                    *_columns(cells),
                    *bound_values,
                    *place,
                    *place,
                    self._limit,
                ],
            )
            rows = database.fetchall()
        self.found.ahead += rows[0][0]
        places = [
            Place(value, identifier) for _ahead, value, identifier, _user in rows if identifier is not None
        ]
        self.found.owners |= {identifier: user_id for _ahead, _value, identifier, user_id in rows}
        self.found.places = sorted([*self.found.places, *places], reverse=not self._up)[: self._limit]


_ARRAYS = "%s::integer[], %s::integer[], %s::integer[], %s::smallint[], %s::smallint[], %s::smallint[]"
"""The columns of `_KEY`, to be unnested."""


def _columns(cells: list[_Cell]) -> list[list[Any]]:
    return [list(column) for column in zip(*(cell.key for cell in cells), strict=True)] or [[] for _ in _KEY]
