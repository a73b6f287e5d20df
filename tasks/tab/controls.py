"""What stands over the list: the filters' menus and pills."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from routescope.data.keyset import Cursor
from routescope.filters.address import Address
from routescope.filters.filter_set import FilterMenu, Option, Pill, RangeMenu, pills_of
from tasks.models import AsyncTask, TaskStatus, TaskType
from tasks.tab.filters import NARROWING, TaskFilter

_NAMES_FROM = 5_000
"""Of a person's newest tasks the platforms and models are offered to choose from; others can be typed in a
URL.
"""


@dataclass(frozen=True, slots=True)
class TaskControls:
    range: RangeMenu
    menus: list[FilterMenu]
    pills: list[Pill]
    reset: Address

    @classmethod
    def of(cls, filters: TaskFilter) -> TaskControls:
        return cls(RangeMenu.of(filters), _menus(filters), _pills(filters), filters.address.only())


def _pills(filters: TaskFilter) -> list[Pill]:
    platforms = {name: filters.catalogue.label(name) for name in filters.address.all("platform")}
    words = {str(value): str(label) for value, label in (*TaskType.choices, *TaskStatus.choices)}
    labels = {name: str(filters.filters[name].label) for name in NARROWING}
    return pills_of(filters.address, labels, words | platforms)


def _menus(filters: TaskFilter) -> list[FilterMenu]:
    """Return the menus of values, each with what is chosen in it."""
    newest = AsyncTask.objects.visible_to(filters.user).newest(Cursor(), _NAMES_FROM)
    seen = set(newest.values_list("platform", "model__name"))
    platforms = sorted({platform for platform, _ in seen if platform})
    models = sorted({model for _, model in seen if model})
    return [
        _menu(filters, "type", TaskType.choices),
        _menu(filters, "status", TaskStatus.choices),
        _menu(filters, "platform", [(name, filters.catalogue.label(name)) for name in platforms], typed=True),
        _menu(filters, "model", [(name, name) for name in models], typed=True),
        _menu(
            filters, "token", [(name, name) for name in filters.tokens], typed=True, now=filters.tokens.now
        ),
    ]


def _menu(
    filters: TaskFilter,
    name: str,
    values: Iterable[tuple[object, object]],
    *,
    typed: bool = False,
    now: Callable[[str], str] = str,
) -> FilterMenu:
    chosen = [now(value) for value in filters.address.all(name)]
    known = {str(value): str(label) for value, label in values}
    missing = {value: value for value in chosen if value not in known}
    options = [Option(value, label, value in chosen) for value, label in (missing | known).items()]
    return FilterMenu(name, str(filters.filters[name].label), options, typed=typed)
