"""How long tasks are kept, for the admin's page of what is kept."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from routescope.admin import clocks
from routescope.admin.clocks import Store
from tasks.maintenance import retention


def _stores() -> Sequence[Store]:
    months, days = settings.RECORD_RETENTION_MONTHS, settings.CONTENT_RETENTION_DAYS
    return [
        Store(
            _("Async tasks"),
            ngettext("%(n)s month", "%(n)s months", months) % {"n": months},
            "RECORD_RETENTION_MONTHS",
            _("With their timeline. They go with the records' months, row by row."),
        ),
        Store(
            _("Text and data that tasks made"),
            ngettext("%(n)s day", "%(n)s days", days) % {"n": days},
            "CONTENT_RETENTION_DAYS",
            _("Under the same policies. Images, audio and video stay at the provider."),
        ),
    ]


def _dry_run() -> Sequence[str]:
    return retention.run(dry=True).lines


clocks.register("tasks", 20, _stores, _dry_run)
