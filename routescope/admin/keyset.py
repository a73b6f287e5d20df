"""Lists of tables of any size in the Django admin: paged by key, with filters that an index knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from routescope.admin.bases import ReadOnlyAdmin
from routescope.data.keyset import Cursor, Page
from routescope.data.ranges import HOUR, Preset, TimeRange, ceil, floor, preset_range
from routescope.data.snapshot import snapshot
from routescope.filters.fields import MomentField

PAGE_SIZE = 50
CUSTOM = "custom"

_Row = TypeVar("_Row", bound=models.Model)
_Parent = TypeVar("_Parent", bound=models.Model)


class RangeForm(forms.Form):
    """The filters every list of a big table begins with: an ID over all time, or a bounded range of time."""

    q = forms.CharField(
        required=False, widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off", "size": 44})
    )
    range = forms.ChoiceField(
        label=gettext_lazy("Time"),
        required=False,
        choices=[*Preset.choices, (CUSTOM, gettext_lazy("From – to"))],
    )
    start = MomentField(label=gettext_lazy("From"), required=False)
    end = MomentField(label=gettext_lazy("To"), required=False)

    default_range: ClassVar[Preset] = Preset.DAY

    def __init__(self, data: QueryDict) -> None:
        chosen = data.copy()
        if chosen.get("start") or chosen.get("end"):
            chosen["range"] = CUSTOM
        elif chosen.get("range") not in Preset.values:
            chosen["range"] = self.default_range.value
        super().__init__(chosen)
        self.now = timezone.now()

    @property
    def identifier(self) -> str:
        """The ID searched for, over all time and whatever the filters say; or nothing."""
        return str(self.cleaned_data.get("q") or "").strip()

    def chosen_range(self, oldest: datetime) -> TimeRange:
        """Return the range of time chosen, never open: from ``oldest`` at most, to tomorrow at most.

        Presets are whole hours, which the rollups sum exactly: "last 24 hours" begins with an hour.
        """
        limits = TimeRange(oldest, ceil(self.now + timedelta(days=1), HOUR))
        if self.cleaned_data["range"] == CUSTOM:
            chosen = TimeRange(self.cleaned_data.get("start"), self.cleaned_data.get("end"))
        else:
            chosen = whole_hours(
                preset_range(self.cleaned_data["range"], self.now, timezone.get_current_timezone())
            )
        return chosen.clipped(limits)

    @property
    def narrowing(self) -> list[forms.BoundField]:
        """The filters beside search and time, in their order."""
        return [self[name] for name in self.fields if name not in ("q", "range", "start", "end")]

    def clean(self) -> dict[str, Any]:
        start, end = self.cleaned_data.get("start"), self.cleaned_data.get("end")
        if start and end and start >= end:
            raise forms.ValidationError(_("The range ends before it starts. Swap its start and end."))
        return self.cleaned_data


def whole_hours(chosen: TimeRange) -> TimeRange:
    """Return the range widened to whole UTC hours."""
    return TimeRange(
        None if chosen.start is None else floor(chosen.start, HOUR),
        None if chosen.end is None else ceil(chosen.end, HOUR),
    )


class LookUp(AutocompleteSelect):
    """Django's autocomplete, for a query string: what is no key chooses nothing instead of failing."""

    def optgroups(self, name: str, value: Sequence[str], attrs: Any = None) -> list[Any]:
        return super().optgroups(name, _keys(value), attrs)


class LookUpSeveral(AutocompleteSelectMultiple):
    """The same, for several values."""

    def optgroups(self, name: str, value: Sequence[str], attrs: Any = None) -> list[Any]:
        return super().optgroups(name, _keys(value), attrs)


def _keys(values: Sequence[str]) -> list[str]:
    return [value for value in values if re.fullmatch(r"[0-9]{1,9}", str(value))]


def look_up(form: forms.Form, model: type[models.Model], name: str) -> None:
    """Let a field look up a foreign key's values as they are typed: never a list of all of them."""
    field: Any = form.fields[name]
    widget = LookUpSeveral if isinstance(field, forms.ModelMultipleChoiceField) else LookUp
    field.widget = widget(model._meta.get_field(name), admin.site, choices=field.choices)
    field.widget.is_required = field.required


@dataclass(frozen=True, slots=True)
class Figure:
    """One sum above a list. ``value`` is exact, for whoever reads it by machine."""

    name: str
    label: str | Promise
    shown: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list shows: a page, the sums of all that matches, and what is to be said about them."""

    page: Page[Any]
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = field(default_factory=tuple)


class KeysetChangeList(ChangeList):
    """A change list that asks its admin for one page by key: it counts nothing and skips nothing."""

    model_admin: KeysetAdmin[Any]
    listing: Listing

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> models.QuerySet[Any]:
        self.form = self.model_admin.filter_form(request.GET)
        self.filter_specs = []
        self.has_filters = False
        self.has_active_filters = bool(set(self.params) & set(self.form.fields))
        self.clear_all_filters_qs = "?"
        return self.root_queryset.none()

    def get_results(self, request: HttpRequest) -> None:
        if self.form.is_valid():
            with snapshot():
                self.listing = self.model_admin.get_listing(request, self.form, Cursor.parse(request.GET))
        else:
            self.listing = Listing(Page([], None, None))
        self.result_list = self.listing.page.rows
        self.result_count = len(self.result_list)
        self.full_result_count = self.result_count
        self.show_full_result_count = False
        self.show_admin_actions = False
        self.can_show_all = False
        self.multi_page = False
        self.paginator = self.model_admin.get_paginator(request, self.result_list, PAGE_SIZE)

    @property
    def stopped_early(self) -> bool:
        """Whether this page ended at the limit of what is read at once, and not at a full page."""
        return self.listing.page.older is not None and self.result_count < PAGE_SIZE

    @property
    def newest_query(self) -> str:
        return self._query()

    @property
    def newer_query(self) -> str:
        newer = self.listing.page.newer
        return self._query(newer=str(newer)) if newer else ""

    @property
    def older_query(self) -> str:
        older = self.listing.page.older
        return self._query(older=str(older)) if older else ""

    def _query(self, **cursor: str) -> str:
        return self.get_query_string(cursor, ["older", "newer"])


class KeysetAdmin(ReadOnlyAdmin[_Row]):
    """A read-only list over a table of any size. Subclasses say what one page holds."""

    filter_form: ClassVar[type[RangeForm]] = RangeForm
    search_label: ClassVar[str | Promise] = ""
    search_help_text: ClassVar[Any] = ""
    change_list_template = "admin/keyset_change_list.html"
    change_form_template = "admin/read_only_form.html"
    list_per_page = PAGE_SIZE
    list_select_related = ()

    def get_listing(self, request: HttpRequest, form: Any, cursor: Cursor) -> Listing:
        """Return the page at the cursor under valid filters, in a bounded number of bounded queries."""
        raise NotImplementedError

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"search_label": self.search_label, **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        title = capfirst(str(self.opts.verbose_name))
        return super().change_view(request, object_id, form_url, {"title": title, **(extra_context or {})})
