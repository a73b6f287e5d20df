"""The Django admin's frame: one sign-in, an ordered index, and lists of big tables that are paged by key."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MethodType
from typing import Any, ClassVar, TypeVar

from allauth.account.decorators import secure_admin_login
from django import forms
from django.contrib import admin
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import PermissionDenied
from django.db import models
from django.forms import BaseInlineFormSet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from routescope import formatting
from routescope.admin.guards import GuardedAdmin
from routescope.filtering import MomentField
from routescope.keyset import Cursor, Page
from routescope.ranges import HOUR, Preset, TimeRange, ceil, floor, preset_range
from routescope.snapshot import snapshot
from routescope.web.unavailable import answers_json

PAGE_SIZE = 50
CUSTOM = "custom"

_Row = TypeVar("_Row", bound=models.Model)
_Parent = TypeVar("_Parent", bound=models.Model)


# --- Lists of big tables -----------------------------------------------------------------------------------


class ReadOnlyAdmin(GuardedAdmin[_Row]):
    """Shows what the product writes itself: nobody, superusers included, adds, changes or deletes it here."""

    actions = None
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: _Row | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: _Row | None = None) -> bool:
        return False

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self.require_view(request)
        raise Http404


class KeptAdmin(GuardedAdmin[_Row]):
    """Shows what records refer to: changed, switched off, never deleted, which would leave them nameless."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def has_delete_permission(self, request: HttpRequest, obj: _Row | None = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})


class ShownOnly(BaseInlineFormSet[Any, Any, forms.ModelForm[Any]]):
    """Rows to look at. What a browser sends back for them is not read: they may have changed meanwhile."""

    def __init__(self, data: Any = None, files: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.new_objects: list[Any] = []
        self.changed_objects: list[Any] = []
        self.deleted_objects: list[Any] = []

    def is_valid(self) -> bool:
        return True

    def save(self, commit: bool = True) -> list[Any]:
        return []


class ShortInline(admin.TabularInline[_Row, _Parent]):
    """The first rows that belong to an object, to look at; each leads to its own page."""

    template = "admin/short_inline.html"
    parent: ClassVar[str]
    """The foreign key to the object."""
    linked: ClassVar[str] = ""
    """The column that leads to the row's own page."""
    most: ClassVar[int] = 30
    formset = ShownOnly
    extra = 0
    can_delete = False

    @property
    def show_change_link(self) -> bool:  # type: ignore[override]
        return bool(self.linked)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields or ()

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[_Row]:
        """Return the newest few. A name that nobody sends with can own ten thousand tokens."""
        rows = super().get_queryset(request)
        match = request.resolver_match
        if match is None or "object_id" not in match.kwargs:
            return rows.none()
        first = rows.filter(**{self.parent: match.kwargs["object_id"]}).order_by("-pk").values("pk")
        return rows.filter(pk__in=first[: self.most]).order_by("-pk")


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
        title = capfirst(str(self.opts.verbose_name_plural))
        context = {"title": title, "search_label": self.search_label, **(extra_context or {})}
        return super().changelist_view(request, context)

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


# --- How values are shown ----------------------------------------------------------------------------------


def pretty_json(value: object) -> str | SafeString:
    """Return JSON laid out to be read, or a dash."""
    if value is None:
        return formatting.UNKNOWN
    return format_html(
        '<pre class="json">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False)
    )


def yes_or_no(value: bool | None) -> str:
    """Return the word for a switch: a no is no failure, as Django's red sign has it."""
    return formatting.UNKNOWN if value is None else _("Yes") if value else _("No")


def mono(value: str | None) -> str | SafeString:
    """Return an ID whole, in the face that tells its characters apart."""
    return format_html('<span class="mono">{}</span>', value) if value else formatting.UNKNOWN


def nowrap(value: object) -> SafeString:
    """Return a name on one line, or a dash for none."""
    return format_html('<span class="nowrap">{}</span>', formatting.UNKNOWN if value is None else value)


def badge(kind: str, word: str | Promise) -> SafeString:
    """Return a state as a dot and a word. ``kind`` is success, error, limit, running or quiet."""
    return format_html('<span class="state state-{}">{}</span>', kind, word)


def facts(*pairs: tuple[str, object]) -> SafeString:
    """Return named values side by side."""
    return format_html(
        '<dl class="facts">{}</dl>',
        format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", pairs),
    )


# --- The site ----------------------------------------------------------------------------------------------

SECTIONS: tuple[tuple[str | Promise, tuple[str, ...]], ...] = (
    (gettext_lazy("Operation Records"), ("logs.usagerecord", "tasks.asynctask")),
    (
        gettext_lazy("People"),
        (
            "accounts.user",
            "accounts.apitoken",
            "accounts.group",
            "mfa.authenticator",
            "accounts.linkedidentity",
            "auth.group",
        ),
    ),
    (
        gettext_lazy("Gateways"),
        (
            "accounts.gateway",
            "accounts.useridentity",
            "accounts.tokenidentity",
            "accounts.groupidentity",
            "accounts.aimodel",
        ),
    ),
    (gettext_lazy("Prices"), ("logs.modelprice", "logs.groupratio")),
    (gettext_lazy("Privacy"), ("logs.contentpolicy", "accounts.auditentry")),
    (gettext_lazy("System"), ("routescope.jobrun",)),
)
"""The index, in the order of use. Models not named here follow under their apps."""
_RENAMED: dict[str, str | Promise] = {"auth.group": gettext_lazy("Permission groups")}
"""What the index calls models whose own names would stand there twice."""


class LabelledAutocomplete(AutocompleteJsonView):
    """Autocomplete that says more than a name where names repeat (``autocomplete_label`` of the admin)."""

    def serialize_result(self, obj: models.Model, to_field_name: str) -> dict[str, str]:
        label = getattr(self.model_admin, "autocomplete_label", str)
        return {"id": str(getattr(obj, to_field_name)), "text": label(obj)}


def _sections(
    site: admin.AdminSite, request: HttpRequest, app_label: str | None = None
) -> list[dict[str, Any]]:
    """Return the index's sections with the models that the viewer may open."""
    apps = admin.AdminSite.get_app_list(site, request, app_label)
    if app_label:
        return apps
    entries = {entry["model"]._meta.label_lower: entry for app in apps for entry in app["models"]}
    for label, name in _RENAMED.items():
        if label in entries:
            entries[label]["name"] = name
    sections = []
    for name, labels in SECTIONS:
        if found := [entries.pop(label) for label in labels if label in entries]:
            app = found[0]["model"]._meta.app_label
            sections.append(
                {
                    "name": name,
                    "app_label": app,
                    "app_url": found[0]["admin_url"],
                    "has_module_perms": True,
                    "models": found,
                }
            )
    for app in apps:
        app["models"] = [entry for entry in app["models"] if entry["model"]._meta.label_lower in entries]
    return sections + [app for app in apps if app["models"]]


@answers_json
def _autocomplete_view(site: admin.AdminSite, request: HttpRequest) -> HttpResponseBase:
    return LabelledAutocomplete.as_view(admin_site=site)(request)


def _urls(site: admin.AdminSite) -> list[Any]:
    """Return Django's pages without the one that leads to any object of any model (``view_on_site``)."""
    return [one for one in admin.AdminSite.get_urls(site) if getattr(one, "name", None) != "view_on_site"]


def dress(site: admin.AdminSite) -> None:
    """Make Django's default site ours: its name, our sign-in page with its second factor, our order."""
    site.site_header = site.site_title = gettext_lazy("Routescope administration")
    site.index_title = gettext_lazy("Administration")
    site.login = secure_admin_login(site.login)  # type: ignore[method-assign]
    site.get_urls = MethodType(_urls, site)  # type: ignore[method-assign]
    site.get_app_list = MethodType(_sections, site)  # type: ignore[method-assign]
    site.autocomplete_view = MethodType(_autocomplete_view, site)  # type: ignore[method-assign]


dress(admin.site)
