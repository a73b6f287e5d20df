"""How long usage is kept, and what of it goes next, for the admin's page of what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from logs.ingest.rows import TABLE as RECORDS
from logs.maintenance import retention
from logs.models.content import TABLE as CONTENT
from routescope.admin import clocks
from routescope.admin.clocks import Store
from routescope.data import partitions
from routescope.data.partitions import Day, Partition


def _stores() -> Sequence[Store]:
    """Return what is kept, from the catalogue of partitions alone: their rows are estimates."""
    days, months, years = (
        settings.CONTENT_RETENTION_DAYS,
        settings.RECORD_RETENTION_MONTHS,
        settings.ROLLUP_RETENTION_YEARS,
    )
    return [
        _parts(
            CONTENT,
            _("Input and output"),
            ngettext("%(n)s day", "%(n)s days", days) % {"n": days},
            "CONTENT_RETENTION_DAYS",
            days,
            _("As the policies below allow; encrypted."),
        ),
        _parts(
            RECORDS,
            _("Usage records"),
            ngettext("%(n)s month", "%(n)s months", months) % {"n": months},
            "RECORD_RETENTION_MONTHS",
            months,
            _("With their cost, tokens, errors and request parameters."),
        ),
        Store(
            _("Daily and hourly totals"),
            ngettext("%(n)s year", "%(n)s years", years) % {"n": years},
            "ROLLUP_RETENTION_YEARS",
            _("Figures and comparisons still work after the single records are gone."),
            oldest=retention.Clocks.at(timezone.now()).sums,
        ),
    ]


def _parts(table: str, what: str, kept: str, setting: str, length: int, note: str) -> Store:
    """Return a store of partitions. Empty ones that lie ahead hold nothing, and are not told of."""
    found = [one for one in partitions.existing(table) if one.period.start <= timezone.now()]
    oldest = found[0] if found else None
    return Store(
        what,
        kept,
        setting,
        note,
        rows=sum(one.rows for one in found),
        size=sum(one.size for one in found),
        oldest=oldest.period.start if oldest else None,
        goes=_named(oldest) if oldest else "",
        goes_at=_goes_at(oldest, length) if oldest else None,
        goes_rows=oldest.rows if oldest else None,
    )


def _named(partition: Partition) -> str:
    return partition.period.suffix.replace("_", "-")


def _goes_at(partition: Partition, length: int) -> datetime:
    """Return from when on a run of retention drops it: all of it must be older than is kept."""
    return max(partition.period.plus(1 + length).start, _next_run())


def _next_run() -> datetime:
    """Return when what is due already goes: with the next night's run."""
    return Day.of(timezone.now()).plus(1).start


def _dry_run() -> Sequence[str]:
    return [line for line in retention.run(dry=True).lines if line != retention.NOTHING]


clocks.register("usage", 10, _stores, _dry_run)
