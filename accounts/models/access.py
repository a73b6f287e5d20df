"""What opens the read API: personal access tokens, and how often they may ask."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class PersonalAccessToken(models.Model):
    """A person's key to the read API: it reads what they see in the console, and can write nothing.

    Kept as a hash: the token itself is shown once, when it is made.
    """

    PREFIX = "rsp_"

    user = models.ForeignKey(
        "accounts.User",
        models.CASCADE,
        related_name="access_tokens",
        verbose_name=_("person"),
        db_index=False,
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("Purpose."))
    key_hash = models.CharField(_("token hash"), max_length=64, unique=True, editable=False)
    hint = models.CharField(
        _("token"), max_length=24, editable=False, help_text=_("Its first and last characters.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires"))
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("personal access token")
        verbose_name_plural = _("personal access tokens")
        ordering = ("-created_at", "-id")
        indexes = [
            # A person's tokens, newest first.
            models.Index(fields=["user", "-created_at"], name="accesstoken_user_created"),
        ]

    def __str__(self) -> str:
        return self.hint

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()


class ReadAllowance(models.Model):
    """How many requests to the read API a person has made in a minute. One row a person, in PostgreSQL: the
    limit holds while Redis is down.
    """

    user = models.OneToOneField("accounts.User", models.CASCADE, related_name="+", primary_key=True)
    window = models.DateTimeField(help_text=_("The start of the minute."))
    used = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.used} in {self.window.isoformat()}"
