"""A tab of Operation Records: what the pages of all tabs are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from routescope.contracts import tabs
from routescope.contracts.tabs import RecordsTab
from routescope.data.keyset import Cursor, Page
from routescope.filters.address import Address
from routescope.filters.filter_set import RangeFilterSet


@dataclass(frozen=True, kw_only=True)
class Tab:
    """What a tab shows. Its templates know each field, and each property listed in `shown`, by its name."""

    tab: ClassVar[str]
    """Its name, which its URLs bear: ``<tab>`` and ``<tab>-results``."""
    shown: ClassVar[tuple[str, ...]] = (
        "tab",
        "address",
        "page_path",
        "results_url",
        "page_url",
        "older_query",
        "newer_query",
        "unsearched",
        "tabs",
    )

    filters: RangeFilterSet
    cursor: Cursor
    page: Page[Any]

    @property
    def address(self) -> Address:
        return self.filters.address

    @property
    def page_path(self) -> str:
        return reverse(self.tab)

    @property
    def results_url(self) -> str:
        """What changes of the tab with its filters."""
        return reverse(f"{self.tab}-results")

    @property
    def page_url(self) -> str:
        """The URL of just this page."""
        return self.address.at(self.cursor).of(self.page_path)

    @property
    def older_query(self) -> Address:
        return self.address.at(self.page.onward)

    @property
    def newer_query(self) -> Address:
        return self.address.at(self.page.back)

    @property
    def unsearched(self) -> Address:
        """The view without the ID searched for."""
        return self.address.without(self.filters.id_field)

    @property
    def tabs(self) -> Iterable[RecordsTab]:
        """All tabs, this one among them."""
        return tabs.registered().values()

    @property
    def status(self) -> int:
        """404 for an ID that is not the person's: the page then says why it may be so."""
        return 404 if self.filters.searched_id and not self.page.rows else 200

    def render(self, request: HttpRequest, template: str) -> HttpResponse:
        """Render a template, or a part of one."""
        context = {name: getattr(self, name) for name in (*(one.name for one in fields(self)), *self.shown)}
        return render(request, template, context, status=self.status)
