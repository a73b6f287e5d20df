"""Async tasks in the Django admin: everybody's, read-only."""

from __future__ import annotations

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
from accounts.models import Gateway, User
from routescope.admin import (
    PAGE_SIZE,
    Listing,
    RangeForm,
    badge,
    look_up,
)
from routescope.admin.sections import Section
from routescope.data.ids import EPOCH
from routescope.data.keyset import Cursor, Page
from routescope.data.ranges import Preset
from routescope.data.scopes import Scope
from routescope.text import formatting
from tasks.admin.task_page import TaskPage
from tasks.models import AsyncTask, TaskStatus, TaskType
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
    gateway = forms.ModelChoiceField(Gateway.objects.all(), label=_lazy("Gateway"), required=False)
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
        for name in ("user", "gateway"):
            look_up(self, AsyncTask, name)

    @property
    def scope(self) -> AsyncTaskQuerySet[AsyncTask]:
        """The tasks of the range and the user chosen: what an index knows."""
        tasks: AsyncTaskQuerySet[AsyncTask] = AsyncTask.objects.within(self.chosen_range(EPOCH))
        user = self.cleaned_data.get("user")
        return tasks.visible_to(Scope.own(user)) if isinstance(user, User) else tasks

    @property
    def unindexed(self) -> Q:
        """The other filters, for which tasks have to be read."""
        chosen = ((name, self.cleaned_data.get(name)) for name in ("gateway", "type", "status", "platform"))
        return Q(**{name: value for name, value in chosen if value})


@admin.register(AsyncTask)
class AsyncTaskAdmin(TaskPage, OwnerColumns):
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

    def get_listing(self, request: HttpRequest, form: AsyncTaskForm, cursor: Cursor) -> Listing:
        if not form.identifier:
            return Listing(listing.page(form.scope, form.unindexed, cursor, PAGE_SIZE))
        rows = list(listing.named(AsyncTask.objects.of_one_id(form.identifier)))
        return Listing(Page(rows, None, None), notes=_notes_on_search(form.identifier, rows))

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
