"""Which tables say what a scope holds: of some users their own sums, of everybody the sums without a user.

A user's sums lie together by the user, everybody's by the time. What is asked of everybody by user or token
is read from the users' sums, found by the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from logs.rollups import minute_sums
from logs.selection.chosen import Selection
from routescope.data.ids import EPOCH, first_id, moment_of
from routescope.data.ranges import DAY, HOUR, Cover, TimeRange, cover
from routescope.data.scopes import Scope, Share

_OF_USERS = frozenset(("user_id", "token_id"))
"""What everybody's sums do not know."""
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Arm:
    """A table of sums or of records, and the SQL that reads from it: ``rows`` with its values."""

    table: str
    rows: str
    values: list[Any]


def arms(
    scope: Scope, selection: Selection, by: Sequence[str], starts: Sequence[datetime], parts: Cover
) -> Iterator[Arm]:
    """Yield what is to be read for a cover: days, hours and records, each once."""
    if scope.is_everyone:
        yield from _arms_of_everyone(selection, by, starts, parts)
        return
    shares = scope.shares(selection.chosen)
    tables = {
        table: [(share, stretches) for share, stretches in found if stretches]
        for table, found in _by_table(shares, selection.chosen, parts).items()
    }
    for table, found in tables.items():
        if len(found) == 1:
            [(share, stretches)] = found
            source = of_users(table, share.ids, stretches)
            yield Arm(table, f"{table} WHERE {source.where}", source.values)
        elif found:
            yield _arm_of_several(table, found)


def _by_table(
    shares: Sequence[Share], chosen: TimeRange, parts: Cover
) -> dict[str, list[tuple[Share, list[TimeRange]]]]:
    found: dict[str, list[tuple[Share, list[TimeRange]]]] = {
        "usage_day": [],
        "usage_hour": [],
        "usage_record": [],
    }
    for share in shares:
        mine = parts if share.within == chosen else clipped(parts, share.within)
        for stretches, table in (
            (mine.days, "usage_day"),
            (mine.hours, "usage_hour"),
            (mine.raw, "usage_record"),
        ):
            found[table].append((share, stretches))
    return found


def _arm_of_several(table: str, found: Sequence[tuple[Share, Sequence[TimeRange]]]) -> Arm:
    """Return the arm of users of whom different parts are meant.

    Lateral on purpose, and fenced by OFFSET: one look into the index for each user and range.
    """
    is_raw = table == "usage_record"
    column, kind = ("id", "uuid") if is_raw else ("start", "timestamptz")
    rows = [
        (user_id, stretch.start or EPOCH, stretch.end or _LATEST)
        for share, stretches in found
        for stretch in stretches
        for user_id in share.ids
    ]
    users, firsts, ends = zip(*rows, strict=True)
    bounds = [[first_id(moment) if is_raw else moment for moment in moments] for moments in (firsts, ends)]
    one = (
        f"SELECT * FROM {table} WHERE user_id = meant.owner"  # noqa: S608
        f" AND {column} >= meant.first AND {column} < meant.past OFFSET 0"
    )
    meant = f"unnest(%s::integer[], %s::{kind}[], %s::{kind}[]) AS meant (owner, first, past)"
    return Arm(table, f"{meant} CROSS JOIN LATERAL ({one}) AS one WHERE true", [list(users), *bounds])


def _arms_of_everyone(
    selection: Selection, by: Sequence[str], starts: Sequence[datetime], parts: Cover
) -> Iterator[Arm]:
    days, hours, raw = "usage_total_day", "usage_total_hour", list(parts.raw)
    if needs_users(selection, by):
        days, hours = "usage_day", "usage_hour"
    tables = [(days, parts.days), (hours, parts.hours)]
    if raw and minute_sums.knows(selection, by) and not any(one.second or one.microsecond for one in starts):
        minutes, raw = minute_sums.split(raw)
        tables.append(("usage_total_minute", minutes))
    tables.append(("usage_record", raw))
    for table, stretches in tables:
        if stretches:
            source = everyones(table, stretches)
            yield Arm(table, f"{table} WHERE {source.where}", source.values)


@dataclass(frozen=True, slots=True)
class Source:
    """Where an arm of a sum reads: ``table``, and ``where`` with its ``values``, of some ranges."""

    table: str
    where: str
    values: list[Any]


def needs_users(selection: Selection, by: Sequence[str]) -> bool:
    """Say whether everybody's sums do not tell what a selection chooses, or what it is broken down by."""
    return bool(_OF_USERS & {*by, *(column for column, _values in selection.chosen_values)})


def everyones(table: str, stretches: Sequence[TimeRange]) -> Source:
    """Return where everybody's rows of some ranges are: sums by their start, records by their time."""
    if table == "usage_record":
        times, values = [], list[Any]()
        for stretch in stretches:
            if stretch.start is None or stretch.end is None:
                raise ValueError("Everybody's records are read in a range with both ends.")
            times.append("created_at >= %s AND created_at < %s AND id >= %s AND id < %s")
            first, last = first_id(stretch.start), first_id(stretch.end)
            values += [moment_of(first), moment_of(last), first, last]
        return Source(table, "(" + " OR ".join(f"({one})" for one in times) + ")", values)
    where, values = _between("start", stretches)
    return Source(table, where, values)


def of_users(table: str, ids: Sequence[int], stretches: Sequence[TimeRange]) -> Source:
    """Return where these users' rows of some ranges are."""
    column = "id" if table == "usage_record" else "start"
    where, values = _between(column, stretches)
    return Source(table, f"user_id = ANY(%s) AND {where}", [list(ids), *values])


def _between(column: str, stretches: Sequence[TimeRange]) -> tuple[str, list[Any]]:
    times: list[str] = []
    values: list[Any] = []
    for stretch in stretches:
        ends = [(sign, end) for sign, end in ((">=", stretch.start), ("<", stretch.end)) if end is not None]
        times.append(" AND ".join(f"{column} {sign} %s" for sign, _ in ends) or "true")
        values += [first_id(end) if column == "id" else end for _, end in ends]
    return f"({' OR '.join(times)})", values


def clipped(parts: Cover, within: TimeRange) -> Cover:
    """Return the parts of a cover that lie in a range, which may divide its days and hours."""
    found = Cover([], [], [])
    for stretches, unit in ((parts.days, DAY), (parts.hours, HOUR), (parts.raw, None)):
        for stretch in stretches:
            one = stretch.clipped(within)
            if one.start is not None and one.end is not None and one.start >= one.end:
                continue
            if unit is None:
                found.raw.append(one)
                continue
            inner = Cover([one], [], []) if one == stretch else cover(one)
            if unit is DAY:
                found.days.extend(inner.days)
                found.hours.extend(inner.hours)
            else:
                found.hours.extend([*inner.days, *inner.hours])
            found.raw.extend(inner.raw)
    return found
