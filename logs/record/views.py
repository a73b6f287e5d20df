"""What can be asked of one record from inside its details."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.people.signed_in import AuthenticatedRequest
from accounts.scopes.deciding import viewer_of
from logs.filters.asked import usage_scope
from logs.record import details, what_if


@require_GET
@login_required
def reprice(request: AuthenticatedRequest, record_id: UUID) -> HttpResponse:
    """Price the record's usage under another model, group or date: a fragment, or the record's whole page."""
    scope = usage_scope(viewer_of(request), request.GET)
    record, shown = details.of_one(scope, record_id)
    context = {
        "record": record,
        "details": shown,
        "reprice": what_if.answer(record, request.GET),
    }
    return render(request, "logs/details/reprice.html" if request.htmx else "logs/record.html", context)
