"""What a tab's filters look like on the page: their menus, and a pill for each value that is on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.functional import Promise

from routescope.data.ranges import Preset
from routescope.filters.address import Address
from routescope.filters.filter_set import CUSTOM, RangeFilterSet


@dataclass(frozen=True, slots=True)
class Pill:
    """A filter that is on, by its parameter, and the address of the view without it."""

    name: str
    label: str
    value: str
    without: Address


@dataclass(frozen=True, slots=True)
class Option:
    """A value that a filter's menu offers, or a field of it with what was typed."""

    value: str
    label: str
    chosen: bool
    typed: str = ""


@dataclass(frozen=True, slots=True)
class FilterMenu:
    """A menu of values. ``typed``: has a box to type into, for long lists."""

    name: str
    label: str
    options: list[Option]
    typed: bool

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
    """The menu of the range of time. ``start`` and ``end`` are those of a custom one, as fields take them."""

    label: str
    presets: list[Link]
    start: str
    end: str

    @classmethod
    def of(cls, filters: RangeFilterSet) -> RangeMenu:
        presets = [
            Link(filters.address.over(preset), str(preset.label), preset.value == filters.preset)
            for preset in Preset
        ]
        custom = filters.form.cleaned_data if filters.preset == CUSTOM else {}
        return cls(filters.range_label, presets, _typed(custom.get("start")), _typed(custom.get("end")))


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
    """Return a bound as a datetime-local field takes it."""
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M") if moment else ""
