"""Async tasks: work that a provider finishes later (image, audio, video, music, batches, responses)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from routescope.data.permalinks import permalink
from tasks.models.querysets import AsyncTaskManager

MAX_ID_BYTES = 2_500
"""Of an ID in UTF-8: clients' have up to some 2,300 (LiteLLM), and a row of an index holds 2,704."""


class TaskType(models.TextChoices):
    IMAGE = "image", _("Image")
    AUDIO = "audio", _("Audio")
    VIDEO = "video", _("Video")
    MUSIC = "music", _("Music")
    BATCH = "batch", _("Batch")
    RESPONSE = "response", _("Response")
    OTHER = "other", _("Other")


class TaskStatus(models.TextChoices):
    """The canonical states. A final one never changes."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    PARTIALLY_SUCCEEDED = "partially_succeeded", _("Partially succeeded")
    FAILED = "failed", _("Failed")
    MODERATED = "moderated", _("Moderated")
    CANCELLED = "cancelled", _("Cancelled")
    EXPIRED = "expired", _("Expired")
    UNKNOWN = "unknown", _("Unknown")


OPEN_STATUSES = (TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.UNKNOWN)
UNSUCCESSFUL_STATUSES = (TaskStatus.FAILED, TaskStatus.MODERATED, TaskStatus.CANCELLED, TaskStatus.EXPIRED)
"""The ends without a result: what was charged for them is given back."""
FAILED_STATUSES = (TaskStatus.FAILED, TaskStatus.MODERATED, TaskStatus.EXPIRED)
"""The ends that nobody wanted."""
MADE_STATUSES = (TaskStatus.SUCCEEDED, TaskStatus.PARTIALLY_SUCCEEDED)
HAS_CAUSE = models.Q(status__in=[status.value for status in UNSUCCESSFUL_STATUSES]) | (
    models.Q(status=TaskStatus.PARTIALLY_SUCCEEDED.value) & ~models.Q(failure_message="")
)
"""Tasks that ended badly, or in part and with a reason: those have a cause, and no others."""

STATUS_MARKS = {
    TaskStatus.QUEUED: "queued",
    TaskStatus.RUNNING: "running",
    TaskStatus.SUCCEEDED: "success",
    TaskStatus.PARTIALLY_SUCCEEDED: "limit",
    TaskStatus.FAILED: "error",
    TaskStatus.MODERATED: "error",
    TaskStatus.EXPIRED: "error",
}
"""How each looks: a name of ``listing.css``."""


class EventKind(models.TextChoices):
    """Where an entry of a task's timeline came from."""

    SUBMITTED = "submitted", _("Submitted")
    REPORT = "report", _("Reported by the gateway")
    POLL = "poll", _("Polled")
    WEBHOOK = "webhook", _("Webhook")
    HINT = "hint", _("Asked to poll by an unsigned callback")
    DEADLINE = "deadline", _("Deadline passed")
    REFUND = "refund", _("Refund")


class EventReason(models.TextChoices):
    """What an entry of a timeline means, where its kind does not say it all."""

    IGNORED = "ignored", _("Ignored: the task was further on already")
    GIVEN_BACK = "given_back", _("The charge was given back")
    GATEWAY_GAVE_BACK = "gateway_gave_back", _("The gateway had given the charge back already")
    NOTHING_CHARGED = "nothing_charged", _("Nothing had been charged")
    NO_CHARGE = "no_charge", _("No charge of this task has arrived: there is nothing to give back")
    NO_ANSWER = "no_answer", _("The provider could not be reached")
    UNREADABLE = "unreadable", _("The provider's answer could not be read")
    SLOWED = "slowed", _("The provider asked to wait")
    NOT_ALLOWED = "not_allowed", _("The provider refused our key")
    NOT_FOUND = "not_found", _("The provider does not know this task")
    FORBIDDEN_ADDRESS = "forbidden_address", _("The address is not allowed")
    KEY_WITHHELD = "key_withheld", _("The key was not sent: it was entered for another host")
    CUT_SHORT = "cut_short", _("The poll was cut short: its worker died, or it took too long")
    BROKEN = "broken", _("The poll broke by a fault of the console's own; the log says which")
    TOO_LATE = "too_late", _("No final answer before the deadline")


class AsyncTask(models.Model):
    """One async task, from its submission to its end.

    ``id`` sorts by submission time and is derived from gateway and task ID (`routescope.data.ids`): the same
    task registered twice is the same row. ``request_id`` is the usage record that submitted it. Money is USD.

    The fields from ``status`` on change only in ``lifecycle.transition()``, but for ``cause``, which may be
    judged again (`tasks.maintenance.judging`); those of polling are kept by ``claims`` and ``polling``.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    submitted_at = models.DateTimeField(_("submitted"))
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    updated_at = models.DateTimeField(_("last change"), default=timezone.now)
    user = models.ForeignKey(
        "accounts.User", models.CASCADE, related_name="+", db_index=False, verbose_name=_("user")
    )
    gateway = models.ForeignKey(
        "accounts.Gateway", models.PROTECT, related_name="+", verbose_name=_("gateway")
    )
    token = models.ForeignKey(
        "accounts.ApiToken", models.SET_NULL, null=True, related_name="+", verbose_name=_("token")
    )
    model = models.ForeignKey(
        "accounts.AIModel", models.SET_NULL, null=True, related_name="+", verbose_name=_("model")
    )
    group = models.ForeignKey(
        "accounts.Group", models.SET_NULL, null=True, related_name="+", verbose_name=_("group")
    )
    task_id = models.CharField(
        _("task ID"), max_length=MAX_ID_BYTES, help_text=_("The ID that the client saw.")
    )
    provider_task_id = models.CharField(_("provider's task ID"), max_length=MAX_ID_BYTES, blank=True)
    request_id = models.CharField(_("request ID"), max_length=MAX_ID_BYTES, blank=True)
    platform = models.CharField(_("platform"), max_length=64, help_text=_("The provider that does the work."))
    type = models.CharField(_("type"), max_length=16, choices=TaskType, default=TaskType.OTHER)

    status = models.CharField(_("status"), max_length=24, choices=TaskStatus, default=TaskStatus.QUEUED)
    provider_status = models.CharField(_("provider's word"), max_length=100, blank=True)
    progress = models.PositiveSmallIntegerField(_("progress"), null=True, blank=True, help_text=_("Percent."))
    cost = models.DecimalField(_("cost"), max_digits=24, decimal_places=12, null=True, blank=True)
    result = models.JSONField(
        _("result"), null=True, blank=True, help_text=_("A list of pieces: kind, URL, text or data.")
    )
    result_expires_at = models.DateTimeField(_("result expires"), null=True, blank=True)
    failure_code = models.CharField(_("failure code"), max_length=100, blank=True)
    failure_message = models.TextField(_("failure reason"), blank=True)
    cause = models.CharField(max_length=24, blank=True, default="", db_default="", editable=False)
    """Why it ended badly, or in part (`tasks.outcomes.causes`), as it is filtered and counted by. Empty where
    it did not, and until tasks of before there were such filters are judged (`tasks.maintenance.judging`)."""
    cause_uncut = models.CharField(max_length=24, blank=True, default="", db_default="", editable=False)
    """Judged before the failure reason was cut; empty where the whole of it is kept, and tells."""

    gateway_refunds = models.BooleanField(
        _("the gateway refunds"),
        default=False,
        help_text=_("The gateway sends its own refund records: none is made here."),
    )
    refund = models.DecimalField(
        _("refund"),
        max_digits=24,
        decimal_places=12,
        null=True,
        blank=True,
        help_text=_("What was given back, in USD."),
    )
    refund_due = models.BooleanField(_("refund due"), default=False)
    charge_record_id = models.UUIDField(_("charge"), null=True, editable=False)
    refund_record_id = models.UUIDField(_("refund record"), null=True, editable=False)

    poll_url = models.CharField(
        _("poll URL"), max_length=2000, blank=True, help_text=_("Where the provider itself said to ask.")
    )
    poll_parameters = models.JSONField(
        _("poll parameters"), default=dict, blank=True, help_text=_("What the provider's URL needs.")
    )
    poll_host = models.CharField(
        _("poll host"), max_length=260, blank=True, default="", db_default="", editable=False
    )
    """The host that is asked, with its port unless that is 443; nothing before the first poll where only a
    poll tells."""
    next_poll_at = models.DateTimeField(_("next poll"), null=True, blank=True)
    deadline_at = models.DateTimeField(_("deadline"), null=True, blank=True)
    lease = models.UUIDField(_("lease"), null=True, editable=False)
    leased_until = models.DateTimeField(_("leased until"), null=True, editable=False)
    poll_begun_at = models.DateTimeField(_("poll begun"), null=True, editable=False)
    """When the poll under this lease began: one that ends without a word has died, and is a try."""
    polls = models.PositiveIntegerField(_("polls"), default=0)
    poll_failures = models.PositiveIntegerField(
        _("failed polls"), default=0, help_text=_("In a row, since the provider last answered.")
    )

    objects: ClassVar[AsyncTaskManager] = AsyncTaskManager()

    platform_name: str
    """The platform's real name, where ``presentation.attach_names`` has put it."""

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        default_permissions = ("view",)
        constraints = [
            # A task is registered once, even where a gateway gives two times of submission.
            models.UniqueConstraint(fields=["gateway", "task_id"], name="asynctask_gateway_task_id"),
        ]
        indexes = [
            # A user's task list, newest first.
            models.Index(fields=["user", "id"], name="asynctask_user_id"),
            # What failed, and what is under way: asked for by itself and first, and rare in a long list.
            models.Index(
                fields=["user", "id"],
                name="asynctask_failed",
                condition=models.Q(status__in=["failed", "moderated", "expired"]),
            ),
            models.Index(
                fields=["user", "id"],
                name="asynctask_open",
                condition=models.Q(status__in=["queued", "running", "unknown"]),
            ),
            # The task ID box, over all time.
            models.Index(fields=["task_id"], name="asynctask_task_id"),
            models.Index(
                fields=["provider_task_id"],
                name="asynctask_provider_task_id",
                condition=~models.Q(provider_task_id=""),
            ),
            # From a usage record to the task that it submitted.
            models.Index(
                fields=["request_id"], name="asynctask_request_id", condition=~models.Q(request_id="")
            ),
            # The due tasks of a provider at a host, the longest due first. Settled tasks are not in it.
            models.Index(
                fields=["platform", "poll_host", "next_poll_at"],
                name="asynctask_due_by_host",
                condition=models.Q(next_poll_at__isnull=False),
            ),
            # Which polls are under way, at a host and in all.
            models.Index(
                fields=["poll_host", "leased_until"],
                name="asynctask_leased_by_host",
                condition=models.Q(leased_until__isnull=False),
            ),
            # Tasks that have yet to be judged: none, once those of before there were causes are.
            models.Index(fields=["id"], name="asynctask_unjudged", condition=models.Q(cause="") & HAS_CAUSE),
            # Refunds that wait for their charge to arrive.
            models.Index(
                fields=["finished_at"], name="asynctask_refund_due", condition=models.Q(refund_due=True)
            ),
        ]

    def __str__(self) -> str:
        return self.task_id

    @property
    def permalink(self) -> str:
        """The path that leads its owner to the task, by its ID."""
        return permalink("task-permalink", "tasks", "task_id", self.task_id)

    @property
    def is_final(self) -> bool:
        return self.status not in OPEN_STATUSES

    @property
    def local_day(self) -> date:
        """The day of the submission in the active time zone."""
        return timezone.localdate(self.submitted_at)

    @property
    def duration(self) -> timedelta:
        """How long it took, or has taken so far."""
        return (self.finished_at or timezone.now()) - self.submitted_at

    @property
    def result_lifetime_left(self) -> timedelta | None:
        """How long the provider still keeps the result; None where nobody knows."""
        return None if self.result_expires_at is None else self.result_expires_at - timezone.now()

    @property
    def mark(self) -> str:
        """How its status looks: a name of ``listing.css``."""
        return STATUS_MARKS.get(TaskStatus(self.status), "neutral")

    @property
    def is_unsuccessful(self) -> bool:
        return self.status in UNSUCCESSFUL_STATUSES


class TaskEvent(models.Model):
    """One thing that was learned about a task, or done for it.

    ``key`` says what it was (one poll, one webhook delivery, one report), so the same one is kept once.
    """

    task = models.ForeignKey(
        AsyncTask, models.CASCADE, related_name="events", db_index=False, verbose_name=_("task")
    )
    key = models.CharField(_("key"), max_length=120, editable=False)
    at = models.DateTimeField(_("time"), default=timezone.now)
    kind = models.CharField(_("kind"), max_length=16, choices=EventKind)
    before = models.CharField(_("status before"), max_length=24, choices=TaskStatus, blank=True)
    after = models.CharField(
        _("status after"), max_length=24, choices=TaskStatus, blank=True, help_text=_("Where it changed.")
    )
    word = models.CharField(_("provider's word"), max_length=100, blank=True)
    progress = models.PositiveSmallIntegerField(_("progress"), null=True, blank=True)
    http_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    duration_ms = models.PositiveIntegerField(_("duration"), null=True, blank=True)
    reason = models.CharField(_("meaning"), max_length=24, choices=EventReason, blank=True)
    note = models.CharField(
        _("note"), max_length=500, blank=True, help_text=_("In the words it came with, or an amount in USD.")
    )

    class Meta:
        verbose_name = _("task event")
        verbose_name_plural = _("task events")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["task", "key"], name="taskevent_once")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.at:%Y-%m-%d %H:%M:%S}"
