"""The admin's own prices and the history of group ratios: the overlay over `genai-prices`.

Both are versions: a new price or ratio is a new row with the time from which it holds. What a record was
charged is stored with it, so a later version never changes an earlier receipt.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
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
    "output",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "image_output",
)
PIECE_KINDS = ("per_call", "per_image")


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
    """A version of a model's own prices, in USD per 1M tokens or per piece.

    A kind of token without a price here costs what the base catalogue says, and where that has none, as
    plain input or output. A version with prices by the piece alone replaces the base: the model is then sold
    by the call or image, its tokens for nothing.
    """

    model = models.ForeignKey(
        "accounts.AIModel", models.CASCADE, related_name="prices", verbose_name=_("model")
    )
    valid_from = models.DateTimeField(
        _("valid from"),
        default=timezone.now,
        help_text=_("Records of this time and later are priced so. Charges that stand are never changed."),
    )
    input = _price(_("input"), _("USD per 1M tokens, as all prices of tokens."))
    cached_input = _price(_("cached input"))
    cache_write = _price(_("cache write"))
    output = _price(_("output"))
    reasoning = _price(_("reasoning"))
    audio_input = _price(_("audio input"))
    audio_output = _price(_("audio output"))
    image_input = _price(_("image input"))
    image_output = _price(_("image output"))
    per_call = _price(_("per call"), _("USD for each call that succeeds."))
    per_image = _price(_("per image"), _("USD for each image."))
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
        ordering = ("model__name", "-valid_from")
        constraints = [
            # One version from one time on; also finds the version in force.
            models.UniqueConstraint(fields=["model", "valid_from"], name="modelprice_model_valid_from"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.valid_from:%Y-%m-%d %H:%M}"

    @property
    def version(self) -> str:
        """How receipts name this version."""
        return f"#{self.pk}"

    @property
    def by_token(self) -> dict[str, Decimal]:
        """The prices of tokens that this version has, USD per 1M."""
        return {kind: price for kind in TOKEN_KINDS if (price := getattr(self, kind)) is not None}

    @property
    def is_flat(self) -> bool:
        """Whether the model is sold by the piece alone."""
        return not self.by_token and (self.per_call is not None or self.per_image is not None)

    def clean(self) -> None:
        super().clean()
        if not self.by_token and not self.is_flat:
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
