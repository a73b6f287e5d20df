"""The rows of the list as they are shown: each value a text, so that a template has but to place them.

A page of records as models, and its values through template tags, would take most of the whole page's time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from logs.filters.vocabulary import Vocabulary
from logs.listing.columns import COLUMNS, Listed
from logs.models import UsageRecord
from logs.record.details import Details
from routescope.text import formatting


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
    columns: Iterable[str],
    names: Vocabulary,
    day_before: date | None = None,
    opened: Mapping[UUID, Details] | None = None,
) -> Iterator[ListRow]:
    """Yield the rows of records in order, with the chosen columns (`logs.listing.columns.COLUMNS`).

    They follow rows of ``day_before``, whose heading stands already.
    """
    shown = [(column.kind, column.cell) for name, column in COLUMNS.items() if name in columns]
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
            day=formatting.day(day) if day != last else "",
            url=f"{before}{one.id}{after}",
            label=details % {"id": short},
            time=formatting.clock(at),
            request_id=one.request_id,
            short_id=short,
            cells=[(kind, conditional_escape(cell(one, names))) for kind, cell in shown],
            record=record if isinstance(record, UsageRecord) else None,
            details=(opened or {}).get(one.id),
        )
        last = day


_NOBODY = UUID(int=0)
