"""The sums of a selection broken down by one dimension, or by day: what the header adds up, line by line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from typing import Any

from django.db import models
from django.db.models import Max, Min
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiToken, Group, User
from logs.models.marks import TAGS
from logs.rollups import marked_sums, own_sums, percentiles
from logs.rollups.own_sums import Totals
from logs.rollups.sketches import Measure, Percentiles
from logs.selection import lookback, periods
from logs.selection.chosen import Selection
from routescope.data.ranges import DAY, Cover, TimeRange, cover
from routescope.data.scopes import Scope


class By(models.TextChoices):
    """What a comparison has a line for."""

    MODEL = "model", _("Model")
    TOKEN = "token", _("Token")
    GROUP = "group", _("Group")
    DAY = "day", _("Day")
    CAUSE = "cause", _("Cause")
    PERSON = "person", _("Person")
    TAG = "tag", _("Tag")
    METADATA = "meta", _("Metadata")

    @property
    def default_sort(self) -> str:
        """How its lines are sorted unless told otherwise: the newest day first, or else what cost most."""
        return "-name" if self is By.DAY else "-cost"


Latency = Mapping[Measure, Percentiles]
_MOST_DAYS = 400
_COLUMNS = {
    By.MODEL: "model_id",
    By.TOKEN: "token_id",
    By.GROUP: "group_id",
    By.CAUSE: "cause",
    By.PERSON: "user_id",
}


@dataclass(frozen=True, slots=True)
class BreakdownLine:
    """One value and its sums.

    ``value`` is the id of a model, token or group (0 for records without one) or of a person, a `Cause`, or a
    day of the reader's calendar; ``stretch`` is the part of that day that is in the selection. Of tags and
    metadata it is the value itself, and 0 for records without any.
    """

    value: int | date | str
    totals: Totals
    stretch: TimeRange | None = None


def breakdown(
    scope: Scope, selection: Selection, by: By, key: str = "", merged: Mapping[int, int] | None = None
) -> list[BreakdownLine]:
    """Return a line for each value that has records in a selection, in the values' order.

    ``key`` is that of the metadata whose values they are. A record with several tags is in the line of each.
    ``merged`` is what `merged_into` returns, where that was asked already.

    Their sums are those of the header, under bounds those of the newest records
    (`logs.selection.lookback.newest`).

    Days are those of the active time zone. Queries: at most three; by day one more for a range without bound,
    and, where local midnight is not on the hour, one more for every 64 days.
    """
    selection = lookback.newest(scope, selection)
    if by is By.DAY:
        return _by_day(scope, selection)
    if by in (By.TAG, By.METADATA):
        rows = marked_sums.grouped(scope, selection, TAGS if by is By.TAG else key)
        sums = _gathered(rows, "value")
        return [BreakdownLine(value, totals) for value, totals in sums.items()]
    column = _COLUMNS[by]
    rows = own_sums.grouped(scope, selection, column)
    into = merged_into(scope, by) if merged is None else merged
    gathered = _gathered(_canonical(rows, column, into), column)
    return [BreakdownLine(value or 0, totals) for value, totals in gathered.items()]


def latencies(
    scope: Scope,
    selection: Selection,
    by: By,
    measures: Sequence[Measure] = percentiles.HEADER,
    merged: Mapping[int, int] | None = None,
) -> Mapping[int | date | str, Latency] | None:
    """Return how long the calls of each line took, as `breakdown` names the lines.

    None where there is too much to read, or where no latencies are kept by that, as by tags.
    """
    if by in (By.TAG, By.METADATA):
        return None
    selection = lookback.newest(scope, selection)
    if by is not By.DAY:
        column = _COLUMNS[by]
        found = percentiles.grouped(
            scope,
            selection,
            column,
            measures=measures,
            merged=merged_into(scope, by) if merged is None else merged,
        )
        return None if found is None else _by_line(found)
    if (cut := _cut(scope, selection)) is None:
        return {}
    chosen, starts, stretches = cut
    moments = list(starts)
    found = percentiles.grouped(
        scope,
        replace(selection, chosen=chosen),
        measures=measures,
        parts=_cover_each(stretches),
        starts=moments,
    )
    if found is None:
        return None
    return _by_line(found, lambda part: starts[moments[part - 1]])


def _by_line(
    found: percentiles.Found, named: Callable[[int], int | date] = lambda line: line
) -> Mapping[int | date | str, Latency]:
    lines: dict[int | date | str, dict[Measure, Percentiles]] = defaultdict(dict)
    for (line, measure), one in found.items():
        lines[named(line)][measure] = one
    return {**lines}


def _canonical(
    rows: Iterable[dict[str, Any]], column: str, merged: Mapping[int, int]
) -> Iterator[dict[str, Any]]:
    """Yield rows with the ids of what tokens, groups and people were merged into."""
    for row in rows:
        yield row | {column: merged.get(row[column], row[column])}


def merged_into(scope: Scope, by: By) -> Mapping[int, int]:
    """Return what tokens, groups or people were merged into, by their ids: one query, of what can be merged.

    Asked once by who wants both `breakdown` and `latencies`.
    """
    column = _COLUMNS.get(by)
    merged: dict[int, int | None] = {}
    if column == "token_id":
        tokens = ApiToken.objects.exclude(merged_into=None)
        if not scope.is_everyone:
            tokens = tokens.filter(owner__in=scope.ids)
        merged = dict(tokens.values_list("pk", "merged_into"))
    elif column == "group_id":
        merged = dict(Group.objects.exclude(merged_into=None).values_list("pk", "merged_into"))
    elif column == "user_id":
        merged = dict(User.objects.exclude(merged_into=None).values_list("pk", "merged_into"))
    return {pk: into for pk, into in merged.items() if into is not None}


def _by_day(scope: Scope, selection: Selection) -> list[BreakdownLine]:
    if (cut := _cut(scope, selection)) is None:
        return []
    zone = timezone.get_current_timezone()
    chosen, starts, stretches = cut
    moments = list(starts)
    rows = own_sums.grouped(
        scope, replace(selection, chosen=chosen), parts=_cover_each(stretches), starts=moments
    )
    lines = []
    for part, totals in _gathered(rows, "part").items():
        start = moments[part - 1]
        day = starts[start]
        whole = TimeRange(start, midnight(day + timedelta(days=1), zone))
        lines.append(BreakdownLine(day, totals, whole.clipped(selection.covered)))
    return lines


def _cut(
    scope: Scope, selection: Selection
) -> tuple[TimeRange, dict[datetime, date], list[TimeRange]] | None:
    """Return a selection's range with both ends, its days by when they begin, and these as ranges.

    None where it holds nothing.
    """
    chosen = _bounded(scope, selection.covered)
    if chosen is None or chosen.start is None or chosen.end is None or chosen.start >= chosen.end:
        return None
    starts = days(chosen.start, chosen.end, timezone.get_current_timezone())
    ends = [chosen.start, *list(starts)[1:], chosen.end]
    return chosen, starts, [TimeRange(*pair) for pair in pairwise(ends)]


def days(start: datetime, end: datetime, zone: tzinfo) -> dict[datetime, date]:
    """Return the days of a calendar that meet a range, by the moment (UTC) that each begins, in order.

    A day that a zone left out (Apia had no 30 December 2011) has no entry.
    """
    day = start.astimezone(zone).date()
    found: dict[datetime, date] = {}
    while (begins := midnight(day, zone)) < end:
        found[begins] = day
        day += timedelta(days=1)
    return found


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return the moment (UTC) that a day of a calendar begins.

    Where a clock change skips midnight, the offset before it gives the moment of the change.
    """
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _bounded(scope: Scope, chosen: TimeRange) -> TimeRange | None:
    """Return the range with both ends, no record being outside of it; None where there is no record.

    A range of years is narrowed to the days that hold records: a calendar of centuries is never made.
    """
    if chosen.length is not None and chosen.length <= _MOST_DAYS * DAY:
        return chosen
    held = periods.days(scope).aggregate(first=Min("start"), last=Max("start"))
    if held["first"] is None:
        return None
    return chosen.clipped(TimeRange(held["first"], held["last"] + DAY))


def _cover_each(stretches: Iterable[TimeRange]) -> Cover:
    """Cover adjacent ranges such that no whole day or hour reaches from one into the next."""
    whole = Cover([], [], [])
    for stretch in stretches:
        parts = cover(stretch)
        for joined, more in ((whole.days, parts.days), (whole.hours, parts.hours), (whole.raw, parts.raw)):
            for part in sorted(more, key=_start):
                if joined and joined[-1].end == part.start:
                    joined[-1] = TimeRange(joined[-1].start, part.end)
                else:
                    joined.append(part)
    return whole


def _place(value: Any) -> tuple[bool, Any]:
    return (value == 0, 0 if value == 0 else value)


def _start(stretch: TimeRange) -> datetime:
    return stretch.start or datetime.min.replace(tzinfo=UTC)


def _gathered(rows: Iterable[dict[str, Any]], key: str) -> dict[Any, Totals]:
    """Add up the rows of each value that has records, in the values' order: PostgreSQL groups in any.

    A rollup writes 0 where a record has nothing.
    """
    of_value: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        of_value[row[key] or 0].append(row)
    sums = {value: own_sums.added(of_value[value]) for value in sorted(of_value, key=_place)}
    # Where records moved away, what was taken from the sums may wait beside what was added.
    return {value: totals for value, totals in sums.items() if totals.records}
