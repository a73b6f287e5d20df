"""What a sorted list says of itself: which places it shows, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from logs.filters.usage_filter import NARROWING
from logs.listing import largest_records
from logs.listing.largest_records import End, Sorted
from logs.selection.largest import Sort
from logs.usage.controls import pills
from logs.usage.explanations import Action, Explanation, Reason
from routescope.text.formatting import exact

if TYPE_CHECKING:
    from logs.filters.usage_filter import UsageFilter


def note(page: Sorted[Any], sort: Sort) -> str:
    """Return which places a page shows, and why no other follows."""
    first, last = page.ahead + 1, page.ahead + len(page.rows)
    orders = {
        Sort.COST: _("%(first)s–%(last)s by cost, largest first."),
        Sort.DURATION: _("%(first)s–%(last)s by duration, longest first."),
        Sort.TOKENS: _("%(first)s–%(last)s by input and output tokens, most first."),
    }
    return " ".join([orders[sort] % {"first": exact(first), "last": exact(last)}, *_end(page, sort)])


def _end(page: Sorted[Any], sort: Sort) -> Iterator[str]:
    if page.older is not None:
        return
    if page.end is End.DEPTH:
        yield _(
            "A sorted list ends after %(n)s records. Filter, or choose a shorter range, to see others."
        ) % {"n": exact(largest_records.MOST_DEEP)}
    elif page.end is End.READ:
        yield _("The list ends here: %(n)s records were read for it. Filter, or choose a shorter range.") % {
            "n": exact(page.read)
        }
    elif sort is Sort.COST:
        yield _("Records without a known price are not listed.")
    elif sort is Sort.DURATION:
        yield _("Records without a duration are not listed.")


def empty(filters: UsageFilter, page: Sorted[Any], sort: Sort) -> Explanation:
    """Say why a sorted list is empty although there are records, and lead to these."""
    newest = Action(_("Newest first"), filters.address.without("sort"))
    actions = [newest]
    if page.ahead:
        title, text = _("The end of the list"), _("No more records are sorted by this.")
        actions.insert(0, Action(_("Back to the first"), filters.address))
    elif page.end is End.READ:
        title = _("Not found by sorting")
        text = _(
            "%(n)s records were read, those that may be the largest first. None of them matches the filters."
        ) % {"n": exact(page.read)}
        if pills(filters):
            actions.append(Action(_("Remove the filters"), filters.address.without(*NARROWING)))
    else:
        title = _("Nothing to sort by")
        text = {
            Sort.COST: _("None of the records that match has a known price."),
            Sort.DURATION: _("None of the records that match has a duration."),
            Sort.TOKENS: _("None of the records that match has tokens."),
        }[sort]
    return Explanation(title, "", [Reason("sorted", text, tuple(actions))])
