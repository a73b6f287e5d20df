"""What is unlike usual: hours with far more requests, errors or cost than their weekday and time of day have.

Robust against single outliers and quiet on thin data. An hour is marked where its figure

- is worth a word at all (`LEAST`),
- is three times the median of the same weekday, an hour around the same time of day, of eight weeks, and
- is twice what the whole of these weeks had in any hour, the two largest left aside: who has bursts every few
  days is used to them.

Nothing is marked before there are three weeks to compare with. Hours that are over are compared by a job, as
soon as gateways have sent what they had, and again for some hours: records come late. Pages read the marks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from logs.models import CALLS, Status, UnusualHour, UnusualUntil, UsageHour, UsageTotalHour
from routescope.data.ranges import HOUR, floor

EVERYONE = 0
What = UnusualHour.What
LEAST: Mapping[str, Decimal] = {What.REQUESTS: Decimal(60), What.ERRORS: Decimal(15), What.COST: Decimal(1)}
"""Below these an hour is not worth a word (cost: USD)."""
WEEKS, FEWEST_WEEKS = 8, 3
TIMES_USUAL, TIMES_ANY = 3, 2
SETTLED = timedelta(minutes=5)
AGAIN = timedelta(hours=3)
"""How long hours are compared anew: records come late."""
REACH = timedelta(days=31)
"""How far back hours are compared that were not yet."""
_WEEK = timedelta(weeks=1)
_LEFT_ASIDE = 2
_AROUND = (-HOUR, timedelta(), HOUR)
_MOST_OF = Decimal("0.5")
"""The share of the excess from which on a model or a token is named."""
_KEPT = timedelta(days=400)
Sums = dict[str, Decimal]
_FIGURES: dict[str, Sum] = {
    What.REQUESTS: Sum("records", filter=CALLS, default=0),
    What.ERRORS: Sum("records", filter=CALLS & Q(status=Status.ERROR), default=0),
    What.COST: Sum("cost", default=Decimal(0)),
}
NOTHING: Sums = dict.fromkeys(_FIGURES, Decimal(0))


def is_unlike(what: str, value: Decimal, same: Sequence[Decimal], every: Sequence[Decimal]) -> bool:
    """Say whether a figure is unlike usual: ``same`` are those of the weekday and time, ``every`` of all."""
    if value < LEAST[what] or len(same) < FEWEST_WEEKS * len(_AROUND):
        return False
    return value >= TIMES_USUAL * median(same) and value > TIMES_ANY * highest(every)


def highest(values: Sequence[Decimal]) -> Decimal:
    """Return the largest figure, the `_LEFT_ASIDE` largest of all left aside."""
    return sorted(values)[-1 - _LEFT_ASIDE] if len(values) > _LEFT_ASIDE else Decimal(0)


def compare(most: timedelta, now: datetime | None = None) -> int:
    """Compare the hours that are over and were not yet, oldest first; return how many hours.

    Ends after ``most``. May be run at any time, and broken off: an hour is one transaction.
    """
    until = monotonic() + most.total_seconds()
    end = floor((now or timezone.now()) - SETTLED, HOUR)
    done = UnusualUntil.objects.values_list("end", flat=True).first()
    start = floor(max(done - AGAIN, end - REACH) if done else end - REACH, HOUR)
    compared = 0
    while start < end and monotonic() < until:
        with transaction.atomic():
            _compare(start)
            UnusualUntil.objects.update_or_create(defaults={"end": max(done or start, start + HOUR)}, id=1)
        start += HOUR
        compared += 1
    UnusualHour.objects.filter(start__lt=end - _KEPT).delete()
    return compared


def _compare(start: datetime) -> None:
    """Write down in what an hour was unlike usual, and of whom."""
    found = []
    for user_id, figures in _candidates(start).items():
        whose = _Whose(user_id)
        since = whose.first()
        if since is None or start - since < FEWEST_WEEKS * _WEEK + HOUR:
            continue
        begin = max(since, start - WEEKS * _WEEK - HOUR)
        series = whose.series(begin, start)
        hours = [series.get(begin + number * HOUR, NOTHING) for number in range((start - begin) // HOUR)]
        same = [series.get(one, NOTHING) for one in around(start) if one >= begin]
        for what, value in figures.items():
            usual = [sums[what] for sums in same]
            if is_unlike(what, value, usual, [sums[what] for sums in hours]):
                middle = median(usual)
                found.append(
                    UnusualHour(
                        user_id=user_id,
                        start=start,
                        what=what,
                        value=value,
                        usual=middle,
                        model_id=whose.mostly(start, what, value - middle, "model_id"),
                        token_id=whose.mostly(start, what, value - middle, "token_id"),
                    )
                )
    UnusualHour.objects.filter(start=start).delete()
    UnusualHour.objects.bulk_create(found)


def around(start: datetime) -> list[datetime]:
    """Return the hours of the same weekday and about the same time of day, of the weeks before."""
    return [start - week * _WEEK + near for week in range(1, WEEKS + 1) for near in _AROUND]


def _candidates(start: datetime) -> dict[int, Sums]:
    """Return the figures of an hour that are worth a word, by user, and those of everybody."""
    rows = UsageHour.objects.filter(start=start).values("user_id").annotate(**_FIGURES).order_by("user_id")
    sums = {row["user_id"]: {what: Decimal(row[what]) for what in _FIGURES} for row in rows}
    sums[EVERYONE] = {what: sum((one[what] for one in sums.values()), Decimal(0)) for what in _FIGURES}
    worth = {
        user_id: {what: value for what, value in one.items() if value >= LEAST[what]}
        for user_id, one in sums.items()
    }
    return {user_id: one for user_id, one in worth.items() if one}


class _Whose:
    """The hourly sums of one user, or of everybody."""

    def __init__(self, user_id: int) -> None:
        self.is_everyone = user_id == EVERYONE
        self._rows: QuerySet[Any] = (
            UsageTotalHour.objects.all() if self.is_everyone else UsageHour.objects.filter(user_id=user_id)
        )

    def first(self) -> datetime | None:
        """Return the first hour that has any."""
        found: datetime | None = self._rows.order_by("start").values_list("start", flat=True).first()
        return found

    def series(self, begin: datetime, end: datetime) -> dict[datetime, Sums]:
        """Return the figures of each hour that has any."""
        rows = self._rows.filter(start__gte=begin, start__lt=end).values("start").annotate(**_FIGURES)
        return {
            row["start"]: {what: Decimal(row[what]) for what in _FIGURES} for row in rows.order_by("start")
        }

    def mostly(self, start: datetime, what: str, excess: Decimal, column: str) -> int:
        """Return the model or token of which most of what is too much is; 0 where it is of several."""
        if column == "token_id" and self.is_everyone:
            return 0
        weeks = [start - week * _WEEK for week in range(1, WEEKS + 1)]
        rows = self._rows.filter(start__in=[start, *weeks]).values("start", column)
        by_value: dict[int, dict[datetime, Decimal]] = defaultdict(dict)
        for row in rows.annotate(figure=_FIGURES[what]).order_by("start", column):
            by_value[row[column]][row["start"]] = Decimal(row["figure"])
        over = {
            value: figures.get(start, Decimal(0)) - median(figures.get(week, Decimal(0)) for week in weeks)
            for value, figures in by_value.items()
        }
        largest = max(over, key=lambda value: (over[value], -value), default=0)
        return largest if over.get(largest, Decimal(0)) >= _MOST_OF * excess else 0
