"""What may be kept of what people sent and models answered, and what is kept (`logs.content.contents`)."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

TABLE = "usage_content"


class Level(models.IntegerChoices):
    """How much of content may be kept. The lower one is the stricter."""

    OFF = 1, _("Off: nothing is kept")
    REDACTED = 2, _("Redacted: kept without secrets, e-mail addresses, phone and card numbers")
    FULL = 3, _("Full: kept as sent")


class ContentPolicy(models.Model):
    """What may be kept of the content of a gateway, a group or a token. Where several apply, the strictest.

    Where none does, nothing is kept.
    """

    gateway = models.OneToOneField(
        "accounts.Gateway", models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("gateway")
    )
    group = models.OneToOneField(
        "accounts.Group", models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("group")
    )
    token = models.OneToOneField(
        "accounts.ApiToken",
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("API token"),
    )
    level = models.SmallIntegerField(_("content"), choices=Level, default=Level.OFF)
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("content policy")
        verbose_name_plural = _("content policies")
        constraints = [
            models.CheckConstraint(
                name="contentpolicy_of_one",
                condition=(
                    models.Q(gateway__isnull=False, group__isnull=True, token__isnull=True)
                    | models.Q(gateway__isnull=True, group__isnull=False, token__isnull=True)
                    | models.Q(gateway__isnull=True, group__isnull=True, token__isnull=False)
                ),
                violation_error_message=_("Choose a gateway, a group or a token: exactly one of them."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.gateway or self.group or self.token}: {self.get_level_display()}"

    def clean(self) -> None:
        super().clean()
        if sum(bool(chosen) for chosen in (self.gateway_id, self.group_id, self.token_id)) != 1:
            raise ValidationError(_("Choose a gateway, a group or a token: exactly one of them."))


class UsageContent(models.Model):
    """The stored content of one record, encrypted. Sizes are bytes of JSON as sent."""

    id = models.UUIDField(primary_key=True, editable=False)
    user_id = models.IntegerField()
    level = models.SmallIntegerField(choices=Level)
    input_bytes = models.IntegerField(null=True)
    output_bytes = models.IntegerField(null=True)
    is_truncated = models.BooleanField()
    key_id = models.TextField()
    body = models.BinaryField()

    class Meta:
        db_table = TABLE
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.id)
