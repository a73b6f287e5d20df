"""Async tasks: work that a provider finishes later (image, audio, video, music, batches)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tasks.querysets import AsyncTaskManager


class TaskType(models.TextChoices):
    IMAGE = "image", _("Image")
    AUDIO = "audio", _("Audio")
    VIDEO = "video", _("Video")
    MUSIC = "music", _("Music")
    BATCH = "batch", _("Batch")
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


class AsyncTask(models.Model):
    """One async task, from its submission to its end.

    ``id`` sorts by submission time and is derived from gateway and task ID (`routescope.ids`): the same task
    registered twice is the same row. ``request_id`` is the usage record that submitted it.
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
    task_id = models.CharField(_("task ID"), max_length=255, help_text=_("The ID that the client saw."))
    provider_task_id = models.CharField(_("provider's task ID"), max_length=255, blank=True)
    request_id = models.CharField(_("request ID"), max_length=255, blank=True)
    platform = models.CharField(_("platform"), max_length=64, help_text=_("The provider that does the work."))
    type = models.CharField(_("type"), max_length=16, choices=TaskType, default=TaskType.OTHER)
    status = models.CharField(_("status"), max_length=24, choices=TaskStatus, default=TaskStatus.QUEUED)
    provider_status = models.CharField(_("provider's word"), max_length=100, blank=True)
    progress = models.PositiveSmallIntegerField(_("progress"), null=True, blank=True, help_text=_("Percent."))
    cost = models.DecimalField(_("cost"), max_digits=24, decimal_places=12, null=True, blank=True)
    refund = models.DecimalField(_("refund"), max_digits=24, decimal_places=12, null=True, blank=True)
    result = models.JSONField(_("result"), null=True, blank=True)
    failure_code = models.CharField(_("failure code"), max_length=100, blank=True)
    failure_message = models.TextField(_("failure reason"), blank=True)
    result_expires_at = models.DateTimeField(_("result expires"), null=True, blank=True)

    objects: ClassVar[AsyncTaskManager] = AsyncTaskManager()

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        default_permissions = ("view",)
        indexes = [
            # A user's task list, newest first.
            models.Index(fields=["user", "id"], name="asynctask_user_id"),
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
        ]

    def __str__(self) -> str:
        return self.task_id

    @property
    def is_final(self) -> bool:
        return self.status not in OPEN_STATUSES
