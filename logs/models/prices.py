"""The admin's own prices and the history of group ratios: the overlay over `genai-prices`.

Both are versions: a new price or ratio is a new row with the time from which it holds. What a record was
charged is stored with it, so a later version never changes an earlier receipt.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from accounts.models import Group

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
TOKEN_KINDS = (
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_input",
    "cached_audio",
    "audio_output",
    "image_input",
    "image_output",
)
PIECE_KINDS = {
    "per_call": ("per_call", 1),
    "per_image": ("per_image", 1),
    "per_video_second": ("video_seconds", 1),
    "per_audio_minute": ("audio_seconds", 60),
    "per_page": ("pages", 1),
    "per_million_characters": ("characters", 1_000_000),
}
"""Fields of what a model may be sold by, other than tokens: the kind, and for how many of it the price is."""
TOOL_KINDS = {
    "per_web_search": ("web_search", 1),
    "per_file_search": ("file_search", 1),
    "per_code_session": ("code_session", 1),
    "per_tool_call": ("tool", 1),
}
"""Fields of what is charged beside: the same."""


def _price(label: StrPromise, help_text: StrPromise | str = "") -> models.DecimalField[Any, Any]:
    return models.DecimalField(
        label,
        max_digits=18,
        decimal_places=9,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=help_text,
    )


class ModelPrice(models.Model):
    """A version of a model's own prices in a service tier, in USD per 1M tokens or per piece.

    A kind without a price here costs what the catalogue says; where that has none either, calls that used it
    stay unpriced and say so. A version with prices by the piece alone replaces the catalogue: the model is
    then sold by the call, image, second, page or character, its tokens for nothing.
    """

    model = models.ForeignKey(
        "accounts.AIModel", models.CASCADE, related_name="prices", verbose_name=_("model")
    )
    valid_from = models.DateTimeField(
        _("valid from"),
        default=timezone.now,
        help_text=_("Records of this time and later are priced so. Charges that stand are never changed."),
    )
    tier = models.CharField(
        _("service tier"),
        max_length=30,
        blank=True,
        validators=[RegexValidator(r"^[a-z0-9_]+\Z", _("Small letters, digits and underscores."))],
        help_text=_("flex, priority, batch …: as records tell it. Empty: calls of no tier in particular."),
    )
    input = _price(_("input"), _("USD per 1M tokens, as all prices of tokens."))
    cached_input = _price(_("cached input"))
    cache_write = _price(_("cache write"), _("Kept for 5 minutes, where there are several."))
    cache_write_1h = _price(_("cache write, 1 hour"))
    output = _price(_("output"))
    reasoning = _price(_("reasoning"), _("Empty: as output."))
    audio_input = _price(_("audio input"))
    cached_audio = _price(_("cached audio input"))
    audio_output = _price(_("audio output"))
    image_input = _price(_("image input"))
    image_output = _price(_("image output"))
    per_call = _price(_("per call"), _("USD for each call that succeeds."))
    per_image = _price(_("per image"), _("USD for each image."))
    per_video_second = _price(_("per second of video"))
    per_audio_minute = _price(_("per minute of audio"), _("Seconds cost their part of it."))
    per_page = _price(_("per page"))
    per_million_characters = _price(_("per 1M characters"))
    per_web_search = _price(_("per web search"))
    per_file_search = _price(_("per file search"))
    per_code_session = _price(_("per code session"))
    per_tool_call = _price(_("per tool call"), _("USD for each other tool call. Empty: nothing."))
    note = models.CharField(_("note"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("entered"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        "accounts.User",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("entered by"),
    )

    class Meta:
        verbose_name = _("model price")
        verbose_name_plural = _("model prices")
        ordering = ("model__name", "tier", "-valid_from")
        constraints = [
            # One version of a tier from one time on; also finds the version in force.
            models.UniqueConstraint(
                fields=["model", "tier", "valid_from"], name="modelprice_model_tier_valid_from"
            ),
        ]

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.model), self.tier, f"{self.valid_from:%Y-%m-%d %H:%M}")))

    @property
    def version(self) -> str:
        """How receipts name this version."""
        return f"#{self.pk}"

    @property
    def by_kind(self) -> dict[str, tuple[Decimal, int]]:
        """The prices that this version has, by what is priced: USD, and for how many of it."""
        fields = {kind: (kind, 1_000_000) for kind in TOKEN_KINDS} | PIECE_KINDS | TOOL_KINDS
        return {
            kind: (price, per)
            for field, (kind, per) in fields.items()
            if (price := getattr(self, field)) is not None
        }

    @property
    def is_flat(self) -> bool:
        """Whether the model is sold by the piece alone."""
        kinds = self.by_kind.keys()
        return not kinds & set(TOKEN_KINDS) and any(kind in kinds for kind, _per in PIECE_KINDS.values())

    def clean(self) -> None:
        super().clean()
        if not self.by_kind:
            raise ValidationError(_("Give at least one price."))


class GroupRatio(models.Model):
    """A version of a group's ratio. Written when a group is made and whenever its ratio changes."""

    group = models.ForeignKey("accounts.Group", models.CASCADE, related_name="+", verbose_name=_("group"))
    ratio = models.DecimalField(
        _("ratio"), max_digits=12, decimal_places=6, validators=[MinValueValidator(0)]
    )
    valid_from = models.DateTimeField(_("valid from"), default=timezone.now)

    class Meta:
        verbose_name = _("group ratio")
        verbose_name_plural = _("group ratios")
        ordering = ("group__name", "-valid_from")
        constraints = [
            models.UniqueConstraint(fields=["group", "valid_from"], name="groupratio_group_valid_from"),
        ]

    def __str__(self) -> str:
        return f"{self.group}: {self.ratio} ({self.valid_from:%Y-%m-%d})"


@receiver(post_save, sender=Group, dispatch_uid="group ratio history")
def keep_ratio(sender: type[Group], instance: Group, raw: bool = False, **kwargs: Any) -> None:
    """Write a group's ratio into its history if it is another than the one in force.

    One that is merged has the other's ratio while it is: what it cost before stays what it cost.
    """
    if raw:
        return
    whole = Group.objects.get(pk=instance.merged_into_id) if instance.merged_into_id else instance
    for group in (instance, *Group.objects.filter(merged_into=instance)):
        _keep_ratio(group, Decimal(whole.ratio))


def _keep_ratio(group: Group, ratio: Decimal) -> None:
    now = timezone.now()
    versions = GroupRatio.objects.filter(group=group)
    in_force = versions.filter(valid_from__lte=now).order_by("-valid_from").first()
    if in_force is None:
        GroupRatio.objects.get_or_create(group=group, valid_from=BEGINNING, defaults={"ratio": ratio})
    elif in_force.ratio != ratio:
        versions.create(group=group, ratio=ratio, valid_from=now)
