"""The audit log: read by admins, written by what it tells about, changed by nobody."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _lazy

from accounts.models import AuditEntry
from routescope.admin import ReadOnlyAdmin
from routescope.admin.chosen import Chosen
from routescope.admin.sections import Section


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    section, place = Section.PRIVACY, 2
    about = _lazy(
        "Who looked at whose content, exported records, or changed prices, people, gateways or what is kept."
    )
    fills = _lazy("The product writes an entry with each such act. Nobody can change or delete one.")
    list_display = ("at", "actor", "act", "subject", "object", "ip")
    list_filter = ("act", ("actor", Chosen), ("subject", Chosen))
    list_select_related = ("actor", "subject")
    search_fields = ("actor__email", "actor__name", "subject__email", "subject__name", "object")
