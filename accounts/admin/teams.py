"""Teams in the Django admin: who is in them, from when on and until when, and who leads them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.audited import AuditedAdmin
from accounts.models import AuditEntry, Membership, Team
from routescope.admin.sections import Section


class MembershipInline(admin.TabularInline[Membership, Team]):
    """Whoever may change a team changes who is in it."""

    model = Membership
    autocomplete_fields = ("user",)
    fields = ("user", "since", "until", "records_from", "told_by")
    readonly_fields = ("told_by",)
    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("accounts.view_team") or self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("accounts.change_team")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("accounts.change_team" if obj else "accounts.add_team")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)


@admin.register(Team)
class TeamAdmin(AuditedAdmin[Team]):
    section, place = Section.PEOPLE, 4
    about = _lazy("People whose records somebody answers for: the leads see them, without content.")
    fills = _lazy("You make one, and choose its members and leads.")
    audited_as = AuditEntry.Act.PEOPLE
    list_display = ("name", "members", "led_by", "told_by")
    list_select_related = ("told_by",)
    search_fields = ("name", "external_id")
    search_help_text = _lazy("Name, or the gateway's ID.")
    sortable_by = ()
    ordering = ("name", "id")
    autocomplete_fields = ("leads",)
    readonly_fields = ("told_by", "external_id")
    fieldsets = (
        (
            None,
            {
                "fields": ("name", "leads", ("told_by", "external_id")),
                "description": _lazy(
                    "Leads see the members' records in the console, without what these sent and were"
                    " answered. From when on they see them, and until when, each member's line says."
                ),
            },
        ),
    )
    inlines = (MembershipInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        here = Q(memberships__until=None, memberships__isnull=False)
        counted = Count("memberships__user", filter=here, distinct=True)
        return super().get_queryset(request).annotate(members_now=counted).prefetch_related("leads")

    @admin.display(description=_lazy("Members"))
    def members(self, team: Team) -> int:
        return int(getattr(team, "members_now", 0))

    @admin.display(description=_lazy("Leads"))
    def led_by(self, team: Team) -> str:
        return ", ".join(str(lead) for lead in team.leads.all())
