"""The values of tags and metadata that hold what is typed into their menu."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render

from accounts.people.signed_in import AuthenticatedRequest
from accounts.scopes.deciding import viewer_of
from logs.filters.asked import usage_scope
from logs.filters.mark_filters import facet_name
from logs.filters.offer import MOST_FOUND, MarksOffered
from logs.usage.controls import facet_label
from routescope.web.asking import asked, asked_by_form


@asked_by_form
@login_required
def values(request: AuthenticatedRequest) -> HttpResponse:
    """Those of a scope's records. 404 for a scope that the viewer may not see."""
    typed = asked(request).get("q", "").strip()[:200].replace("\x00", "")
    offer = MarksOffered(usage_scope(viewer_of(request), request.GET))
    found = offer.found(typed) if typed else []
    context = {
        "typed": typed,
        "menu": "meta",
        "found": [(facet_name(one), facet_label(one)) for one in found[:MOST_FOUND]],
        "has_more": len(found) > MOST_FOUND,
    }
    return render(request, "records/options.html", context)
