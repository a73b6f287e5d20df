"""The filters of both tabs: what a query string chooses, its canonical address, and its menus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from django.db.models import Model, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_filters import CharFilter, FilterSet

from routescope.data.ranges import Preset, TimeRange, preset_range
from routescope.data.scopes import OF, Scope
from routescope.filters.address import Address
from routescope.text import pasted

CUSTOM = "custom"
SHOWN_RANGE = "shown_range"
"""The parameter by which the filters' form brings along the preset that it was shown with."""
RANGE_CHOICES = [*Preset.choices, (CUSTOM, gettext_lazy("Custom range"))]


class RangeFilterSet(FilterSet):
    """A filter set with a range of time: a preset (``range``), or ``start`` and ``end``.

    Its `address` is canonical: blank, unknown and overridden parameters are dropped.
    """

    of = CharFilter()

    default_range = Preset.DAY
    id_field: ClassVar[str]
    """The parameter that an ID is searched for with."""

    def __init__(self, data: QueryDict, queryset: QuerySet[Model], *, scope: Scope) -> None:
        """``scope`` is whose rows are filtered: it was decided of what ``of`` says."""
        super().__init__(with_shown_range(data), queryset)
        self.whole = scope

    @property
    def scope(self) -> Scope:
        """Whose rows are meant, under the filters."""
        return self.whole

    def chosen_range(self, now: datetime) -> TimeRange:
        """Return the range of time chosen, in UTC."""
        if self.preset == CUSTOM:
            cleaned = self.form.cleaned_data
            return TimeRange(cleaned.get("start"), cleaned.get("end"))
        return preset_range(self.preset, now, timezone.get_current_timezone())

    @cached_property
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
        """The range in words: the preset's name, or both ends in the person's zone."""
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
        """Whether the query string holds an API key, which the `address` masks."""
        given = self.data.get(self.id_field, "")
        return given != self.searched_id and pasted.is_key(given)

    @cached_property
    def address(self) -> Address:
        """The canonical address of this view, without paging."""
        kept: dict[str, list[str]] = {OF: [self.whole.of]} if self.whole.of else {}
        dropped = {OF, "range"} if self.preset == CUSTOM else {OF, "start", "end"}
        for name in self.filters:
            if name in dropped:
                continue
            values = list(dict.fromkeys(value.strip() for value in self.data.getlist(name) if value.strip()))
            if name in ("start", "end"):
                # One address for what may be typed with a blank.
                values = [value if "T" in value else value.replace(" ", "T", 1) for value in values]
            if values and name == "range":
                values = [] if self.preset == self.default_range else [self.preset]
            if values:
                kept[name] = values
        if self.id_field in kept and self.searched_id:
            # Not the message that it was pasted with: that may be long, and is nobody's but its reader's.
            kept[self.id_field] = [self.searched_id]
        return Address(kept)

    def fixed_address(self, now: datetime) -> Address:
        """The canonical address with its range of time fixed as of now: presets move with the clock."""
        chosen = self.chosen_range(now)
        if chosen.start is None or chosen.end is None:
            return self.address
        return self.address.between(chosen.start, chosen.end)


def with_shown_range(data: QueryDict) -> QueryDict:
    """Let the preset that the form was shown with hold, unless another range or a time was given."""
    if SHOWN_RANGE not in data:
        return data
    data = data.copy()
    (*_others, shown) = data.pop(SHOWN_RANGE) or [""]
    if not any(data.get(name, "").strip() for name in ("range", "start", "end")):
        data["range"] = shown
    return data


def _short(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "Y-m-d H:i")


@dataclass(frozen=True, slots=True)
class Pill:
    """A filter that is on, by its parameter, and the address of the view without it."""

    name: str
    label: str
    value: str
    without: Address


@dataclass(frozen=True, slots=True)
class Option:
    """A value that a filter's menu offers, or a field of it with what was typed.

    ``parameter`` is what it is a value of, where that is not the menu's own.
    """

    value: str
    label: str
    chosen: bool
    typed: str = ""
    parameter: str = ""


@dataclass(frozen=True, slots=True)
class FilterMenu:
    """A menu of values. ``typed``: has a box to type into, for long lists; ``find`` is where more than are
    listed are searched for as one types.
    """

    name: str
    label: str
    options: list[Option]
    typed: bool
    find: str = ""

    @property
    def lines(self) -> list[Option]:
        """The options in their order, but what is chosen first."""
        return sorted(self.options, key=lambda option: not option.chosen)

    @property
    def chosen(self) -> int:
        return sum(option.chosen for option in self.options)


@dataclass(frozen=True, slots=True)
class Link:
    """A view that a menu leads to."""

    address: Address
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class RangeMenu:
    """The menu of the range of time. ``start`` and ``end`` are those of a custom one, as they are typed;
    ``example`` is the present.
    """

    label: str
    presets: list[Link]
    start: str
    end: str
    example: str

    @classmethod
    def of(cls, filters: RangeFilterSet) -> RangeMenu:
        presets = [
            Link(filters.address.over(preset), str(preset.label), preset.value == filters.preset)
            for preset in Preset
        ]
        custom = filters.form.cleaned_data if filters.preset == CUSTOM else {}
        return cls(
            filters.range_label,
            presets,
            _typed(custom.get("start")),
            _typed(custom.get("end")),
            _typed(timezone.now()),
        )


def pills_of(
    address: Address, labels: Mapping[str, str | Promise], words: Mapping[str, str] | None = None
) -> list[Pill]:
    """Return a pill for each value of the filters in ``labels``, named by ``words`` where it has one."""
    return [
        Pill(name, str(label), (words or {}).get(value, value), address.without_value(name, value))
        for name, label in labels.items()
        for value in address.all(name)
    ]


def _typed(moment: datetime | None) -> str:
    """Return a bound as a person types it: ISO 8601 with a blank, to the minute."""
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M") if moment else ""
