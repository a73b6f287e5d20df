"""How long a person's tasks and their results are kept."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from routescope.contracts.keeping import Kept


def kept(user: User) -> list[Kept]:
    """Return how long tasks, what they made, and links to it are kept."""
    months, days = settings.RECORD_RETENTION_MONTHS, settings.CONTENT_RETENTION_DAYS
    return [
        Kept(
            _("Async tasks"),
            ngettext("%(n)s month", "%(n)s months", months) % {"n": months},
            _("With their status, timeline, cost and failure reason."),
        ),
        Kept(
            _("Text and data that tasks made"),
            ngettext("%(n)s day", "%(n)s days", days) % {"n": days},
            _("Under the same content policy as input and output."),
        ),
        Kept(
            _("Images, audio and video that tasks made"),
            _("As long as the provider serves them"),
            _("Links are kept here, not the files. Download what you need before a link expires."),
        ),
    ]
