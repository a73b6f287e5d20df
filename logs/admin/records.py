"""Usage records in the Django admin: everybody's, read-only, at the same cost however many there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.columns import OwnerColumns
from accounts.gateways import error_texts
from logs.admin.content import ContentViews
from logs.admin.filters import UsageRecordForm
from logs.listing import everyones_records, own_records
from logs.models import UsageRecord
from logs.pricing import unpriced
from logs.pricing.quotes import is_priced_here
from logs.pricing.receipts import total_label
from logs.record import tokens
from logs.record.details import CALLED
from logs.rollups import everyones_sums, own_sums
from logs.rollups.own_sums import Totals
from routescope.admin import (
    PAGE_SIZE,
    Figure,
    KeysetAdmin,
    Listing,
    badge,
    facts,
    mono,
    nowrap,
    pretty_json,
    whole_hours,
    yes_or_no,
)
from routescope.admin.sections import Section
from routescope.data.keyset import Cursor, Page
from routescope.data.ranges import TimeRange
from routescope.text import formatting


@admin.register(UsageRecord)
class UsageRecordAdmin(ContentViews, OwnerColumns, KeysetAdmin[UsageRecord]):
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
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "ids",
                    ("time", "outcome", "kind"),
                    ("took", "first_token", "speed"),
                    "task",
                )
            },
        ),
        (_lazy("Owner"), {"fields": (("user", "token"), ("group", "gateway"), "row_ids")}),
        (
            _lazy("Call"),
            {"fields": (("model", "endpoint", "streamed"), ("provider", "channel"), ("ip", "user_agent"))},
        ),
        (_lazy("Tokens and cost"), {"fields": ("charge_exact", "counts", "billing_json")}),
        (
            _lazy("Error"),
            {
                "fields": (
                    ("cause", "http_status"),
                    ("error_type", "error_code", "error_param"),
                    "error_text",
                )
            },
        ),
        (
            _lazy("Also sent"),
            {"fields": ("content_link", "parameters_json", "attempts_json", "metadata_json")},
        ),
    )

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
            page, sums = own_records.page(user, selection, cursor, PAGE_SIZE), own_sums.totals(user, summed)
            everyones_records.with_users(page.rows)
        return Listing(page, _figures(sums), notes)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> UsageRecord | None:
        """Find the record through the index on its time: there is none on the id alone."""
        try:
            records = UsageRecord.objects.by_id(UUID(object_id))
        except (ValueError, OverflowError):
            return None
        return next(iter(records.select_related("model", *CALLED)[:1]), None)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        record = kwargs.get("obj")
        if isinstance(record, UsageRecord) and record.user_id in getattr(request.user, "ids", ()):
            # Admins see their own records only outside the admin, as everybody does.
            context["permalink"] = record.permalink
        return super().render_change_form(request, context, *args, **kwargs)

    # --- Columns

    @admin.display(description=_lazy("Time"))
    def short_time(self, record: UsageRecord) -> SafeString:
        return format_html('<span class="num nowrap">{}</span>', formatting.when(record.created_at))

    @admin.display(description=_lazy("Time"))
    def time(self, record: UsageRecord) -> SafeString:
        return format_html('<span class="num nowrap">{}</span>', formatting.when_ms(record.created_at))

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

    @admin.display(description=_lazy("Type"))
    def kind(self, record: UsageRecord) -> str:
        return str(record.get_type_display())

    @admin.display(description=_lazy("Status"))
    def outcome(self, record: UsageRecord) -> SafeString:
        return badge("error" if record.is_error else "success", record.status_word)

    @admin.display(description=_lazy("In → out tokens"))
    def tokens_used(self, record: UsageRecord) -> SafeString:
        return format_html(
            '<span class="num nowrap" title="{} → {}">{} → {}</span>',
            formatting.exact(record.input_tokens),
            formatting.exact(record.output_tokens),
            formatting.compact(record.input_tokens),
            formatting.compact(record.output_tokens),
        )

    @admin.display(description=_lazy("Cost"))
    def charge(self, record: UsageRecord) -> SafeString:
        return format_html('<span class="num nowrap">{}</span>', formatting.money_call(record.cost))

    @admin.display(description=_lazy("Duration"))
    def took(self, record: UsageRecord) -> SafeString:
        return format_html('<span class="num nowrap">{}</span>', formatting.duration(record.duration_ms))

    # --- Details

    @admin.display(description=_lazy("IDs"))
    def ids(self, record: UsageRecord) -> SafeString:
        return facts(
            (_("Request"), mono(record.request_id)),
            (_("Upstream"), mono(record.upstream_request_id)),
            (_("Record"), mono(str(record.id))),
        )

    @admin.display(description=_lazy("Time to first token"))
    def first_token(self, record: UsageRecord) -> str:
        return formatting.duration(record.ttft_ms)

    @admin.display(description=_lazy("Output tokens per second"))
    def speed(self, record: UsageRecord) -> str:
        speed = record.tokens_per_second
        return formatting.UNKNOWN if speed is None else formatting.exact(round(speed, 1))

    @admin.display(description=_lazy("Stream"))
    def streamed(self, record: UsageRecord) -> str:
        return yes_or_no(record.stream)

    @admin.display(description=_lazy("Async task"))
    def task(self, record: UsageRecord) -> str | SafeString:
        if not record.task_id:
            return formatting.UNKNOWN
        url = f"{reverse('admin:tasks_asynctask_changelist')}?{urlencode({'q': record.task_id})}"
        return format_html('<a class="mono" href="{}">{}</a>', url, record.task_id)

    @admin.display(description=_lazy("Row IDs"))
    def row_ids(self, record: UsageRecord) -> SafeString:
        return facts(
            (_("User"), record.user_id),
            (_("Token"), record.token_id or formatting.UNKNOWN),
            (_("Group"), record.group_id or formatting.UNKNOWN),
            (_("Model"), record.model_id or formatting.UNKNOWN),
            (_("Gateway"), record.gateway_id),
        )

    @admin.display(description=_lazy("Cost"))
    def charge_exact(self, record: UsageRecord) -> str:
        if record.cost is None:
            kinds = unpriced.labels(record.unpriced)
            known = _("No price is known for: %(kinds)s.") % {"kinds": ", ".join(kinds)}
            return known if kinds else _("No price is known")
        amount = formatting.money_exact(record.cost)
        if not is_priced_here(record.billing):
            return amount
        return f"{amount} ({total_label(str((record.billing or {}).get('source')), True)})"

    @admin.display(description=_lazy("Counts"))
    def counts(self, record: UsageRecord) -> SafeString:
        listed = facts(*tokens.counted(record))
        how = tokens.how_read(record)
        return format_html("{}<p>{}</p>", listed, how) if how else listed

    @admin.display(description=_lazy("Message"))
    def error_text(self, record: UsageRecord) -> str | SafeString:
        if not record.error_message:
            return formatting.UNKNOWN
        text = format_html('<pre class="text">{}</pre>', record.error_message)
        note = error_texts.note(record.error_message)
        return format_html("{}<p>{}</p>", text, note) if note else text

    @admin.display(description=_lazy("Billing"))
    def billing_json(self, record: UsageRecord) -> str | SafeString:
        return pretty_json(record.billing)

    @admin.display(description=_lazy("Request parameters"))
    def parameters_json(self, record: UsageRecord) -> str | SafeString:
        return pretty_json(record.parameters)

    @admin.display(description=_lazy("Attempts"))
    def attempts_json(self, record: UsageRecord) -> str | SafeString:
        return pretty_json(record.attempts)

    @admin.display(description=_lazy("Metadata"))
    def metadata_json(self, record: UsageRecord) -> str | SafeString:
        return pretty_json(record.metadata)


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
