"""Content in the admin: its policies."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.audited import AuditedAdmin
from accounts.models import AuditEntry, User
from logs.models import ContentPolicy
from routescope.admin.sections import Section


@admin.register(ContentPolicy)
class ContentPolicyAdmin(AuditedAdmin[ContentPolicy]):
    section, place = Section.PRIVACY, 1
    about = _lazy(
        "How much of input and output may be kept: of a gateway, a group or a token. The strictest one holds."
    )
    fills = _lazy("You add them. Without one, nothing of what people send and models answer is kept.")
    audited_as = AuditEntry.Act.RETENTION
    list_display = ("scope", "level", "changed_at")
    list_select_related = ("gateway", "group", "token")
    autocomplete_fields = ("gateway", "group", "token")
    fields = ("gateway", "group", "token", "level")

    @admin.display(description=_lazy("Of"))
    def scope(self, policy: ContentPolicy) -> str:
        return str(policy).rpartition(": ")[0]

    def audit_subject(self, obj: ContentPolicy) -> User | None:
        return obj.token.owner if obj.token else None
