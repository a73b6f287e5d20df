"""The list as a table: its columns, and the rows of tasks as they are shown.

Each value is a text, so that a template has but to place it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from django.urls import reverse
from django.utils import timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l
from django_stubs_ext import StrPromise

from accounts.gateways.error_texts import NOT_KEPT
from routescope.filters.address import Address
from routescope.text import formatting
from tasks.models import AsyncTask, TaskStatus
from tasks.outcomes.causes import TaskCause, cause_of
from tasks.providers.catalogue import Catalogue
from tasks.tab import listing
from tasks.tab.made import words_of
from tasks.tab.presentation import Details

_MOST_LETTERS = 140
"""Of a failure's reason in a list: the details have the whole."""


@dataclass(slots=True)
class Context:
    """What a list's values are written with: ``address`` is the list's own, without paging."""

    address: Address
    catalogue: Catalogue
    _ways: dict[tuple[str, str], str] = field(default_factory=dict)

    def way(self, name: str, value: str, text: str, looks: str = "", title: str = "") -> SafeString:
        """Return a value as a link that narrows the list to it; as text where it is narrowed already."""
        said = format_html(' title="{}"', title) if title else ""
        if value in self.address.all(name):
            if not looks and not said:
                return conditional_escape(text)
            return format_html('<span class="{}"{}>{}</span>', looks, said, text)
        key = (name, value)
        if key not in self._ways:
            self._ways[key] = str(self.address.with_(**{name: value}))
        return format_html(
            '<a class="{}" href="{}"{}>{}</a>', f"by {looks}".strip(), self._ways[key], said, text
        )


@dataclass(frozen=True, slots=True)
class TaskColumn:
    """``kind`` are its classes. ``moves``: it changes while a task is open."""

    label: StrPromise
    kind: str
    cell: Callable[[AsyncTask, Context], str]
    moves: bool = False
    heading: StrPromise | str = ""


def _person(task: AsyncTask, shown: Context) -> str:
    return shown.way("person", str(task.user.canonical_id), task.user.called)


def _platform(task: AsyncTask, shown: Context) -> str:
    return shown.way(
        "platform", task.platform, shown.catalogue.label(task.platform)
    ) if task.platform else formatting.UNKNOWN  # fmt: skip


def _type(task: AsyncTask, shown: Context) -> str:
    return shown.way("type", task.type, task.get_type_display())


def _model(task: AsyncTask, shown: Context) -> str:
    return _named("model", task.model.name if task.model else "", shown)


def _token(task: AsyncTask, shown: Context) -> str:
    return _named("token", task.token.called if task.token else "", shown)


def _group(task: AsyncTask, shown: Context) -> str:
    return _named("group", task.group.called if task.group else "", shown)


def _named(name: str, called: str, shown: Context) -> str:
    return shown.way(name, called, called) if called else formatting.UNKNOWN


def _status(task: AsyncTask, shown: Context) -> str:
    """Return its state; of one that failed with the cause; and the provider's own word on hover."""
    cause = cause_of(task) if task.status in (TaskStatus.FAILED, TaskStatus.PARTIALLY_SUCCEEDED) else None
    title = _("The provider says: %(word)s") % {"word": task.provider_status} if task.provider_status else ""
    word = str(task.get_status_display())
    status = shown.way("status", task.status, word, f"status status-{task.mark}", title)
    if cause is None or cause is TaskCause.UNKNOWN:
        return status
    return format_html("{} · {}", status, shown.way("cause", cause.value, str(cause.label)))


def _outcome(task: AsyncTask, shown: Context) -> str:
    """Return how far it is, why it failed, or what it made: in a few words."""
    if not task.is_final:
        if task.progress is None:
            return ""
        return format_html(
            '<span class="task-progress"><progress max="100" value="{}" aria-label="{}"></progress>'
            " {}%</span>",
            task.progress,
            _("Progress"),
            task.progress,
        )
    if task.status != TaskStatus.SUCCEEDED and (said := _reason(task)):
        return said
    made = words_of(task)
    if made and task.result_expires_at and task.result_expires_at <= timezone.now():
        return _("%(made)s, expired") % {"made": made}
    return made


def _reason(task: AsyncTask) -> str:
    message = "" if task.failure_message == NOT_KEPT else task.failure_message
    said = " ".join((message or task.failure_code).split())
    return said if len(said) <= _MOST_LETTERS else f"{said[: _MOST_LETTERS - 1]}…"


def _cost(task: AsyncTask, shown: Context) -> str:
    cost = formatting.money_call(task.cost)
    if not task.refund:
        return cost
    title = _("%(amount)s refunded") % {"amount": formatting.money_exact(task.refund)}
    return format_html(
        '<span title="{}"><s>{}</s><span class="visually-hidden"> {}</span></span>',
        title,
        cost,
        _("refunded"),
    )


def _expiry(task: AsyncTask, shown: Context) -> str:
    left = task.result_lifetime_left
    if left is None:
        return ""
    return formatting.duration(left) if left.total_seconds() > 0 else _("expired")


COLUMNS: Mapping[str, TaskColumn] = {
    "platform": TaskColumn(_l("Platform"), "c-platform", _platform),
    "type": TaskColumn(_l("Type"), "c-type", _type),
    "model": TaskColumn(_l("Model"), "c-model", _model),
    "token": TaskColumn(_l("Token"), "c-token", _token),
    "group": TaskColumn(_l("Group"), "c-group", _group),
    "status": TaskColumn(_l("Status"), "c-status", _status, moves=True),
    "outcome": TaskColumn(
        _l("Progress, reason or result"), "c-outcome", _outcome, moves=True, heading=_l("Outcome")
    ),
    "expiry": TaskColumn(_l("Result expires in"), "c-extra num", _expiry, heading=_l("Expires in")),
    "cost": TaskColumn(_l("Cost"), "c-cost", _cost, moves=True),
    "duration": TaskColumn(
        _l("Duration"), "c-duration", lambda task, shown: formatting.duration(task.duration), moves=True
    ),
}
"""The columns to choose from, in their order. Time and task ID always stand."""
PERSON = TaskColumn(_l("Person"), "c-person", _person)
"""Whose a task is: stands where the tasks of several people are listed."""


@dataclass(frozen=True, slots=True)
class TaskCell:
    """``name`` is set where it changes while its task is open, and is found again by it."""

    name: str
    kind: str
    text: SafeString


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A row of the list. ``heading`` stands before it, where a day or a part of the list begins; ``details``
    are those of a task that stands open.
    """

    task: AsyncTask
    heading: str
    url: str
    label: str
    time: str
    ago: str
    short_id: str
    cells: list[TaskCell]
    details: Details | None = None


def rows_of(
    tasks: Iterable[AsyncTask],
    columns: Mapping[str, TaskColumn],
    shown: Context,
    *,
    by_attention: bool = False,
    details: Details | None = None,
    query: str = "",
) -> Iterator[TaskRow]:
    """Yield the rows of tasks in order, with these columns. ``query`` comes after each task's address."""
    words = _("Details of %(id)s")
    last, now = "", timezone.now()
    for task in tasks:
        short = formatting.short_id(task.task_id)
        heading = formatting.day(task.local_day)
        if by_attention:
            heading = f"{_PARTS[listing.part_of(task)]} · {heading}"
        yield TaskRow(
            task=task,
            heading=heading if heading != last else "",
            url=reverse("task", args=[task.pk]) + query,
            label=words % {"id": short},
            time=formatting.clock(task.submitted_at),
            ago=formatting.ago(task.submitted_at, now),
            short_id=short,
            cells=list(cells_of(task, columns, shown, is_named=not task.is_final)),
            details=details,
        )
        last = heading


def cells_of(
    task: AsyncTask, columns: Mapping[str, TaskColumn], shown: Context, *, is_named: bool
) -> Iterator[TaskCell]:
    """Yield a row's cells after time and ID."""
    for name, column in columns.items():
        yield TaskCell(
            f"{name}-{task.pk.hex}" if is_named and column.moves else "",
            column.kind,
            conditional_escape(column.cell(task, shown)),
        )


_PARTS = (_l("Failed"), _l("Under way"), _l("Ended otherwise"))
"""What the parts of the list by attention are called (`listing.PARTS`)."""
