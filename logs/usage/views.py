"""Usage Logs: the tab, its results fragment, and the permalink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.views.decorators.http import require_GET, require_POST

from accounts.people import saved_views
from accounts.people.saved_views import SavedViewsMenu
from accounts.people.signed_in import AuthenticatedRequest
from accounts.scopes.deciding import viewer_of
from accounts.scopes.menu import ScopeMenu
from logs.filters.asked import VIEW_ALL, usage_filter, usage_scope
from logs.filters.usage_filter import GATHERED, UsageFilter
from logs.listing import largest_records, own_records
from logs.listing.display import Display
from logs.listing.largest_records import Sorted
from logs.listing.table import Heading, ListColumn, ListRow, rows_of
from logs.models import UsageRecord, UsageTotalDay
from logs.record import details
from logs.record.details import Details
from logs.rollups import own_sums, percentiles
from logs.rollups.breakdown import Latency
from logs.rollups.figures import ComparedLine
from logs.rollups.own_sums import Totals
from logs.selection import lookback
from logs.selection.chosen import Looked, Selection
from logs.usage import compare, errors, not_found, sessions, sorted_list, unknown_id, unlike_marks
from logs.usage.chart import Chart
from logs.usage.charting import chart_of
from logs.usage.columns import columns_of
from logs.usage.compare import Comparison
from logs.usage.controls import Controls
from logs.usage.errors import Gathering
from logs.usage.explanations import Explanation
from logs.usage.first_run import FirstSteps
from logs.usage.sessions import Sessions
from logs.usage.unlike_marks import UnlikeMark
from routescope.data.ids import first_id, moment_of
from routescope.data.keyset import Cursor, Page
from routescope.data.scopes import OF, Scope, Viewer
from routescope.data.snapshot import snapshot
from routescope.web.asking import asked, asked_by_form
from routescope.web.tabs import Tab
from routescope.web.unavailable import answers_json

MOST_NEWS = 100


@asked_by_form
@login_required
def usage(request: AuthenticatedRequest) -> HttpResponse:
    """The Usage Logs tab. Its form leads to the address of what it asks for."""
    if request.method == "POST":
        return redirect(usage_filter(viewer_of(request), asked(request)).address.of(reverse("usage")))
    tab = usage_tab(viewer_of(request), asked(request))
    return redirect(tab.page_url) if tab.filters.holds_a_key else tab.render(request, "logs/usage.html")


@require_GET
@login_required
def further(request: AuthenticatedRequest) -> HttpResponse:
    """The rows that follow those on the page, looked for further back: what was found stays above them.

    ``shown`` is the last row on the page. Without JavaScript the same link leads to the next page.
    """
    cursor = Cursor.parse(request.GET)
    viewer = viewer_of(request)
    display = Display.of(viewer.person)
    with snapshot():
        filters = usage_filter(viewer, request.GET)
        page = own_records.listed(filters.scope, filters.selection, cursor, display.page_size)
        columns = columns_of(filters, display, page)
    last = Cursor.parse(QueryDict(urlencode({"older": request.GET.get("shown", "")}))).older
    day = timezone.localdate(moment_of(last)) if last else None
    context = {
        "page": page,
        "rows": list(
            rows_of(page.rows, columns, filters.vocabulary, day_before=day, query=filters.whole.query)
        ),
        "last": page.rows[-1].id if page.rows else last,
        "page_path": reverse("usage"),
        "further_url": reverse("usage-further"),
        "older_query": filters.address.at(Cursor(older=page.older)),
    }
    return render(request, "logs/list.html#further", context)


@asked_by_form
@login_required
def usage_results(request: AuthenticatedRequest) -> HttpResponse:
    """What of the tab changes with its filters; puts the page's own URL into the address bar."""
    tab = usage_tab(viewer_of(request), asked(request))
    response = tab.render(request, "logs/usage.html#panel")
    response["HX-Push-Url"] = tab.page_url
    return response


@require_GET
@login_required
def permalink(request: AuthenticatedRequest, request_id: str) -> HttpResponse:
    """Lead from an ID in an error message to its record.

    404 alike for another's ID and for no ID at all, with what may be the reason.
    """
    query = QueryDict(mutable=True)
    query["request_id"] = request_id
    if OF in request.GET:
        query[OF] = request.GET[OF]
    viewer = viewer_of(request)
    if UsageRecord.objects.visible_to(usage_scope(viewer, query)).identified_by(request_id).exists():
        # The page itself shows it: nothing of it is made here.
        return redirect(f"{reverse('usage')}?{query.urlencode()}")
    tab = usage_tab(viewer, query)
    return tab.render(request, "logs/usage.html") if tab.status == 404 else redirect(tab.page_url)


@answers_json
@require_GET
@login_required
def usage_chart(request: AuthenticatedRequest) -> JsonResponse:
    """The chart's figures, for its tooltip."""
    with snapshot():
        chart = chart_of(usage_filter(viewer_of(request), request.GET))
    return JsonResponse(chart.data)


@require_GET
@login_required
def news(request: AuthenticatedRequest) -> HttpResponse:
    """How many records have arrived since the list was shown, up to a bound."""
    filters = usage_filter(viewer_of(request), request.GET)
    try:
        since = UUID(request.GET.get("since", ""))
        moment_of(since)
    except (ValueError, OverflowError):
        raise Http404 from None
    arrived = own_records.count_since(filters.scope, filters.selection, since, MOST_NEWS)
    context = {
        "filters": filters,
        "address": filters.address,
        "arrived": arrived,
        "more": arrived == MOST_NEWS,
        "page_path": reverse("usage"),
        "results_url": reverse("usage-results"),
        "news_query": request.GET.urlencode(),
    }
    return render(request, "logs/news.html", context)


@require_POST
@login_required
def display(request: AuthenticatedRequest) -> HttpResponse:
    """Keep the choice of columns, page size or chart, and show the tab with it."""
    Display.of(request.user).chosen_in(request.POST).keep(request.user)
    query = QueryDict(request.POST.get("query", "")).urlencode()
    return redirect(f"{reverse('usage-results' if request.htmx else 'usage')}?{query}")


@dataclass(frozen=True, kw_only=True)
class UsageTab(Tab):
    """``comparison``, ``gathering`` (of errors) or ``sessions`` stands in place of the list; ``explanation``
    where there is nothing to list, whose ``columns`` are those of a row after time and ID. ``whole_id`` is
    the ID that was found by a part of it.

    ``opened`` are the details of the records that stand open, by id: those of the ID searched for.
    ``selection`` is what the figures and the chart are of; None of a ``chart`` where an ID is searched for.
    """

    tab: ClassVar[str] = "usage"
    shown: ClassVar[tuple[str, ...]] = (
        *Tab.shown, "controls", "rows", "headings", "lead", "last", "looked", "ends_now", "further_url",
        "news_query", "first", "sorted_note", "scope", "scopes", "has_others", "latency", "unlike_marks",
    )  # fmt: skip

    viewer: Viewer
    filters: UsageFilter
    selection: Selection
    totals: Totals
    took: Latency | None
    chart: Chart | None
    comparison: Comparison | None
    explanation: Explanation | None
    opened: Mapping[UUID, Details]
    display: Display
    columns: Sequence[ListColumn]
    gathering: Gathering | None
    sessions: Sessions | None
    whole_id: str
    saved: SavedViewsMenu

    @cached_property
    def controls(self) -> Controls:
        return Controls.of(self.filters)

    @property
    def unlike_marks(self) -> list[UnlikeMark]:
        """What the chart marks as unlike usual."""
        return unlike_marks.marks(self.chart, self.controls.unlike) if self.chart else []

    @property
    def scope(self) -> Scope:
        """Whose records the page is about."""
        return self.filters.whole

    @cached_property
    def scopes(self) -> ScopeMenu | None:
        """Whose it may be about."""
        return ScopeMenu.of(self.viewer, self.scope, self.address, self.tab, VIEW_ALL)

    @cached_property
    def rows(self) -> list[ListRow]:
        return list(
            rows_of(
                self.page.rows,
                self.columns,
                self.filters.vocabulary,
                opened=self.opened,
                by_day=self.filters.order is None,
                query=self.scope.query,
            )
        )

    @property
    def latency(self) -> ComparedLine:
        """How long the calls took, for the header."""
        return ComparedLine(self.totals, self.took or {})

    @property
    def headings(self) -> list[Heading]:
        """The columns with the ways to sort by them, where the list can be sorted."""
        filters = self.filters
        if filters.errors_shown or filters.searched_id:
            return [Heading(column) for column in self.columns]
        return [Heading.of(column, filters.address, filters.order) for column in self.columns]

    @property
    def sorted_note(self) -> str:
        """What a sorted list says of itself; nothing in the order of time."""
        order = self.filters.order
        return sorted_list.note(self.page, order) if order and isinstance(self.page, Sorted) else ""

    @cached_property
    def lead(self) -> str:
        """The heading of the first row's day, which the table's head says for it."""
        return self.rows[0].day if self.rows else ""

    @property
    def last(self) -> Any:
        """The id of the last row, after which what is found further back goes on."""
        return self.page.rows[-1].id if self.page.rows else None

    @property
    def looked(self) -> Looked | None:
        """Among which records was looked, where no rollup knows the filters."""
        return self.selection.looked

    @property
    def further_url(self) -> str:
        return reverse("usage-further")

    @property
    def ends_now(self) -> bool:
        """Whether what is shown goes up to the present."""
        return self.filters.selection.chosen.end in (None, self.filters.until)

    @property
    def news_query(self) -> str:
        """What asks for records newer than the page's; nothing where it does not end with the present."""
        filters = self.filters
        if filters.searched_id or filters.order or self.cursor != Cursor() or not self.ends_now:
            return ""
        newest = self.page.rows[0].id if self.page.rows else first_id(filters.now)
        return filters.address.with_(since=str(newest)).encoded

    @property
    def first(self) -> FirstSteps | None:
        """What to do first, where the person has no record at all, and answers for none."""
        if not self._is_empty or self.has_others:
            return None
        return FirstSteps.of(self.viewer.person, self.filters.now)

    @cached_property
    def has_others(self) -> bool:
        """Whether the person has no record, and everybody has some that they may see."""
        if not self._is_empty or self.scopes is None:
            return False
        return not self.scope.is_own or self.scopes.everyone is None or UsageTotalDay.objects.exists()

    @property
    def _is_empty(self) -> bool:
        shown = (self.page.rows, self.comparison, self.gathering, self.sessions, self.explanation)
        return not any(shown)


def usage_tab(viewer: Viewer, query: QueryDict) -> UsageTab:
    """Return what a query string asks for: the records of one ID, a list, or a comparison."""
    cursor = Cursor.parse(query)
    chart = comparison = explanation = gathering = by_session = took = None
    alike: list[str] = []
    whole_id = ""
    opened: dict[UUID, Details] = {}
    display = Display.of(viewer.person)
    with snapshot():
        filters = usage_filter(viewer, query)
        scope = filters.scope
        page: Page[Any]
        selection = filters.selection
        if filters.searched_id:
            cursor = Cursor()
            found = own_records.of_one_id(scope, filters.searched_id)
            if not found and not filters.holds_a_key:
                alike = own_records.resembling(scope, filters.searched_id, filters.selection.chosen)
                if len(alike) == 1:
                    found, whole_id = own_records.of_one_id(scope, alike[0]), alike[0]
            page, totals = Page(found, older=None, newer=None), Totals.of(found)
            opened = details.of(scope, found)
        else:
            selection = lookback.newest(scope, selection)
            totals = own_sums.totals(scope, selection)
            took = percentiles.overall(scope, selection) if totals.requests else None
            if filters.compared:
                cursor, page = Cursor(), Page([], older=None, newer=None)
                comparison = compare.comparison(scope, filters, selection, took)
            elif filters.errors_shown == GATHERED:
                cursor, page = Cursor(), Page([], older=None, newer=None)
                gathering = errors.gathering(scope, filters, selection) if totals.errors else None
            elif filters.sessions_shown:
                cursor, page = Cursor(), Page([], older=None, newer=None)
                by_session = sessions.sessions(scope, filters, selection)
            elif filters.order:
                page = largest_records.listed(scope, selection, filters.order, cursor, display.page_size)
            else:
                cursor = cursor.of_time
                page = own_records.listed(scope, selection, cursor, display.page_size)
            chart = chart_of(filters, selection, totals, is_drawn=display.draws)
        columns = columns_of(filters, display, page)
        if not page.rows and comparison is None and gathering is None and by_session is None:
            if filters.searched_id:
                explanation = unknown_id.unknown_id(filters, alike)
            elif filters.order and isinstance(page, Sorted) and (totals.records or page.end):
                explanation = sorted_list.empty(filters, page, filters.order)
            else:
                explanation = not_found.empty(filters, totals, selection.looked, page)
    return UsageTab(
        viewer=viewer,
        filters=filters,
        cursor=cursor,
        page=page,
        opened=opened,
        selection=selection,
        totals=totals,
        took=took,
        chart=chart,
        comparison=comparison,
        explanation=explanation,
        display=display,
        columns=columns,
        gathering=gathering,
        sessions=by_session,
        whole_id=whole_id,
        saved=saved_views.menu(viewer.person, "usage", filters.address),
    )
