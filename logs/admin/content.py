"""Content in the admin: policies, and looking at somebody's input and output, which the audit log keeps."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.audited import AuditedAdmin
from accounts.models import AuditEntry, User
from accounts.staff import audit
from accounts.staff.rights import READ_CONTENT
from logs.content import contents
from logs.models import ContentPolicy, Level, UsageRecord
from logs.record.content_shown import ContentShown, shown
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


class ContentViews(admin.ModelAdmin[UsageRecord]):
    """Lets an admin who may look at a record's content. Hidden until asked for; asking is kept."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.content_view)
        return [path("<path:object_id>/content/", view, name="logs_usagerecord_content"), *super().get_urls()]

    def content_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET tells that looking is kept; POST keeps it, and shows the content."""
        if not self.has_view_permission(request) or not request.user.has_perm(READ_CONTENT):
            raise PermissionDenied
        record = self.get_object(request, object_id)
        if record is None:
            raise Http404
        content: ContentShown | None = None
        if request.method == "POST":
            with transaction.atomic():
                audit.note(request, AuditEntry.Act.CONTENT, record.user, record.request_id)
                content = shown(record, contents.load(record.user_id, [record.pk]))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "record": record,
            "content": content,
            "title": _("Input and output of %(id)s") % {"id": record.request_id},
        }
        return TemplateResponse(request, "admin/logs/usagerecord/content.html", context)

    @staticmethod
    def content_note(record: UsageRecord) -> str:
        """Say why there is no content to look at; nothing where there may be some."""
        if record.content is None:
            return _("Never captured: the gateway sent neither input nor output.")
        if record.content == Level.OFF:
            return _("Never captured: the content policy for this gateway, group or token was off.")
        return ""
