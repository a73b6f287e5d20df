"""Async tasks in the Django admin: everybody's, read-only."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.columns import OwnerColumns
from accounts.admin.pickers import PersonField
from accounts.models import User
from accounts.staff.rights import READ_CONTENT
from routescope.admin import (
    PAGE_SIZE,
    KeysetAdmin,
    Listing,
    RangeForm,
    ShortInline,
    badge,
    facts,
    look_up,
    mono,
    pretty_json,
    yes_or_no,
)
from routescope.admin.sections import Section
from routescope.data.ids import EPOCH
from routescope.data.keyset import Cursor, Page
from routescope.data.ranges import Preset
from routescope.text import formatting
from tasks.models import AsyncTask, TaskEvent, TaskStatus, TaskType
from tasks.models.querysets import AsyncTaskQuerySet
from tasks.tab import listing

_KINDS = {
    TaskStatus.QUEUED: "quiet",
    TaskStatus.RUNNING: "running",
    TaskStatus.SUCCEEDED: "success",
    TaskStatus.PARTIALLY_SUCCEEDED: "limit",
    TaskStatus.FAILED: "error",
    TaskStatus.MODERATED: "error",
    TaskStatus.CANCELLED: "quiet",
    TaskStatus.EXPIRED: "error",
    TaskStatus.UNKNOWN: "quiet",
}


class AsyncTaskForm(RangeForm):
    """The filters of the tasks' list."""

    user = PersonField(User.objects.all(), label=_lazy("User"), required=False)
    type = forms.ChoiceField(
        label=_lazy("Type"), required=False, choices=[("", _lazy("All")), *TaskType.choices]
    )
    status = forms.ChoiceField(
        label=_lazy("Status"), required=False, choices=[("", _lazy("All")), *TaskStatus.choices]
    )
    platform = forms.CharField(
        label=_lazy("Platform"), required=False, max_length=64, widget=forms.TextInput(attrs={"size": 12})
    )

    default_range = Preset.MONTH

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        look_up(self, AsyncTask, "user")

    @property
    def scope(self) -> AsyncTaskQuerySet[AsyncTask]:
        """The tasks of the range and the user chosen: what an index knows."""
        tasks: AsyncTaskQuerySet[AsyncTask] = AsyncTask.objects.within(self.chosen_range(EPOCH))
        user = self.cleaned_data.get("user")
        return tasks.visible_to(user) if isinstance(user, User) else tasks

    @property
    def unindexed(self) -> Q:
        """The other filters, for which tasks have to be read."""
        chosen = ((name, self.cleaned_data.get(name)) for name in ("type", "status", "platform"))
        return Q(**{name: value for name, value in chosen if value})


class TimelineInline(ShortInline[TaskEvent, AsyncTask]):
    """The newest entries of a task's timeline."""

    model = TaskEvent
    parent = "task"
    most = 100
    verbose_name_plural = _lazy("Timeline, newest first")
    fields = ("moment", "kind", "change", "word", "progress", "answer", "reason", "note")

    @admin.display(description=_lazy("Time"))
    def moment(self, entry: TaskEvent) -> SafeString:
        return format_html('<span class="num nowrap">{}</span>', formatting.when_ms(entry.at))

    @admin.display(description=_lazy("Status"))
    def change(self, entry: TaskEvent) -> str | SafeString:
        if not entry.after:
            return formatting.UNKNOWN
        return badge(_KINDS[TaskStatus(entry.after)], entry.get_after_display())

    @admin.display(description=_lazy("Answer"))
    def answer(self, entry: TaskEvent) -> str:
        parts = (entry.http_status, entry.duration_ms is not None and formatting.duration(entry.duration_ms))
        return " · ".join(str(part) for part in parts if part) or formatting.UNKNOWN


@admin.register(AsyncTask)
class AsyncTaskAdmin(OwnerColumns, KeysetAdmin[AsyncTask]):
    section, place = Section.RECORDS, 2
    about = _lazy("Work that goes on after its request is answered: videos, images, music, batches.")
    fills = _lazy("A gateway reports each one, or its webhook does; workers then follow it to its end.")
    filter_form = AsyncTaskForm
    search_label = _lazy("Task ID")
    search_help_text = _lazy(
        "The whole task ID, the provider's, or the ID of the request that submitted it. Searches all time."
    )
    list_display = (
        "submitted",
        "identifier",
        "person",
        "token_name",
        "model",
        "type",
        "platform",
        "state",
        "done",
        "charge",
        "took",
    )
    list_display_links = ("identifier",)
    fieldsets = (
        (None, {"fields": ("ids", ("state", "provider_status", "done"), ("type", "work", "model"), "times")}),
        (_lazy("Owner"), {"fields": (("user", "token"), ("group", "gateway"))}),
        (_lazy("Money"), {"fields": (("charge_exact", "refunded", "waits"), "request", "records")}),
        (_lazy("Outcome"), {"fields": ("failure_code", "failure_text", "expires", "result_json")}),
        (_lazy("Polling"), {"fields": ("polling",)}),
    )
    inlines = (TimelineInline,)

    def get_listing(self, request: HttpRequest, form: AsyncTaskForm, cursor: Cursor) -> Listing:
        if not form.identifier:
            return Listing(listing.page(form.scope, form.unindexed, cursor, PAGE_SIZE))
        rows = list(listing.named(AsyncTask.objects.of_one_id(form.identifier)))
        return Listing(Page(rows, None, None), notes=_notes_on_search(form.identifier, rows))

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> AsyncTask | None:
        try:
            identifier = UUID(object_id)
        except ValueError:
            return None
        return (
            listing.named(AsyncTask.objects.filter(pk=identifier)).select_related("group", "gateway").first()
        )

    # --- Columns

    @admin.display(description=_lazy("Submitted"))
    def submitted(self, task: AsyncTask) -> SafeString:
        return format_html('<span class="num nowrap">{}</span>', formatting.when(task.submitted_at))

    @admin.display(description=_lazy("Task ID"))
    def identifier(self, task: AsyncTask) -> SafeString:
        return format_html(
            '<span class="mono nowrap" title="{}">{}</span>', task.task_id, formatting.short_id(task.task_id)
        )

    @admin.display(description=_lazy("Status"))
    def state(self, task: AsyncTask) -> SafeString:
        return badge(_KINDS[TaskStatus(task.status)], task.get_status_display())

    @admin.display(description=_lazy("Progress"))
    def done(self, task: AsyncTask) -> str:
        return formatting.UNKNOWN if task.progress is None else f"{task.progress}%"

    @admin.display(description=_lazy("Cost"))
    def charge(self, task: AsyncTask) -> SafeString:
        return format_html('<span class="num nowrap">{}</span>', formatting.money_call(task.cost))

    @admin.display(description=_lazy("Duration"))
    def took(self, task: AsyncTask) -> SafeString:
        taken = task.finished_at - task.submitted_at if task.finished_at else None
        return format_html('<span class="num nowrap">{}</span>', formatting.duration(taken))

    # --- Details

    @admin.display(description=_lazy("IDs"))
    def ids(self, task: AsyncTask) -> SafeString:
        return facts(
            (_("Task"), mono(task.task_id)),
            (_("Provider"), mono(task.provider_task_id)),
            (_("Row"), mono(str(task.pk))),
        )

    @admin.display(description=_lazy("Times"))
    def times(self, task: AsyncTask) -> SafeString:
        return facts(
            (_("Submitted"), formatting.when_ms(task.submitted_at)),
            (_("Started"), formatting.when_ms(task.started_at)),
            (_("Finished"), formatting.when_ms(task.finished_at)),
            (_("Last change"), formatting.when_ms(task.updated_at)),
        )

    @admin.display(description=_lazy("Platform"))
    def work(self, task: AsyncTask) -> str:
        return task.platform

    @admin.display(description=_lazy("Result expires"))
    def expires(self, task: AsyncTask) -> str:
        return formatting.when(task.result_expires_at)

    @admin.display(description=_lazy("Cost"))
    def charge_exact(self, task: AsyncTask) -> str:
        return formatting.money_exact(task.cost)

    @admin.display(description=_lazy("Refund waits for the charge"))
    def waits(self, task: AsyncTask) -> str:
        return yes_or_no(task.refund_due)

    @admin.display(description=_lazy("Refund"))
    def refunded(self, task: AsyncTask) -> str:
        return formatting.money_exact(task.refund)

    @admin.display(description=_lazy("Records"))
    def records(self, task: AsyncTask) -> SafeString:
        return facts(
            (_("Charge"), _record_link(task.charge_record_id)),
            (_("Refund"), _record_link(task.refund_record_id)),
        )

    @admin.display(description=_lazy("Polling"))
    def polling(self, task: AsyncTask) -> SafeString:
        return facts(
            (_("Polls"), formatting.exact(task.polls)),
            (_("Failed in a row"), formatting.exact(task.poll_failures)),
            (_("Next"), formatting.when(task.next_poll_at)),
            (_("Deadline"), formatting.when(task.deadline_at)),
            (_("In progress until"), formatting.when(task.leased_until)),
        )

    @admin.display(description=_lazy("Submitted by request"))
    def request(self, task: AsyncTask) -> str | SafeString:
        if not task.request_id:
            return formatting.UNKNOWN
        url = f"{reverse('admin:logs_usagerecord_changelist')}?{urlencode({'q': task.request_id})}"
        return format_html('<a class="mono" href="{}">{}</a>', url, task.request_id)

    @admin.display(description=_lazy("Failure reason"))
    def failure_text(self, task: AsyncTask) -> str | SafeString:
        if not task.failure_message:
            return formatting.UNKNOWN
        return format_html('<pre class="text">{}</pre>', task.failure_message)

    def get_fieldsets(self, request: HttpRequest, obj: AsyncTask | None = None) -> Any:
        """Return them without the result for who may not read the content of others."""
        if request.user.has_perm(READ_CONTENT):
            return self.fieldsets
        return [
            (
                name,
                {"fields": tuple("result_hidden" if one == "result_json" else one for one in part["fields"])},
            )
            for name, part in self.fieldsets
        ]

    @admin.display(description=_lazy("Result"))
    def result_hidden(self, task: AsyncTask) -> str:
        return _("Hidden: it is read with the right to view usage content.")

    @admin.display(description=_lazy("Result"))
    def result_json(self, task: AsyncTask) -> str | SafeString:
        return pretty_json(task.result)


def _record_link(record_id: UUID | None) -> str | SafeString:
    if record_id is None:
        return formatting.UNKNOWN
    url = reverse("admin:logs_usagerecord_change", args=[record_id])
    return format_html('<a class="mono" href="{}">{}</a>', url, record_id)


def _notes_on_search(identifier: str, rows: list[AsyncTask]) -> list[str]:
    if rows:
        return [_("All time, whatever the filters say.")]
    records = reverse("admin:logs_usagerecord_changelist")
    return [
        format_html(
            _('No task of any time carries this ID. <a href="{}">Look for a usage record with it</a>.'),
            f"{records}?{urlencode({'q': identifier})}",
        )
    ]
