"""How many records each value of a menu would list, under the other filters: what the sums know of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from django.contrib.auth.decorators import login_required
from django.http import Http404, JsonResponse
from django.views.decorators.http import require_GET

from accounts.people.signed_in import AuthenticatedRequest
from accounts.scopes.deciding import viewer_of
from logs.filters.asked import usage_filter
from logs.filters.usage_filter import CAUSE_WORDS, STATUS_WORDS, TYPE_WORDS, UsageFilter
from logs.models import RecordType, Status
from logs.rollups import own_sums
from logs.rollups.breakdown import By, breakdown
from logs.selection.chosen import Selection
from routescope.data.snapshot import snapshot
from routescope.web import menu_counts
from routescope.web.unavailable import answers_json

_BROKEN_DOWN = {"token": By.TOKEN, "model": By.MODEL, "group": By.GROUP, "cause": By.CAUSE}
_OF_MANY = ("person",)
"""Of thousands, a menu lists a few: these are not counted."""
_GROUPED: Mapping[str, Mapping[str, Status | RecordType]] = {"status": STATUS_WORDS, "type": TYPE_WORDS}


@answers_json
@require_GET
@login_required
def answer(request: AuthenticatedRequest) -> JsonResponse:
    """Answer a menu (``menu`` names its filter) as it opens: records by value, as they are written.

    Values without records are left out. Where no sums know the other filters, ``known`` is false.
    """
    of = request.GET.get("menu", "")
    if of not in _BROKEN_DOWN and of not in _GROUPED and of not in _OF_MANY:
        raise Http404
    with snapshot():
        filters = usage_filter(viewer_of(request), request.GET)
        return menu_counts.answer(counted(filters, of))


def counted(filters: UsageFilter, of: str) -> Mapping[str, int] | None:
    """Return the records by value of one filter, under all others; None where no sums know these."""
    selection = filters.selection_without(of)
    if selection.needs_records or filters.searched_id or of in _OF_MANY:
        return None
    if of in _GROUPED:
        return _grouped(filters, selection, of)
    names = {
        "token": filters.vocabulary.tokens.of,
        "model": filters.vocabulary.models.of,
        "group": filters.vocabulary.groups.of,
        "cause": {cause.value: word for word, cause in CAUSE_WORDS.items()},
    }[of]
    # Several ids may go by one name, which the menu shows once.
    counts: Counter[str] = Counter()
    for line in breakdown(filters.scope_without(of), selection, _BROKEN_DOWN[of]):
        if isinstance(line.value, int) and line.value in names:
            counts[names[line.value]] += line.totals.records
    return counts


def _grouped(filters: UsageFilter, selection: Selection, of: str) -> Mapping[str, int]:
    words = {value.value: word for word, value in _GROUPED[of].items()}
    counts: Counter[str] = Counter()
    for row in own_sums.grouped(filters.scope_without(of), selection):
        counts[words[row[of]]] += row["sum_records"]
    return {word: count for word, count in counts.items() if count}
