"""Looking at what is somebody's content, in the admin: hidden until asked for, and asking is kept."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.functional import Promise

from accounts.models import AuditEntry
from accounts.staff import audit
from accounts.staff.rights import READ_CONTENT

_Row = TypeVar("_Row", bound=models.Model)


class ContentViews(admin.ModelAdmin[_Row]):
    """Adds a page to rows that are each somebody's (``user``) and may have content."""

    content_template: ClassVar[str]
    content_name: ClassVar[str | Promise]
    """What is looked at, for the page's title."""

    def content_of(self, request: HttpRequest, row: _Row) -> dict[str, Any]:
        """Return what the page shows of a row's content, for its template. Called once asking is kept."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.content_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_content"
        return [path("<path:object_id>/content/", view, name=name), *super().get_urls()]

    def content_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET tells that looking is kept; POST keeps it, and shows the content."""
        if not self.has_view_permission(request) or not request.user.has_perm(READ_CONTENT):
            raise PermissionDenied
        row: Any = self.get_object(request, object_id)
        if row is None:
            raise Http404
        shown: dict[str, Any] = {}
        if request.method == "POST":
            with transaction.atomic():
                audit.note(request, AuditEntry.Act.CONTENT, row.user, str(row))
                shown = self.content_of(request, row)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "row": row,
            "title": f"{self.content_name}: {row}",
            "is_shown": bool(shown),
            **shown,
        }
        return TemplateResponse(request, self.content_template, context)
