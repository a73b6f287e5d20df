"""How many tasks each value of a menu would list, under the other filters: from the sums, exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from django.contrib.auth.decorators import login_required
from django.http import Http404, JsonResponse
from django.views.decorators.http import require_GET

from accounts.people.signed_in import AuthenticatedRequest
from routescope.data.snapshot import snapshot
from routescope.web import menu_counts
from routescope.web.unavailable import answers_json
from tasks.providers.catalogue import catalogue
from tasks.sums import counts
from tasks.sums.chosen import Selection
from tasks.tab.filters import TaskFilter

_CHOSEN: Mapping[str, tuple[str, str]] = {
    "type": ("type", "types"),
    "status": ("status", "statuses"),
    "cause": ("cause", "causes"),
    "platform": ("platform", "platforms"),
    "model": ("model_id", "models"),
    "token": ("token_id", "tokens"),
    "group": ("group_id", "groups"),
}
"""A filter's column of the sums, and what of a `Selection` it chooses."""


@answers_json
@require_GET
@login_required
def answer(request: AuthenticatedRequest) -> JsonResponse:
    """Answer a menu (``of`` names its filter) as it opens. Where an ID is searched for, nothing is known."""
    of = request.GET.get("of", "")
    if of not in _CHOSEN:
        raise Http404
    with snapshot():
        filters = TaskFilter(request.GET, user=request.user, catalogue=catalogue())
        return menu_counts.answer(None if filters.searched_id else counted(filters, of))


def counted(filters: TaskFilter, of: str) -> Mapping[str, int]:
    """Return the tasks by value of one filter, under all others; values without tasks are left out."""
    column, chosen = _CHOSEN[of]
    selection: Selection = replace(filters.selection, **{chosen: ()})
    found = counts.by(filters.user, selection, column)
    names = {"model": "models", "token": "tokens", "group": "groups"}
    if of not in names:
        return {value: count for value, count in found.items() if value}
    called = getattr(filters, names[of]).of
    # Several ids may go by one name, which the menu shows once.
    by_name: Counter[str] = Counter()
    for identifier, count in found.items():
        if identifier in called:
            by_name[called[identifier]] += count
    return by_name
