"""Why nothing was found, and the way out: reasons in the order of how sure they are, each with what mends it.

Everything said is about the person's own records and about the shape of what was typed. Whether another
account has a record is never looked up, so a stranger's ID reads as one that never was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from logs.filters.usage_filter import NARROWING, VIEW
from logs.listing.own_records import Found
from logs.models import UsageRecord
from logs.models.querysets import UsageRecordQuerySet
from logs.rollups import own_sums
from logs.rollups.breakdown import midnight
from logs.selection import lookback, periods
from logs.selection.chosen import Looked, Selection
from logs.usage.controls import pills
from logs.usage.explanations import Action, Explanation, Reason, another_account, just_now, oldest_kept
from routescope.data.ids import first_id, moment_of
from routescope.data.keyset import Cursor, Page
from routescope.data.ranges import HOUR, Preset, TimeRange, floor
from routescope.data.scopes import Scope
from routescope.text.formatting import day as written_day
from routescope.text.formatting import exact
from routescope.text.formatting import when as written

if TYPE_CHECKING:
    from logs.filters.usage_filter import UsageFilter
    from logs.rollups.own_sums import Totals


@dataclass(frozen=True, slots=True)
class _Count:
    number: int
    at_least: bool = False

    @property
    def words(self) -> str:
        number = exact(self.number)
        if self.at_least:
            return _("at least %(n)s records") % {"n": number}
        return ngettext("%(n)s record", "%(n)s records", self.number) % {"n": number}

    def __bool__(self) -> bool:
        return self.number > 0


# --- Nothing matches the filters -------------------------------------------------------------------------


def empty(filters: UsageFilter, totals: Totals, looked: Looked | None, page: Page[Any]) -> Explanation | None:
    """Say why no record is listed under some filters; None for a person who has no record at all.

    ``looked`` is what the header is made of, where no rollup knows the filters; ``page`` is the empty one.
    """
    if not periods.days(filters.whole).exists():
        return None
    here = page.looked if isinstance(page, Found) else None
    if here is not None or (filters.compared and looked is not None and looked.reached is not None):
        return _not_found_yet(filters, totals, here or looked, page)
    lead = (
        _("Nothing in “%(range)s” matches the filters.") if pills(filters) else _("Nothing in “%(range)s”.")
    )
    lead %= {"range": filters.range_label}
    if totals.records:
        return Explanation(_("The end of the list"), "", [_past_the_end(filters, totals)])
    reasons = [
        *_inverted(filters),
        *_outside_the_range(filters),
        *_hidden_by_filters(filters),
        *_older_than_kept(filters),
        *_not_arrived(filters),
        Reason(
            "task",
            _("Results of async tasks (images, audio, video) are in Task Logs."),
            (Action(_("Open Task Logs"), url=reverse("tasks") + filters.whole.query),),
            sure=False,
        ),
        *([] if filters.whole.is_everyone else [another_account()]),
    ]
    return Explanation(_("No records match"), lead, reasons)


def _not_found_yet(
    filters: UsageFilter, totals: Totals, looked: Looked | None, page: Page[Any]
) -> Explanation:
    """Say how far was looked, and lead further back: whether there is none is not known yet."""
    assert looked is not None and looked.back_to is not None  # noqa: S101
    is_further = isinstance(page, Found) and page.is_further
    words = {"n": exact(looked.records), "time": written(looked.back_to)}
    if is_further:
        title = _("None found yet")
        lead = _("Searched %(n)s records further back, to %(time)s: none of them matches.") % words
    else:
        title = _("None of the newest records match")
        lead = _("Searched the newest %(n)s records, back to %(time)s.") % words
    onward = filters.address.without(*VIEW).at(Cursor(older=looked.reached))
    actions = [Action(_("Search further back"), onward)]
    if page.newer:
        back = Cursor(newer=page.newer) if totals.records or is_further else Cursor()
        actions.append(Action(_("Newer"), filters.address.at(back)))
    if pills(filters):
        actions.append(Action(_("Remove the filters"), filters.address.without(*NARROWING)))
    text = _("Cost, duration, tokens, streaming and endpoint are checked record by record, in steps.")
    return Explanation(title, lead, [Reason("further", text, tuple(actions))])


def _past_the_end(filters: UsageFilter, totals: Totals) -> Reason:
    count = _Count(totals.records)
    return Reason(
        "page",
        _("The filters match %(count)s, but none on this page.") % {"count": count.words},
        (Action(_("Show the newest"), filters.address),),
    )


def _inverted(filters: UsageFilter) -> Iterator[Reason]:
    chosen = filters.selection.chosen
    if chosen.start and chosen.end and chosen.start >= chosen.end:
        yield Reason(
            "inverted",
            _("The range ends before it starts."),
            (Action(_("Swap its ends"), filters.address.between(chosen.end, chosen.start)),),
        )


def _outside_the_range(filters: UsageFilter) -> Iterator[Reason]:
    chosen = filters.selection.chosen
    if chosen == TimeRange():
        return
    count = _count(filters, replace(filters.selection, chosen=TimeRange()))
    if not count:
        return
    everything = Action(_("Search all time"), filters.address.over(Preset.ALL))
    text = (
        _("The other filters match %(count)s outside the date range.")
        if pills(filters)
        else _("Outside the date range: %(count)s.")
    ) % {"count": count.words}
    nearest = _nearest(filters)
    if nearest is None:
        yield Reason("range", text, (everything,))
        return
    zone = timezone.get_current_timezone()
    day = nearest.astimezone(zone).date()
    stretch = TimeRange(midnight(day, zone), midnight(day + timedelta(days=1), zone))
    there = _count(filters, replace(filters.selection, chosen=stretch))
    text += " " + _("Nearest: %(day)s, %(count)s.") % {
        "day": written_day(day),
        "count": there.words,
    }
    assert stretch.start is not None and stretch.end is not None  # noqa: S101
    show = Action(_("Show that day"), filters.address.between(stretch.start, stretch.end))
    yield Reason("range", text, (show, everything))


def _hidden_by_filters(filters: UsageFilter) -> Iterator[Reason]:
    on = {pill.name: pill for pill in pills(filters)}
    found = False
    for name, pill in on.items():
        if count := _count(filters, filters.selection_without(name), filters.scope_without(name)):
            found = True
            yield Reason(
                "filter",
                _("The filter by %(filter)s hides %(count)s in this range.")
                % {"filter": f"“{pill.label or pill.value}”", "count": count.words},
                (Action(_("Remove it"), filters.address.without(name)),),
            )
    if found or not on:
        return
    none = filters.selection_without(*on)
    if len(on) > 1 and (count := _count(filters, none, filters.whole)):
        yield Reason(
            "filters",
            _("No single filter hides them, but together they hide %(count)s in this range.")
            % {"count": count.words},
            (Action(_("Remove the filters"), filters.address.without(*NARROWING)),),
        )
    elif not _count(filters, replace(filters.selection, chosen=TimeRange())):
        yield Reason(
            "both",
            _("Neither the range nor a filter alone hides them. Over all time, without filters: %(n)s.")
            % {"n": _count(filters, Selection(), filters.whole).words},
            (Action(_("Show all records"), filters.address.without(*NARROWING).over(Preset.ALL)),),
        )


def _older_than_kept(filters: UsageFilter) -> Iterator[Reason]:
    chosen, oldest = filters.selection.chosen, oldest_kept(filters.now)
    if chosen.start is None or chosen.start >= oldest:
        return
    words = {"months": settings.RECORD_RETENTION_MONTHS, "day": written_day(oldest)}
    if chosen.end is not None and chosen.end <= oldest:
        text = _(
            "The range is older than the retention period: records are deleted after %(months)s months, so"
            " those before %(day)s are gone."
        )
    else:
        text = _(
            "Part of the range is older than the retention period: records are deleted after %(months)s"
            " months, so those before %(day)s are gone."
        )
    yield Reason(
        "retention", text % words, (Action(_("Show what is kept"), filters.address.over(Preset.ALL)),)
    )


def _not_arrived(filters: UsageFilter) -> Iterator[Reason]:
    end = filters.selection.chosen.end
    if end is None or end >= filters.now:
        yield just_now(filters.address)


def _count(filters: UsageFilter, selection: Selection, scope: Scope | None = None) -> _Count:
    """Count by the rollups; with a threshold, among the newest records of the rest of the selection."""
    scope = scope or filters.scope
    selection = lookback.newest(scope, selection)
    is_part = selection.looked is not None and selection.looked.reached is not None
    return _Count(own_sums.totals(scope, selection).records, at_least=is_part)


def _nearest(filters: UsageFilter) -> datetime | None:
    """Return when the record nearest to the range was that matches everything but the range."""
    chosen = filters.selection.chosen
    found: list[tuple[timedelta, datetime]] = []
    if chosen.start is not None and (before := _edge(filters, TimeRange(None, chosen.start))):
        found.append((chosen.start - before, before))
    if chosen.end is not None and (after := _edge(filters, TimeRange(chosen.end, None))):
        found.append((after - chosen.end, after))
    return min(found)[1] if found else None


def _edge(filters: UsageFilter, side: TimeRange) -> datetime | None:
    """Return when the last record of the past, or the first of the future, was that matches."""
    order = "-" if side.start is None else ""
    selection = filters.selection
    mine: UsageRecordQuerySet[UsageRecord] = UsageRecord.objects.visible_to(filters.scope)
    records = mine.filter(selection.dimensions)
    if selection.needs_records:
        there = replace(selection, chosen=side)
        cursor = Cursor() if side.start is None else Cursor(newer=first_id(side.start))
        looked = lookback.look(filters.scope, there, cursor)
        found = lookback.keys(filters.scope, there, looked, newest_first=side.start is None, limit=1)
        return moment_of(found[0][1]) if found else None
    hours = periods.hours(filters.scope).filter(selection.dimensions)
    if side.end is not None:
        hours = hours.filter(start__lt=side.end)
    if side.start is not None:
        hours = hours.filter(start__gte=floor(side.start, HOUR))
    # The first hour may hold records on the other side of the range only; the second does not.
    for start in hours.order_by(f"{order}start").values_list("start", flat=True).distinct()[:2]:
        hour = TimeRange(start, start + HOUR).clipped(side)
        moment = records.within(hour).order_by(f"{order}id").values_list("created_at", flat=True).first()
        if moment is not None:
            return moment
    return None


# --- An ID that none of one's records has ----------------------------------------------------------------


# --- Both ------------------------------------------------------------------------------------------------
