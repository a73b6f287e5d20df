"""What stands over the list: the filters' menus and pills."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from django.urls import reverse

from accounts.scopes.menu import menu_of_people
from routescope.filters.address import Address
from routescope.filters.filter_set import FilterMenu, Option, Pill, RangeMenu, pills_of
from tasks.models import (
    FAILED_STATUSES,
    MADE_STATUSES,
    OPEN_STATUSES,
    STATUS_MARKS,
    TaskStatus,
    TaskType,
)
from tasks.outcomes.causes import TaskCause
from tasks.sums import counts
from tasks.tab.filters import ATTENTION, NARROWING, TaskFilter


@dataclass(frozen=True, slots=True)
class TaskControls:
    """``listed`` leads to the list of every state, ``failures`` to the tasks that failed; ``order_switch``
    puts what failed and runs first, or no longer. ``counts`` is where an open menu asks how many tasks each
    value has.
    """

    range: RangeMenu
    menus: list[FilterMenu]
    pills: list[Pill]
    reset: Address
    listed: Address
    failures: Address
    is_of_failures: bool
    order_switch: Address
    counts: str

    @classmethod
    def of(cls, filters: TaskFilter) -> TaskControls:
        address = filters.address
        return cls(
            range=RangeMenu.of(filters),
            menus=_menus(filters),
            pills=_pills(filters),
            reset=address.only("order"),
            listed=address.without("status"),
            failures=address.with_all("status", FAILED_STATUSES),
            is_of_failures=set(address.all("status")) == set(FAILED_STATUSES),
            order_switch=address.with_(order="" if filters.is_by_attention else ATTENTION),
            counts="" if filters.searched_id else reverse("tasks-counts"),
        )


@dataclass(frozen=True, slots=True)
class StatusFigure:
    """How many of the tasks under the other filters are in a state; ``address`` lists exactly these.

    Where they are listed already, ``chosen``, it leads back to every state. ``share`` is of all of them.
    """

    status: str
    label: str
    mark: str
    count: int
    share: Decimal | None
    address: Address
    chosen: bool


@dataclass(frozen=True, slots=True)
class StatusFigures:
    """``tasks`` are all under the other filters, ``listed`` those in the states chosen; ``success`` is the
    share of those that have ended (0 to 1).
    """

    tasks: int
    listed: int
    success: Decimal | None
    figures: list[StatusFigure]

    @classmethod
    def of(cls, filters: TaskFilter) -> StatusFigures:
        """Count by state what the filters select, that by state left aside: each count stays a way there."""
        found = counts.by_status(filters.scope, replace(filters.selection, statuses=()))
        address = filters.address
        chosen = filters.selection.statuses
        total = sum(found.values())
        figures = [
            StatusFigure(
                status.value,
                str(status.label),
                STATUS_MARKS.get(status, "neutral"),
                count,
                Decimal(count) / total if total else None,
                address.without("status")
                if chosen == (status.value,)
                else address.with_(status=status.value),
                status.value in chosen,
            )
            for status in _IN_ORDER
            if (count := found.get(status.value, 0)) or status in _ALWAYS or status.value in chosen
        ]
        ended = sum(count for status, count in found.items() if status not in OPEN_STATUSES)
        made = sum(found.get(status, 0) for status in MADE_STATUSES)
        listed = sum(found.get(status, 0) for status in chosen) if chosen else total
        return cls(total, listed, Decimal(made) / ended if ended else None, figures)


_ALWAYS = (TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.SUCCEEDED, TaskStatus.FAILED)
_IN_ORDER = (
    TaskStatus.FAILED,
    TaskStatus.MODERATED,
    TaskStatus.EXPIRED,
    TaskStatus.RUNNING,
    TaskStatus.QUEUED,
    TaskStatus.UNKNOWN,
    TaskStatus.SUCCEEDED,
    TaskStatus.PARTIALLY_SUCCEEDED,
    TaskStatus.CANCELLED,
)


def _pills(filters: TaskFilter) -> list[Pill]:
    platforms = {name: filters.catalogue.label(name) for name in filters.address.all("platform")}
    choices = (*TaskType.choices, *TaskStatus.choices, *TaskCause.choices)
    words = {str(value): str(label) for value, label in choices}
    labels = {name: str(filters.filters[name].label) for name in NARROWING}
    chosen = [int(number) for number in filters.address.all("person") if number.isdecimal()]
    filters.people.learn(chosen)
    words |= {str(number): filters.people.of[number] for number in chosen if number in filters.people.of}
    return pills_of(filters.address, labels, words | platforms)


def _menus(filters: TaskFilter) -> list[FilterMenu]:
    """Return the menus of values, each with what is chosen in it."""
    platforms = sorted(filters.seen.platforms)
    return [
        *menu_of_people(
            filters.whole,
            filters.people,
            filters.address.all("person"),
            str(filters.filters["person"].label),
            "tasks",
        ),
        _menu(filters, "type", TaskType.choices),
        _menu(filters, "status", TaskStatus.choices),
        _menu(filters, "cause", TaskCause.choices),
        _menu(filters, "platform", [(name, filters.catalogue.label(name)) for name in platforms], typed=True),
        *(
            _menu(filters, name, [(one, one) for one in known], typed=True, now=known.now)
            for name, known in (
                ("model", filters.models),
                ("token", filters.tokens),
                ("group", filters.groups),
            )
            # Many gateways know no groups.
            if name != "group" or known or filters.address.all(name)
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
