"""Usage records in the Django admin: everybody's, read-only, at the same cost however many there are."""

from __future__ import annotations

from dataclasses import replace

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.columns import OwnerColumns
from logs.admin.filters import UsageRecordForm
from logs.admin.record_page import RecordPage
from logs.listing import everyones_records, own_records
from logs.models import UsageRecord
from logs.record.tokens import in_and_out
from logs.rollups import everyones_sums, own_sums
from logs.rollups.own_sums import Totals
from routescope.admin import (
    PAGE_SIZE,
    Figure,
    Listing,
    badge,
    nowrap,
    whole_hours,
)
from routescope.admin.sections import Section
from routescope.data.keyset import Cursor, Page
from routescope.data.ranges import TimeRange
from routescope.data.scopes import Scope
from routescope.text import formatting


@admin.register(UsageRecord)
class UsageRecordAdmin(RecordPage, OwnerColumns):
    section, place = Section.RECORDS, 1
    about = _lazy(
        "Every call of a model that went through a gateway, with what it cost and why; refunds and "
        "adjustments beside."
    )
    fills = _lazy("A gateway with an ingest key fills it as it sends: each call is here within a second.")
    filter_form = UsageRecordForm
    search_label = _lazy("Request ID")
    search_help_text = _lazy(
        "The whole request ID, or the provider's. Searches all time, whatever the filters say."
    )
    list_display = (
        "short_time",
        "request",
        "person",
        "token_name",
        "model_name",
        "group_name",
        "outcome",
        "tokens_used",
        "charge",
        "took",
    )
    list_display_links = ("request",)

    def get_listing(self, request: HttpRequest, form: UsageRecordForm, cursor: Cursor) -> Listing:
        if form.identifier:
            page = everyones_records.identified(form.identifier)
            figures = _figures(Totals.of(page.rows)) if page.rows else ()
            return Listing(page, figures, _notes_on_search(form, page))
        selection, user = form.selection, form.one_user
        summed = replace(selection, chosen=whole_hours(selection.chosen))
        notes = [] if summed == selection else [_note_on_hours(summed.chosen)]
        if user is None:
            page, sums = everyones_records.page(selection, cursor, PAGE_SIZE), everyones_sums.totals(summed)
        else:
            scope = Scope.own(user)
            page, sums = own_records.page(scope, selection, cursor, PAGE_SIZE), own_sums.totals(scope, summed)
            everyones_records.with_users(page.rows)
        return Listing(page, _figures(sums), notes)

    # --- Columns

    @admin.display(description=_lazy("Time"))
    def short_time(self, record: UsageRecord) -> SafeString:
        return format_html('<span class="num nowrap">{}</span>', formatting.when(record.created_at))

    @admin.display(description=_lazy("Request ID"))
    def request(self, record: UsageRecord) -> SafeString:
        return format_html(
            '<span class="mono nowrap" title="{}">{}</span>',
            record.request_id,
            formatting.short_id(record.request_id),
        )

    @admin.display(description=_lazy("Model"))
    def model_name(self, record: UsageRecord) -> SafeString:
        return nowrap(record.model)

    @admin.display(description=_lazy("Status"))
    def outcome(self, record: UsageRecord) -> SafeString:
        return badge("error" if record.is_error else "success", record.status_word)

    @admin.display(description=_lazy("In → out tokens"))
    def tokens_used(self, record: UsageRecord) -> SafeString:
        return format_html('<span class="num nowrap">{}</span>', in_and_out(record, "→"))

    @admin.display(description=_lazy("Cost"))
    def charge(self, record: UsageRecord) -> SafeString:
        return format_html('<span class="num nowrap">{}</span>', formatting.money_call(record.cost))

    @admin.display(description=_lazy("Duration"))
    def took(self, record: UsageRecord) -> SafeString:
        return format_html('<span class="num nowrap">{}</span>', formatting.duration(record.duration_ms))


def _figures(sums: Totals) -> list[Figure]:
    failed = None if sums.success_rate is None else 1 - sums.success_rate
    return [
        Figure("requests", _("Requests"), formatting.exact(sums.requests), str(sums.requests)),
        Figure(
            "errors", _("Errors"), formatting.exact(sums.errors), str(sums.errors), formatting.percent(failed)
        ),
        _tokens("input_tokens", _("Input tokens"), sums.input_tokens),
        _tokens("cached_tokens", _("Cached"), sums.cached_tokens, formatting.percent(sums.cached_share)),
        _tokens("output_tokens", _("Output tokens"), sums.output_tokens),
        Figure(
            "cost",
            _("Cost"),
            formatting.money(sums.cost),
            f"{sums.cost:f}",
            _("%(count)s without a price") % {"count": formatting.exact(sums.unpriced)}
            if sums.unpriced
            else "",
        ),
    ]


def _tokens(name: str, label: str, count: int, note: str = "") -> Figure:
    return Figure(name, label, formatting.tokens(count), str(count), note)


def _notes_on_search(form: UsageRecordForm, page: Page[UsageRecord]) -> list[str]:
    if page.rows:
        return [_("All time, whatever the filters say.")]
    tasks = reverse("admin:tasks_asynctask_changelist")
    return [
        format_html(
            _('No record of any time carries this ID. <a href="{}">Look for a task with it</a>.'),
            f"{tasks}?{urlencode({'q': form.identifier})}",
        )
    ]


def _note_on_hours(summed: TimeRange) -> str:
    return _("The sums are of whole hours: %(start)s to %(end)s.") % {
        "start": formatting.when(summed.start),
        "end": formatting.when(summed.end),
    }
