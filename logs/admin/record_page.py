"""One usage record in the admin: the console's own details, whoever's it is, and what only admins need.

Its content is not read for this page: looking at it is a page of its own, which the audit log keeps
(`accounts.admin.looking`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.looking import ContentViews
from accounts.models import ApiToken, Gateway, User
from accounts.scopes.deciding import of_person, viewer_of
from logs.content import contents
from logs.models import Level, UsageRecord
from logs.record import details
from logs.record.content_shown import shown
from logs.record.details import CALLED, Details
from routescope.admin import KeysetAdmin


class RecordPage(ContentViews[UsageRecord], KeysetAdmin[UsageRecord]):
    """Shows a record as the console does (`templates/logs/details/`), with links to the admin's own pages."""

    change_form_template = "admin/logs/usagerecord/change_form.html"
    content_template = "admin/logs/usagerecord/content.html"
    content_name = _lazy("Input and output")
    fieldsets = ((None, {"fields": ()}),)

    def content_of(self, request: HttpRequest, row: UsageRecord) -> dict[str, Any]:
        return {"record": row, "content": shown(row, contents.load(row.user_id, [row.pk]))}

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> UsageRecord | None:
        """Find the record through the index on its time: there is none on the id alone."""
        try:
            records = UsageRecord.objects.by_id(UUID(object_id))
        except (ValueError, OverflowError):
            return None
        return next(iter(records.select_related("model", *CALLED)[:1]), None)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        record = kwargs.get("obj")
        if isinstance(record, UsageRecord):
            context |= page(request, record)
        return super().render_change_form(request, context, *args, **kwargs)


def page(request: HttpRequest, record: UsageRecord) -> dict[str, Any]:
    """Return what the page of one record shows. Names that are gone are None: their numbers are shown."""
    owner: User | None = User.objects.select_related("merged_into").filter(pk=record.user_id).first()
    whole = cast("User", owner.merged_into or owner) if owner else User(pk=record.user_id)
    scope = of_person(viewer_of(request), whole)
    return {
        "in_admin": True,
        "record": record,
        "details": _in_admin(record, details.of(scope, [record], content=False)[record.id]),
        "owner": owner,
        "gateway": Gateway.objects.filter(pk=record.gateway_id).first(),
        "scope": scope,
        "no_content": _why_no_content(record),
    }


def _in_admin(record: UsageRecord, found: Details) -> Details:
    """Return the details with the token's page of the admin: the console's is its owner's alone."""
    token = cast("ApiToken | None", record.token)
    url = reverse("admin:accounts_apitoken_change", args=[token.pk]) if token else ""
    return replace(found, token_url=url, limits_url=url if found.limits_url else "")


def _why_no_content(record: UsageRecord) -> str:
    """Say why there is no content to look at; nothing where there may be some."""
    if record.content is None:
        return _("Never captured: the gateway sent neither input nor output.")
    if record.content == Level.OFF:
        return _("Never captured: the content policy for this gateway, group or token was off.")
    return ""
