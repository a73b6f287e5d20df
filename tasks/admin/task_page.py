"""One async task in the admin: the console's own details, whoever's it is, and what only admins need.

What it made is content, and not read for this page: looking at it is a page of its own, which the audit log
keeps (`accounts.admin.looking`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.looking import ContentViews
from accounts.models import Gateway, User
from routescope.admin import KeysetAdmin
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
        return (
            listing.named(AsyncTask.objects.filter(pk=identifier)).select_related("group", "gateway").first()
        )

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        task = kwargs.get("obj")
        if isinstance(task, AsyncTask):
            context |= page(request, task)
        return super().render_change_form(request, context, *args, **kwargs)

    def content_of(self, request: HttpRequest, row: AsyncTask) -> dict[str, Any]:
        """Return what it made. Its media are links: the frames of the console are their owner's alone."""
        known, reader = catalogue(), request.user
        return {"task": row, "details": replace(presentation.details_of(row, known, reader), media=[])}


def page(request: HttpRequest, task: AsyncTask) -> dict[str, Any]:
    """Return what the page of one task shows."""
    is_own = task.user_id in getattr(request.user, "ids", ())
    return {
        "in_admin": True,
        "task": task,
        # As somebody who may read no content sees it.
        "details": presentation.details_of(task, catalogue(), AnonymousUser()),
        "owner": User.objects.select_related("merged_into").filter(pk=task.user_id).first(),
        "gateway": Gateway.objects.filter(pk=task.gateway_id).first(),
        "console_url": task.permalink if is_own else "",
        "is_late": task.next_poll_at is not None and task.next_poll_at < timezone.now(),
    }
