"""What arrived before its task, or again: reports, webhooks, and hints of unsigned callbacks."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from routescope.encryption import EncryptedTextField
from tasks.models.tasks import MAX_ID_BYTES


class EarlyReport(models.Model):
    """A report about a task that is not registered yet: applied as soon as it is.

    What a task made is content, and whose policy it falls under is not known yet: it is kept encrypted.
    """

    gateway = models.ForeignKey("accounts.Gateway", models.CASCADE, related_name="+")
    task_id = models.CharField(max_length=MAX_ID_BYTES)
    key = models.CharField(max_length=120)
    body = EncryptedTextField()
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["gateway", "task_id", "key"], name="earlyreport_once")]

    def __str__(self) -> str:
        return self.task_id


class WebhookDelivery(models.Model):
    """A signed webhook that was taken in: the same delivery a second time is refused."""

    platform = models.CharField(_("provider"), max_length=64)
    delivery_id = models.CharField(_("delivery ID"), max_length=200)
    received_at = models.DateTimeField(_("received"), default=timezone.now)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["platform", "delivery_id"], name="webhookdelivery_once")
        ]
        indexes = [
            # Forgetting deliveries that are too old to be replayed.
            models.Index(fields=["received_at"], name="webhookdelivery_received"),
        ]

    def __str__(self) -> str:
        return self.delivery_id


class EarlyWebhook(models.Model):
    """A signed webhook about a task that is not registered yet: applied as soon as it is, or forgotten.

    What it says is what a provider made of somebody's content: it is kept encrypted.
    """

    platform = models.CharField(_("provider"), max_length=64)
    gateway = models.ForeignKey(
        "accounts.Gateway",
        models.CASCADE,
        null=True,
        related_name="+",
        verbose_name=_("gateway"),
        help_text=_("Whose secret it is signed with; empty where it may speak of every gateway's tasks."),
    )
    provider_task_id = models.CharField(_("provider's task ID"), max_length=MAX_ID_BYTES)
    delivery_id = models.CharField(_("delivery ID"), max_length=200)
    body = EncryptedTextField(_("body"), blank=True)
    received_at = models.DateTimeField(_("received"), default=timezone.now)

    class Meta:
        verbose_name = _("webhook that waits for its task")
        verbose_name_plural = _("webhooks that wait for their tasks")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["platform", "delivery_id"], name="earlywebhook_once")]
        indexes = [
            # Those that wait for a task which is registered now.
            models.Index(fields=["platform", "provider_task_id"], name="earlywebhook_task"),
            # How many one sender keeps waiting, the oldest of them first.
            models.Index(fields=["platform", "gateway", "received_at"], name="earlywebhook_sender"),
        ]

    def __str__(self) -> str:
        return self.provider_task_id


class Hint(models.Model):
    """Somebody says, without a signature, that there is news of a task. Nobody looked yet whether it exists.

    See ``intake.hints``: so many at most, and for some seconds.
    """

    platform = models.CharField(max_length=64)
    provider_task_id = models.CharField(max_length=MAX_ID_BYTES)
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["platform", "provider_task_id"], name="hint_once")
        ]

    def __str__(self) -> str:
        return self.provider_task_id
