"""What of the chosen time was unlike usual, in words, each a way to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l

from logs.filters.usage_filter import UsageFilter
from logs.models import UnusualHour
from logs.rollups.unusual import EVERYONE
from routescope.data.ranges import HOUR, floor
from routescope.filters.address import Address
from routescope.text import formatting

MOST_SHOWN = 3
_MOST_READ = 200
_MOST_TIMES = 100
"""So many times the usual, no number says more than that there is hardly any."""
_What = UnusualHour.What
_MORE = {
    _What.COST.value: _l("Cost %(times)s times the usual for a %(weekday)s %(time)s: %(value)s"),
    _What.ERRORS.value: _l("Errors %(times)s times the usual for a %(weekday)s %(time)s: %(value)s"),
    _What.REQUESTS.value: _l("Requests %(times)s times the usual for a %(weekday)s %(time)s: %(value)s"),
}
_WHERE_HARDLY_ANY = {
    _What.COST.value: _l("Cost %(value)s, where a %(weekday)s %(time)s usually has hardly any"),
    _What.ERRORS.value: _l("%(value)s errors, where a %(weekday)s %(time)s usually has hardly any"),
    _What.REQUESTS.value: _l("%(value)s requests, where a %(weekday)s %(time)s usually has hardly any"),
}


@dataclass(frozen=True, slots=True)
class Unlike:
    """A stretch of hours, said in ``words``; ``whose`` has its day, and the model and token it is mostly of,
    and ``address`` lists it, of these. ``what`` it is that was unlike usual (`UnusualHour.What`).
    """

    words: str
    whose: str
    address: Address
    what: str
    start: datetime
    end: datetime

    def beside(self, other: Unlike) -> Unlike:
        """Return another one of the same time with the words of this one before its own."""
        return replace(other, words=f"{self.words} ({self.whose}). {other.words}")


@dataclass(frozen=True, slots=True)
class _Stretch:
    what: str
    start: datetime
    end: datetime
    value: Decimal
    usual: Decimal
    model_id: int
    token_id: int

    def follows(self, hour: UnusualHour) -> bool:
        """Say whether an hour before it is part of the same."""
        same = (hour.what, hour.model_id, hour.token_id) == (self.what, self.model_id, self.token_id)
        return same and hour.start + HOUR == self.start


def shown(filters: UsageFilter) -> list[Unlike]:
    """Return what was unlike usual in the range, the newest first; nothing under any other filter.

    One query. Of a team's records nothing is compared.
    """
    scope, selection = filters.whole, filters.selection
    if filters.searched_id or selection.is_filtered or filters.scope != scope:
        return []
    if scope.is_everyone:
        user_id = EVERYONE
    elif scope.is_whole and len(scope.ids) == 1:
        [user_id] = scope.ids
    else:
        return []
    rows = UnusualHour.objects.filter(user_id=user_id)
    if (start := selection.chosen.start) is not None:
        rows = rows.filter(start__gte=floor(start, HOUR))
    if (end := selection.chosen.end) is not None:
        rows = rows.filter(start__lt=end)
    found = list(rows.order_by("-start", "what")[:_MOST_READ])
    return [_said(filters, one) for one in _joined(found)[:MOST_SHOWN]]


def _joined(hours: Sequence[UnusualHour]) -> list[_Stretch]:
    """Return hours, the newest first, with those that follow each other as one."""
    stretches: list[_Stretch] = []
    for hour in hours:
        place = next((at for at, one in enumerate(stretches) if one.follows(hour)), None)
        later = stretches[place] if place is not None else None
        one = _Stretch(
            what=hour.what,
            start=hour.start,
            end=later.end if later else hour.start + HOUR,
            value=hour.value + (later.value if later else 0),
            usual=hour.usual + (later.usual if later else 0),
            model_id=hour.model_id,
            token_id=hour.token_id,
        )
        if place is None:
            stretches.append(one)
        else:
            stretches[place] = one
    return stretches


def _said(filters: UsageFilter, one: _Stretch) -> Unlike:
    model = filters.vocabulary.models.of.get(one.model_id, "")
    token = filters.vocabulary.tokens.of.get(one.token_id, "")
    begins, ends = timezone.localtime(one.start), timezone.localtime(one.end)
    written = formatting.money if one.what == _What.COST else formatting.exact
    words = {
        "value": written(one.value if one.what == _What.COST else int(one.value)),
        "times": f"{one.value / one.usual:.1f}" if one.usual else "",
        "weekday": date_format(begins, "l"),
        "time": begins.strftime("%H:%M") if one.end - one.start == HOUR else f"{begins:%H:%M}–{ends:%H:%M}",
    }
    sentence = (_MORE if one.value < _MOST_TIMES * one.usual else _WHERE_HARDLY_ANY)[one.what]
    whose = ""
    if model and token:
        whose = _("%(model)s via token %(token)s") % {"model": model, "token": token}
    elif model or token:
        whose = model or _("token %(token)s") % {"token": token}
    address = filters.address.between(one.start, one.end).with_(model=model, token=token)
    if one.what == _What.ERRORS:
        address = address.with_(status="error")
    when = formatting.day(begins.date())
    whose = f"{when} · {whose}" if whose else when
    return Unlike(str(sentence) % words, whose, address, one.what, one.start, one.end)
