"""One record: its page, its details as a row, and what can be asked from inside of them."""

from __future__ import annotations

from uuid import UUID

from csp.decorators import csp_update
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from accounts.models import AuditEntry, User
from accounts.people.signed_in import AuthenticatedRequest
from accounts.scopes.deciding import viewer_of
from accounts.scopes.seeing import changes_nothing
from accounts.staff import audit
from accounts.staff.rights import Reading, reading_of
from logs.filters.asked import usage_scope
from logs.record import details, what_if


@require_GET
@login_required
@csp_update({"img-src": ["https:"]})  # type: ignore[arg-type]  # it knows only plain requests
def record(request: AuthenticatedRequest, record_id: UUID) -> HttpResponse:
    """One record on a page of its own. Only here are images of its content loaded, not linked."""
    return render(request, "logs/record.html", {**_record(request, record_id), "show_images": True})


@require_GET
@login_required
def record_details(request: AuthenticatedRequest, record_id: UUID) -> HttpResponse:
    """One record's details as a row of the list."""
    return render(
        request,
        "logs/record.html#row",
        _record(request, record_id),
    )


@changes_nothing
@require_POST
@login_required
@csp_update({"img-src": ["https:"]})  # type: ignore[arg-type]  # it knows only plain requests
def content(request: AuthenticatedRequest, record_id: UUID) -> HttpResponse:
    """Show another's input and output, and keep who looked: a fragment, or the record's whole page.

    404 for who may not read it, as for a record that is not there.
    """
    scope = usage_scope(viewer_of(request), request.GET)
    with transaction.atomic():
        record = details.one(scope, record_id)
        if reading_of(scope, record.user_id) is not Reading.ASKED:
            raise Http404
        owner = User.objects.filter(pk=record.user_id).first()
        audit.note(request, AuditEntry.Act.CONTENT, owner, record.request_id)
        shown = details.of(scope, [record], is_asked=True)[record.id]
    context = {
        "record": record,
        "details": shown,
        "content": shown.content,
        "scope": scope,
        "show_images": not request.htmx,
    }
    return render(request, "logs/details/content.html" if request.htmx else "logs/record.html", context)


@require_GET
@login_required
def reprice(request: AuthenticatedRequest, record_id: UUID) -> HttpResponse:
    """Price the record's usage under another model, group or date: a fragment, or the record's whole page."""
    scope = usage_scope(viewer_of(request), request.GET)
    record, shown = details.of_one(scope, record_id)
    context = {
        "record": record,
        "details": shown,
        "scope": scope,
        "reprice": what_if.answer(record, request.GET),
    }
    return render(request, "logs/details/reprice.html" if request.htmx else "logs/record.html", context)


def _record(request: AuthenticatedRequest, record_id: UUID) -> dict[str, object]:
    scope = usage_scope(viewer_of(request), request.GET)
    record, shown = details.of_one(scope, record_id)
    return {"record": record, "details": shown, "scope": scope, "tab": "usage"}
