"""What the filters of both tabs share: the range of time, values by name, pills, and the state in the URL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from django import forms
from django.db.models import Model, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_filters import Filter, FilterSet

from routescope.data.ids import EPOCH
from routescope.data.keyset import Cursor
from routescope.data.ranges import Preset, TimeRange, preset_range
from routescope.text import pasted

CUSTOM = "custom"
SHOWN_RANGE = "shown_range"
"""The parameter by which the filters' form brings along the preset that it was shown with."""


_EARLIEST, _LATEST = EPOCH, datetime(8999, 12, 31, tzinfo=UTC)
"""What may be asked for. Later, adding an hour or a zone's offset would leave the calendar."""


class MomentField(forms.Field):
    """A time as ``<input type="datetime-local">`` writes it, in the person's zone, or with an offset."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def to_python(self, value: str | None) -> datetime | None:
        """Return the time in UTC. Raises ValidationError for what is no time."""
        if not value:
            return None
        try:
            moment = parse_datetime(value.strip().replace(" ", "+") if "T" in value else value.strip())
            if moment is None:
                raise ValueError
            if moment.tzinfo is None:
                moment = timezone.make_aware(moment)
            moment = moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise forms.ValidationError(
                _("“%(value)s” is not a time. Write it as 2025-01-31T09:30.") % {"value": value[:40]}
            ) from None
        if not _EARLIEST <= moment <= _LATEST:
            raise forms.ValidationError(
                _("“%(value)s” is no time of a record: these begin with 1970, and end before the year 9000.")
                % {"value": value[:40]}
            )
        return moment


class MomentFilter(Filter):
    field_class = MomentField


class NamesField(forms.Field):
    """Names picked from a list or typed, several at once; repeated in the query string."""

    widget = forms.SelectMultiple

    def to_python(self, value: Iterable[str] | None) -> list[str]:
        return list(dict.fromkeys(name.strip() for name in value or () if name.strip()))


class NamesFilter(Filter):
    field_class = NamesField


@dataclass(frozen=True, slots=True)
class Pill:
    """A filter that is on, and the query string without it."""

    label: str
    value: str
    without: str
    name: str = ""
    """The filter's parameter."""


@dataclass(frozen=True, slots=True)
class Option:
    """A value that a filter's menu offers, or a field of it with what was typed."""

    value: str
    label: str
    chosen: bool
    typed: str = ""


class RangeFilterSet(FilterSet):
    """A filter set with a range of time: a preset (``range``), or ``start`` and ``end``.

    Its query string is canonical (`query`): blank, unknown and overridden parameters are dropped, so that one
    view of the records has one URL.
    """

    default_range = Preset.DAY
    id_field: ClassVar[str]
    """The parameter that an ID is searched for with."""

    def __init__(self, data: QueryDict, queryset: QuerySet[Model]) -> None:
        super().__init__(with_shown_range(data), queryset)

    def chosen_range(self, now: datetime) -> TimeRange:
        """Return the range of time chosen, in UTC."""
        if self.preset == CUSTOM:
            cleaned = self.form.cleaned_data
            return TimeRange(cleaned.get("start"), cleaned.get("end"))
        return preset_range(self.preset, now, timezone.get_current_timezone())

    @property
    def preset(self) -> str:
        """The preset in force, or ``custom``."""
        self.form.is_valid()
        cleaned = self.form.cleaned_data
        preset = cleaned.get("range") or ""
        if preset in Preset.values:
            return str(preset)
        return CUSTOM if cleaned.get("start") or cleaned.get("end") else self.default_range.value

    @property
    def range_label(self) -> str:
        """What the range's menu says: the preset's name, or both ends in the person's zone."""
        if self.preset != CUSTOM:
            return str(Preset(self.preset).label)
        start, end = (self.form.cleaned_data.get(name) for name in ("start", "end"))
        if start and end:
            return f"{_short(start)} – {_short(end)}"
        return (
            _("From %(time)s") % {"time": _short(start)}
            if start
            else _("Until %(time)s") % {"time": _short(end)}
        )

    @property
    def problems(self) -> list[str]:
        """What in the query string could not be used, in sentences."""
        self.form.is_valid()
        problems = [str(error) for errors in self.form.errors.values() for error in errors]
        if self.preset == CUSTOM:
            chosen = self.chosen_range(timezone.now())
            if chosen.start and chosen.end and chosen.start >= chosen.end:
                problems.append(_("The range ends before it starts. Swap its start and end."))
        return problems

    @property
    def searched_id(self) -> str:
        """The ID searched for, freed of what it is copied with; or nothing."""
        raise NotImplementedError

    @cached_property
    def holds_a_key(self) -> bool:
        """Whether the address holds an API key, which `query` masks."""
        given = self.data.get(self.id_field, "")
        return given != self.searched_id and pasted.is_key(given)

    @property
    def query(self) -> QueryDict:
        """The canonical query string of this view, without paging: a copy for the caller to change."""
        query = QueryDict(mutable=True)
        for name, values in self._kept.items():
            query.setlist(name, list(values))
        if query.get(self.id_field) and self.searched_id:
            # Not the message that it was pasted with: that may be long, and is nobody's but its reader's.
            query[self.id_field] = self.searched_id
        return query

    @cached_property
    def _kept(self) -> dict[str, list[str]]:
        kept: dict[str, list[str]] = {}
        dropped = {"range"} if self.preset == CUSTOM else {"start", "end"}
        for name in self.filters:
            if name in dropped:
                continue
            values = list(dict.fromkeys(value.strip() for value in self.data.getlist(name) if value.strip()))
            if values and name == "range":
                values = [] if self.preset == self.default_range else [self.preset]
            if values:
                kept[name] = values
        return kept

    def page_query(self, cursor: Cursor) -> str:
        """Return the query string of this view at a cursor; nothing where there is nothing to say."""
        query = self.query
        if cursor.older:
            query["older"] = str(cursor.older)
        if cursor.newer:
            query["newer"] = str(cursor.newer)
        return f"?{query.urlencode()}" if query else ""

    def without(self, name: str, value: str | None = None) -> str:
        """Return the query string with a filter, or one value of it, taken off."""
        query = self.query
        rest = [kept for kept in query.getlist(name) if value is not None and kept != value]
        if rest:
            query.setlist(name, rest)
        else:
            query.pop(name, None)
        return _encoded(query)

    def with_(self, **changes: str) -> str:
        """Return the query string with other values for some filters; an empty value takes a filter off."""
        query = self.query
        for name, value in changes.items():
            if value:
                query[name] = value
            else:
                query.pop(name, None)
        return _encoded(query)

    def between(self, start: datetime | None, end: datetime | None, **changes: str) -> str:
        """Return the query string of this view narrowed to a stretch of time, with further changes.

        None is without bound on that side; at least one must be there.
        """
        return self.with_(
            range="", start=_exact(start) if start else "", end=_exact(end) if end else "", **changes
        )

    @property
    def rangeless_query(self) -> str:
        """The query string without the range of time, for scripts that add their own."""
        query = self.query
        for name in ("range", "start", "end"):
            query.pop(name, None)
        return query.urlencode()

    @property
    def first_query(self) -> str:
        """The query string of this view's first page."""
        return _encoded(self.query)

    @property
    def custom_start(self) -> str:
        return self._local("start")

    @property
    def custom_end(self) -> str:
        return self._local("end")

    def _local(self, name: str) -> str:
        """Return a bound of the custom range as a datetime-local field takes it; blank under a preset."""
        moment = self.form.cleaned_data.get(name) if self.preset == CUSTOM else None
        return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M") if moment else ""

    @property
    def presets(self) -> list[Option]:
        """The range menu: each preset with the query string that chooses it as its value."""
        query = self.query
        for name in ("start", "end"):
            query.pop(name, None)
        options = []
        for preset in Preset:
            query["range"] = preset.value
            options.append(Option(_encoded(query), str(preset.label), preset.value == self.preset))
        return options

    def pills_of(
        self, labels: Mapping[str, str | Promise], words: Mapping[str, str] | None = None
    ) -> list[Pill]:
        """Return a pill for each value of the filters in ``labels``, named by ``words`` where it has one."""
        return [
            Pill(str(label), (words or {}).get(value, value), self.without(name, value), name)
            for name, label in labels.items()
            for value in self.query.getlist(name)
        ]


def with_shown_range(data: QueryDict) -> QueryDict:
    """Let the preset that the form was shown with hold, unless another range or a time was given."""
    if SHOWN_RANGE not in data:
        return data
    data = data.copy()
    (*_others, shown) = data.pop(SHOWN_RANGE) or [""]
    if not any(data.get(name, "").strip() for name in ("range", "start", "end")):
        data["range"] = shown
    return data


RANGE_CHOICES = [*Preset.choices, (CUSTOM, gettext_lazy("Custom range"))]


def _exact(moment: datetime) -> str:
    """Write a bound for a URL in UTC: the same moment in every zone and on both sides of a clock change."""
    text = moment.astimezone(UTC).isoformat(
        timespec="auto" if moment.second or moment.microsecond else "minutes"
    )
    return text.replace("+00:00", "Z")


def _short(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "Y-m-d H:i")


def _encoded(query: QueryDict) -> str:
    return f"?{query.urlencode()}" if query else "?"
