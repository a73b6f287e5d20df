"""One async task in the admin: the console's own details, whoever's it is, and what only admins need.

What it made is content, and not read for this page: looking at it is a page of its own, which the audit log
keeps (`accounts.admin.looking`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.looking import ContentViews
from accounts.models import Gateway, User
from accounts.scopes.deciding import of_person, viewer_of
from routescope.admin import KeysetAdmin
from routescope.data.scopes import Scope
from tasks.models import AsyncTask
from tasks.providers.catalogue import catalogue
from tasks.tab import listing, presentation


class TaskPage(ContentViews[AsyncTask], KeysetAdmin[AsyncTask]):
    """Shows a task as the console does (`templates/tasks/details/`), and how it is followed."""

    change_form_template = "admin/tasks/asynctask/change_form.html"
    content_template = "admin/tasks/asynctask/content.html"
    content_name = _lazy("Result")
    fieldsets = ((None, {"fields": ()}),)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> AsyncTask | None:
        try:
            identifier = UUID(object_id)
        except ValueError:
            return None
        found = listing.named(AsyncTask.objects.filter(pk=identifier))
        return found.select_related("group", "gateway", "user__merged_into").first()

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        task = kwargs.get("obj")
        if isinstance(task, AsyncTask):
            context |= page(request, task)
        return super().render_change_form(request, context, *args, **kwargs)

    def content_of(self, request: HttpRequest, row: AsyncTask) -> dict[str, Any]:
        """Return what it made. Its media are links: the frames of the console are the console's alone."""
        details = presentation.details_of(row, catalogue(), _scope(request, row), is_asked=True)
        return {"task": row, "details": replace(details, media=[])}


def page(request: HttpRequest, task: AsyncTask) -> dict[str, Any]:
    """Return what the page of one task shows."""
    scope = _scope(request, task)
    return {
        "in_admin": True,
        "task": task,
        "scope": scope,
        "details": presentation.details_of(task, catalogue(), scope, content=False),
        "owner": task.user,
        "gateway": Gateway.objects.filter(pk=task.gateway_id).first(),
        "is_late": task.next_poll_at is not None and task.next_poll_at < timezone.now(),
    }


def _scope(request: HttpRequest, task: AsyncTask) -> Scope:
    whole = cast("User", task.user.merged_into or task.user)
    return of_person(viewer_of(request), whole)
