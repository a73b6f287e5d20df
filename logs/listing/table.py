"""The list as a table: its columns, and the rows of records as they are shown.

Each value is a text, so that a template has but to place it: a page of records as models, and its values
through template tags, would take most of the whole page's time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l
from django_stubs_ext import StrPromise

from logs.filters.vocabulary import Vocabulary
from logs.models import REQUEST_TYPES, Cause, Status, UsageRecord, status_word
from logs.pricing import unpriced
from logs.record.details import Details
from logs.record.ordered import ordered
from logs.record.tokens import in_and_out
from logs.selection.largest import Sort
from routescope.data.ids import moment_of
from routescope.filters.address import Address
from routescope.text import formatting


class Listed(NamedTuple):
    """What of a record a list may show. Names are looked up: joining them would take as long again.

    ``unpriced`` are the kinds that were used and have no price, as its billing has them. Of a call without
    tokens, ``quantities`` and the receipt's ``lines`` say what was ordered, or its task ``told`` it in words.
    """

    id: UUID
    user_id: int
    request_id: str
    type: int
    status: int
    cause: int
    http_status: int | None
    input_tokens: int
    output_tokens: int
    cost: Decimal | None
    duration_ms: int | None
    ttft_ms: int | None
    endpoint: str | None
    token_id: int | None
    model_id: int | None
    group_id: int | None
    image_count: int | None = None
    task_id: str | None = None
    unpriced: list[dict[str, str]] | None = None
    quantities: dict[str, int | float] | None = None
    lines: list[dict[str, str]] | None = None
    usage_estimated: bool | None = None
    told: str | None = None

    @property
    def created_at(self) -> datetime:
        """The time of the request (UTC), to the millisecond, which its id holds."""
        return moment_of(self.id)

    @classmethod
    def of(cls, record: UsageRecord) -> Listed:
        return cls(*(getattr(record, name) for name in cls._fields if name != "told"))

    @property
    def ordered(self) -> str:
        """What a call without tokens ordered, in words."""
        if self.input_tokens or self.output_tokens:
            return ""
        return ordered(self.image_count, self.quantities, self.lines) or self.told or ""


class Failed(NamedTuple):
    """What a failed call's record says of its error; ``said`` is the beginning of its message."""

    id: UUID
    model_id: int | None
    cause: int
    http_status: int | None
    error_type: str | None
    error_code: str | None
    error_param: str | None
    said: str | None

    @property
    def kind(self) -> str:
        """Its type and code, of which either may say nothing, or both the same."""
        words = dict.fromkeys(word for word in (self.error_type, self.error_code) if word)
        return " · ".join(words)


@dataclass(frozen=True, slots=True)
class ListColumn:
    """``label`` is its name in the menu of columns, and over the column unless that has a ``heading`` or an
    ``abbreviation`` of its own.

    ``kind`` are its classes; ``cell`` writes a record's value; ``sort`` is how a list is sorted by it. Money
    stands point under point.
    """

    label: StrPromise
    kind: str
    cell: Callable[[Listed, Vocabulary], str]
    heading: StrPromise | str = ""
    abbreviation: str = ""
    sort: Sort | None = None
    is_money: bool = False

    def written(self, one: Listed, names: Vocabulary) -> tuple[str, SafeString]:
        """Return a record's cell: its classes and its text."""
        text = self.cell(one, names)
        kind = f"{self.kind} {formatting.point(text)}".rstrip() if self.is_money else self.kind
        return kind, conditional_escape(text)


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's heading. ``sorts`` leads to the list sorted by it, or away from that; None: nothing does.

    ``order`` is the ``aria-sort`` of the column that the list is sorted by.
    """

    column: ListColumn
    sorts: Address | None = None
    order: str = ""

    @classmethod
    def of(cls, column: ListColumn, address: Address, order: Sort | None) -> Heading:
        """Return the heading of a list at an address, which is sorted so."""
        if column.sort is None:
            return cls(column)
        if column.sort == order:
            return cls(column, address.without("sort"), "descending")
        return cls(column, address.with_(sort=column.sort.value))


def _status(one: Listed, names: Vocabulary) -> SafeString:
    look = (
        "neutral" if one.type not in REQUEST_TYPES else "error" if one.status == Status.ERROR else "success"
    )
    word = status_word(one.type, one.status, one.cause, one.http_status)
    return format_html('<span class="status status-{}">{}</span>', look, word)


def _tokens(one: Listed, names: Vocabulary) -> SafeString:
    if words := one.ordered:
        return format_html('<span title="{}">{}</span>', _("Ordered: %(what)s") % {"what": words}, words)
    return in_and_out(one)


def _cost(one: Listed, names: Vocabulary) -> str:
    if one.cost is None:
        title, word = _("No price is known"), _("unpriced")
        if kinds := unpriced.labels(one.unpriced):
            title = _("No price is known for: %(kinds)s.") % {"kinds": ", ".join(kinds)}
            word = _("partly unpriced")
        return format_html('<span class="muted" title="{}">{}</span>', title, word)
    return formatting.money_call(one.cost)


COLUMNS: Mapping[str, ListColumn] = {
    "token": ListColumn(
        _l("Token"), "c-token", lambda one, names: names.tokens.of.get(one.token_id or 0, formatting.UNKNOWN)
    ),
    "model": ListColumn(
        _l("Model"), "c-model", lambda one, names: names.models.of.get(one.model_id or 0, formatting.UNKNOWN)
    ),
    "group": ListColumn(
        _l("Group"), "c-group", lambda one, names: names.groups.of.get(one.group_id or 0, formatting.UNKNOWN)
    ),
    "status": ListColumn(_l("Status"), "c-status", _status),
    "cause": ListColumn(
        _l("Cause"),
        "c-extra",
        lambda one, _names: str(Cause(one.cause).label) if one.status == Status.ERROR else "",
    ),
    "tokens": ListColumn(_l("Tokens"), "c-tokens", _tokens, heading=_l("In › Out"), sort=Sort.TOKENS),
    "cost": ListColumn(_l("Cost"), "c-cost", _cost, sort=Sort.COST, is_money=True),
    "duration": ListColumn(
        _l("Duration"),
        "c-duration",
        lambda one, _names: formatting.duration(one.duration_ms),
        sort=Sort.DURATION,
    ),
    "ttft": ListColumn(
        _l("Time to first token"),
        "c-extra num",
        lambda one, _names: formatting.duration(one.ttft_ms),
        abbreviation="TTFT",
    ),
    "endpoint": ListColumn(
        _l("Endpoint"), "c-extra mono", lambda one, _names: one.endpoint or formatting.UNKNOWN
    ),
}
"""The columns to choose from, in their order. Time and request ID always stand."""
PERSON = ListColumn(
    _l("Person"), "c-person", lambda one, names: names.people.of.get(one.user_id, formatting.UNKNOWN)
)
"""Whose a record is: stands where the records of several people are listed."""


def columns_of_failures(failures: Mapping[UUID, Failed]) -> list[ListColumn]:
    """Return the columns of a list of failed calls, given what their records say of it."""

    return [
        COLUMNS["model"],
        COLUMNS["status"],
        ListColumn(_l("Type"), "c-kind mono", lambda one, _names: _kind(failures.get(one.id))),
        ListColumn(_l("Message"), "c-message", lambda one, _names: _message(failures.get(one.id))),
    ]


def _kind(failed: Failed | None) -> str:
    kind = failed.kind if failed else ""
    return format_html('<span title="{}">{}</span>', kind, kind) if kind else formatting.UNKNOWN


def _message(failed: Failed | None) -> str:
    """Return the parameter that an error is about, and the beginning of its message."""
    said = (failed.said if failed else None) or formatting.UNKNOWN
    whole = format_html('<span title="{}">{}</span>', said, said)
    if failed is None or not failed.error_param:
        return whole
    return format_html('<code title="{}">{}</code> {}', _("Parameter"), failed.error_param, whole)


@dataclass(frozen=True, slots=True)
class ListRow:
    """A row of the list: ``cells`` are a class and a text each.

    ``day`` is the heading before it, where its day begins; ``record`` is the whole record where the row
    stands open, with its ``details``.
    """

    day: str
    url: str
    label: str
    time: str
    request_id: str
    short_id: str
    cells: list[tuple[str, SafeString]]
    record: UsageRecord | None = None
    details: Details | None = None


def rows_of(
    records: Iterable[Listed | UsageRecord],
    columns: Iterable[ListColumn],
    names: Vocabulary,
    day_before: date | None = None,
    opened: Mapping[UUID, Details] | None = None,
    by_day: bool = True,
    query: str = "",
) -> Iterator[ListRow]:
    """Yield the rows of records in order, with these columns. ``query`` comes after each record's address.

    They follow rows of ``day_before``, whose heading stands already. Without ``by_day`` they are in another
    order than that of time: each says its own day.
    """
    shown = list(columns)
    records = list(records)
    names.tokens.learn(record.token_id or 0 for record in records)
    if PERSON in shown:
        names.people.learn(record.user_id for record in records)
    # The same for each: reversed once.
    before, after = reverse("usage-record", args=[_NOBODY]).split(str(_NOBODY))
    details = _("Details of %(id)s")
    last = day_before
    for record in records:
        one = record if isinstance(record, Listed) else Listed.of(record)
        at = one.created_at
        day = timezone.localdate(at)
        short = formatting.short_id(one.request_id)
        yield ListRow(
            day=formatting.day(day) if by_day and day != last else "",
            url=f"{before}{one.id}{after}{query}",
            label=details % {"id": short},
            time=formatting.clock(at) if by_day else formatting.when(at),
            request_id=one.request_id,
            short_id=short,
            cells=[column.written(one, names) for column in shown],
            record=record if isinstance(record, UsageRecord) else None,
            details=(opened or {}).get(one.id),
        )
        last = day


_NOBODY = UUID(int=0)
