"""One usage record in the admin: the console's own details, whoever's it is, and what only admins need.

Its content is not read for this page: looking at it is a page of its own, which the audit log keeps
(`logs.admin.content`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.models import ApiToken, Gateway, User
from logs.admin.content import ContentViews
from logs.models import UsageRecord
from logs.record import details
from logs.record.details import CALLED, Details
from routescope.admin import KeysetAdmin


class RecordPage(ContentViews, KeysetAdmin[UsageRecord]):
    """Shows a record as the console does (`templates/logs/details/`), with links to the admin's own pages."""

    change_form_template = "admin/logs/usagerecord/change_form.html"
    fieldsets = ((None, {"fields": ()}),)

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
    owner = User.objects.select_related("merged_into").filter(pk=record.user_id).first()
    whole = (owner.merged_into or owner) if owner else User(pk=record.user_id)
    return {
        "in_admin": True,
        "record": record,
        "details": _in_admin(record, details.of(whole, [record], content=False)[record.id]),
        "owner": owner,
        "gateway": Gateway.objects.filter(pk=record.gateway_id).first(),
        "console_url": console_url(request, record),
        "no_content": ContentViews.content_note(record),
    }


def console_url(request: HttpRequest, record: UsageRecord) -> str:
    """Return where the console shows the viewer this record; nothing where it does not."""
    return record.permalink if record.user_id in getattr(request.user, "ids", ()) else ""


def _in_admin(record: UsageRecord, found: Details) -> Details:
    """Return the details with the token's page of the admin: the console's is its owner's alone."""
    token = cast("ApiToken | None", record.token)
    url = reverse("admin:accounts_apitoken_change", args=[token.pk]) if token else ""
    return replace(found, token_url=url, limits_url=url if found.limits_url else "")
