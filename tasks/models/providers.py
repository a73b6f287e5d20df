"""Providers as admins keep them: definitions of their own, and the keys that providers are asked with."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from routescope.encryption import EncryptedTextField


class Provider(models.Model):
    """A provider that an admin added, or one of ours that an admin changed (same slug: theirs is used)."""

    slug = models.SlugField(
        _("name in records"), max_length=64, unique=True, help_text=_("What tasks call their platform.")
    )
    definition = models.TextField(
        _("definition"), help_text=_("TOML, as the ones that come with the product.")
    )
    is_active = models.BooleanField(_("in use"), default=True)
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("provider")
        verbose_name_plural = _("providers")
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class ProviderCredential(models.Model):
    """How to ask a provider about its tasks, and to know its webhooks. Encrypted at rest, never shown."""

    platform = models.SlugField(_("provider"), max_length=64)
    gateway = models.ForeignKey(
        "accounts.Gateway",
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("gateway"),
        help_text=_("Empty: for the tasks of every gateway that has no credential of its own."),
    )
    api_key = EncryptedTextField(_("API key"), blank=True, default="")
    webhook_secret = EncryptedTextField(
        _("webhook secret"), blank=True, default="", help_text=_("Where the provider signs: whsec_…")
    )
    base_url = models.CharField(
        _("base URL"),
        max_length=500,
        blank=True,
        help_text=_("Instead of the provider's own: for a relay or a region."),
    )
    key_origins = models.JSONField(
        _("key is sent to"),
        default=list,
        blank=True,
        editable=False,
        help_text=_("Set as the key is entered. To send it elsewhere, enter it again."),
    )
    """Origins (RFC 6454), ``https://*.example.com`` among them; see ``providers.key_binding``."""
    key_sent_as = models.CharField(
        _("key is sent as"), max_length=200, default="", blank=True, editable=False
    )
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("provider credential")
        verbose_name_plural = _("provider credentials")
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "gateway"],
                name="providercredential_platform_gateway",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.platform} ({self.gateway})" if self.gateway_id else self.platform


class HostHealth(models.Model):
    """How a host that is polled has answered lately, whichever providers are asked there.

    While it is paused, one task at a time probes it. Only hosts that failed, asked to wait or were slow are
    here (``following.health``), and so many at most.
    """

    host = models.CharField(_("host"), max_length=260, primary_key=True)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True)
    slow_until = models.DateTimeField(
        _("slow until"),
        null=True,
        blank=True,
        help_text=_("Its polls take so long that they share half of the places until then."),
    )
    last_error = models.CharField(_("last error"), max_length=500, blank=True)
    last_answer_at = models.DateTimeField(_("last answer"), null=True, blank=True)
    noted_at = models.DateTimeField(_("noted"), default=timezone.now)

    class Meta:
        verbose_name = _("host health")
        verbose_name_plural = _("host health")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.host
