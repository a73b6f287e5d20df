"""Acts that a person may later be asked about."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    """One act. Written in the transaction of what it tells about, and never changed."""

    class Act(models.TextChoices):
        CONTENT = "content", _("Viewed content")
        EXPORT = "export", _("Exported records")
        PRICES = "prices", _("Changed prices")
        RETENTION = "retention", _("Changed retention or privacy")
        PEOPLE = "people", _("Changed people or their rights")
        MERGE = "merge", _("Merged or separated")
        NAMES = "names", _("Changed names, tokens or whom a gateway's names mean")
        GATEWAYS = "gateways", _("Changed gateways or their keys")
        PROVIDERS = "providers", _("Changed providers or their keys")
        SEEN_AS = "seen_as", _("Saw the console as somebody")
        SIGN_IN = "sign_in", _("Signed in by single sign-on, or tried to")

    at = models.DateTimeField(_("time"), default=timezone.now, editable=False)
    actor = models.ForeignKey(
        "accounts.User", models.SET_NULL, null=True, related_name="+", verbose_name=_("who"), editable=False
    )
    act = models.CharField(_("what"), max_length=16, choices=Act, editable=False)
    subject = models.ForeignKey(
        "accounts.User", models.SET_NULL, null=True, related_name="+", verbose_name=_("whose"), editable=False
    )
    object = models.CharField(_("of"), max_length=300, editable=False)
    ip = models.GenericIPAddressField(_("IP address"), null=True, editable=False)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        default_permissions = ("view",)
        ordering = ("-id",)
        indexes = [
            # What was done to one person.
            models.Index(fields=["subject", "-id"], name="auditentry_subject"),
            # What one person did.
            models.Index(fields=["actor", "-id"], name="auditentry_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.get_act_display()}: {self.object}"
