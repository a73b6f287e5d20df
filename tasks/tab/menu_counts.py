"""How many tasks each value of a menu would list, under the other filters: from the sums, exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from django.contrib.auth.decorators import login_required
from django.http import Http404, JsonResponse
from django.views.decorators.http import require_GET

from accounts.people.signed_in import AuthenticatedRequest
from accounts.scopes.deciding import viewer_of
from routescope.data.snapshot import snapshot
from routescope.web import menu_counts
from routescope.web.unavailable import answers_json
from tasks.sums import counts
from tasks.tab.asked import task_filter
from tasks.tab.filters import TaskFilter

_IN_WORDS = ("type", "status", "cause", "platform")
_BY_ID = ("model", "token", "group")
"""Filters by names, whose ids are in the sums."""
_OF_MANY = ("person",)
"""Of thousands, a menu lists a few: these are not counted."""


@answers_json
@require_GET
@login_required
def answer(request: AuthenticatedRequest) -> JsonResponse:
    """Answer a menu (``menu`` names its filter) as it opens. Of an ID searched for, none are known."""
    of = request.GET.get("menu", "")
    if of not in (*_IN_WORDS, *_BY_ID, *_OF_MANY):
        raise Http404
    with snapshot():
        filters = task_filter(viewer_of(request), request.GET)
        is_unknown = filters.searched_id or of in _OF_MANY
        return menu_counts.answer(None if is_unknown else counted(filters, of))


def counted(filters: TaskFilter, of: str) -> Mapping[str, int]:
    """Return the tasks by value of one filter, under all others; values without tasks are left out."""
    column = f"{of}_id" if of in _BY_ID else of
    found = counts.by(filters.scope_without(of), filters.selection.without(column), column)
    if of in _IN_WORDS:
        return {value: count for value, count in found.items() if value}
    called = {"model": filters.models, "token": filters.tokens, "group": filters.groups}[of].of
    # Several ids may go by one name, which the menu shows once.
    by_name: Counter[str] = Counter()
    for identifier, count in found.items():
        if identifier in called:
            by_name[called[identifier]] += count
    return by_name
