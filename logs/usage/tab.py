"""What the Usage Logs tab shows under some filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.http import QueryDict
from django.urls import reverse

from accounts.models import User
from accounts.people import saved_views
from accounts.people.saved_views import SavedViewsMenu
from logs.filters.usage_filter import UsageFilter
from logs.listing import own_records
from logs.listing.display import Display
from logs.listing.rows import ListRow, rows_of
from logs.record import details
from logs.record.details import Details
from logs.rollups import own_sums, traffic
from logs.rollups.own_sums import Totals
from logs.selection import lookback
from logs.selection.chosen import Looked, Selection
from logs.usage import compare, not_found, unknown_id
from logs.usage.chart import Chart
from logs.usage.compare import Comparison
from logs.usage.controls import Controls
from logs.usage.explanations import Explanation
from routescope.data.ids import first_id
from routescope.data.keyset import Cursor, Page
from routescope.data.snapshot import snapshot
from routescope.web.tabs import Tab


@dataclass(frozen=True, kw_only=True)
class UsageTab(Tab):
    """``comparison`` stands in place of the list; ``explanation`` where there is nothing to list.

    ``opened`` are the details of the records that stand open, by id: those of the ID searched for.
    ``selection`` is what the figures and the chart are of; None of a ``chart`` where an ID is searched for.
    """

    tab: ClassVar[str] = "usage"
    shown: ClassVar[tuple[str, ...]] = (
        *Tab.shown, "controls", "rows", "last", "looked", "further_url", "news_query", "ingest_url"
    )  # fmt: skip

    filters: UsageFilter
    selection: Selection
    totals: Totals
    chart: Chart | None
    comparison: Comparison | None
    explanation: Explanation | None
    opened: Mapping[UUID, Details]
    display: Display
    saved: SavedViewsMenu

    @property
    def controls(self) -> Controls:
        return Controls.of(self.filters)

    @property
    def rows(self) -> list[ListRow]:
        return list(
            rows_of(self.page.rows, self.display.columns, self.filters.vocabulary, opened=self.opened)
        )

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
    def news_query(self) -> str:
        """What asks for records newer than the page's; nothing where it does not end with the present."""
        filters = self.filters
        ends = filters.selection.chosen.end
        if filters.searched_id or self.cursor != Cursor() or ends not in (None, filters.until):
            return ""
        newest = self.page.rows[0].id if self.page.rows else first_id(filters.now)
        return filters.address.with_(since=str(newest)).encoded

    @property
    def ingest_url(self) -> str:
        return f"{settings.BASE_URL}{reverse('api-usage')}"


def usage_tab(user: User, query: QueryDict) -> UsageTab:
    """Return what a query string asks for: the records of one ID, a list, or a comparison."""
    cursor = Cursor.parse(query)
    chart = comparison = explanation = None
    opened: dict[UUID, Details] = {}
    display = Display.of(user)
    with snapshot():
        filters = UsageFilter(query, user=user)
        page: Page[Any]
        selection = filters.selection
        if filters.searched_id:
            cursor = Cursor()
            found = own_records.of_one_id(user, filters.searched_id)
            page, totals = Page(found, older=None, newer=None), Totals.of(found)
            opened = details.of(user, found)
        else:
            selection = lookback.newest(user, selection)
            totals = own_sums.totals(user, selection)
            if filters.compared:
                cursor, page = Cursor(), Page([], older=None, newer=None)
                comparison = compare.comparison(user, filters, selection)
            else:
                page = own_records.listed(user, selection, cursor, display.page_size)
            chart = chart_of(filters, selection, totals.records)
        if not page.rows and comparison is None:
            if filters.searched_id:
                explanation = unknown_id.unknown_id(filters)
            else:
                explanation = not_found.empty(filters, totals, selection.looked, page)
    return UsageTab(
        filters=filters,
        cursor=cursor,
        page=page,
        opened=opened,
        selection=selection,
        totals=totals,
        chart=chart,
        comparison=comparison,
        explanation=explanation,
        display=display,
        saved=saved_views.menu(user, "usage", filters.address),
    )


def chart_of(filters: UsageFilter, selection: Selection | None = None, records: int | None = None) -> Chart:
    """Return the chart of a selection, or of what the filters select, with the limits of its one token.

    ``records`` is how many they are, where that is known.
    """
    token = filters.one_token
    return Chart(
        traffic.traffic(filters.user, selection or filters.selection, filters.now, records),
        rpm_limit=token.rpm_limit if token else None,
        tpm_limit=token.tpm_limit if token else None,
    )
