"""What is kept, in the admin: the policies of content, beside the clocks of everything and what goes next."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.audited import AuditedAdmin
from accounts.models import AuditEntry, User
from logs.models import ContentPolicy
from routescope.admin import clocks
from routescope.admin.sections import Section
from routescope.data.troubles import trouble_of

_MOST_ENTRIES = 10
_MOST_READ = 5_000
"""Of the newest of the audit log, as many are looked at."""


@admin.register(ContentPolicy)
class ContentPolicyAdmin(AuditedAdmin[ContentPolicy]):
    section, place = Section.PRIVACY, 1
    index_name = _lazy("Retention and content policies")
    change_list_template = "admin/logs/contentpolicy/change_list.html"
    about = _lazy(
        "How much of input and output may be kept: of a gateway, a group or a token. The strictest one holds."
    )
    fills = _lazy("You add them. Without one, nothing of what people send and models answer is kept.")
    audited_as = AuditEntry.Act.RETENTION
    list_display = ("scope", "level", "changed_at")
    list_select_related = ("gateway", "group", "token")
    autocomplete_fields = ("gateway", "group", "token")
    fields = ("gateway", "group", "token", "level")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.dry_run_view)
        return [path("dry-run/", view, name="logs_contentpolicy_dry_run"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The policies, under how long what is kept; and who changed either last, for who may read that."""
        context: dict[str, Any] = {"title": _("Retention and content policies"), "stores": clocks.stores()}
        if request.user.has_perm("accounts.view_auditentry"):
            entries = AuditEntry.objects.filter(
                act=AuditEntry.Act.RETENTION,
                pk__in=AuditEntry.objects.order_by("-id").values("id")[:_MOST_READ],
            )
            context["entries"] = entries.select_related("actor").order_by("-id")[:_MOST_ENTRIES]
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def dry_run_view(self, request: HttpRequest) -> HttpResponse:
        """The same page, with what a run of retention would drop now. Nothing is dropped."""
        self.require_view(request)
        try:
            with transaction.atomic():
                told = {"dry_run": clocks.dry_run() or [_("Nothing would be dropped.")]}
        except OperationalError as error:
            if trouble_of(error) is None:
                raise
            told = {
                "dry_run": [
                    _("Counting takes longer than a page may. “manage.py retention --dry-run” has the time.")
                ]
            }
        return self.changelist_view(request, told)

    @admin.display(description=_lazy("Of"))
    def scope(self, policy: ContentPolicy) -> str:
        return str(policy.gateway or policy.group or policy.token)

    def audit_subject(self, obj: ContentPolicy) -> User | None:
        return obj.token.owner if obj.token else None
