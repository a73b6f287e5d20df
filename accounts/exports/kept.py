"""How long exports are kept."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from routescope.contracts.keeping import Kept


def kept(user: User) -> list[Kept]:
    """Return how long the files of a person's exports are kept."""
    days = settings.EXPORT_DAYS
    how_long = ngettext("%(n)s day", "%(n)s days", days) % {"n": days}
    return [Kept(_("Exports"), how_long, _("You can delete one sooner under Exports."))]
