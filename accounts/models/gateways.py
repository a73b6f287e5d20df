"""The gateways that send records in: their keys, what they sent, and the models that they name."""

from __future__ import annotations

import hashlib
import secrets

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ErrorTexts(models.IntegerChoices):
    """What is kept of the errors that a gateway sends; the later, the less."""

    KEEP = 1, _("Keep the errors' own words")
    CUT_QUOTES = 2, _("Cut quoted values of more than five words")
    CODES = 3, _("Keep only type and code")


class Gateway(models.Model):
    """A system that sends records in. Its ingest keys can write, and can read nothing."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(_("name"), max_length=200, unique=True)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("An inactive gateway's keys are refused.")
    )
    error_texts = models.SmallIntegerField(
        _("error texts"),
        choices=ErrorTexts,
        default=ErrorTexts.KEEP,
        db_default=ErrorTexts.KEEP.value,
        help_text=_(
            "Secrets, and what repeats the content that came with a call, always go. What else an error says"
            " is kept in its own words by default, even where no content may be kept: a provider may quote a"
            " prompt that the gateway did not send. What was cut is said at the record."
        ),
    )
    groups_are_teams = models.BooleanField(
        _("its groups are teams"),
        default=False,
        db_default=False,
        help_text=_(
            "Each group of this gateway becomes a team. Whoever is recorded in it from now on becomes a"
            " member of it, from their first record on. Nobody sees anything by that until an admin names"
            " leads on the team's page."
        ),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("gateway")
        verbose_name_plural = _("gateways")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class IngestKey(models.Model):
    """A gateway's key for sending records. Kept as a hash: the key itself is shown once, when it is made."""

    PREFIX = "rsk_"

    gateway = models.ForeignKey(
        Gateway, models.CASCADE, related_name="ingest_keys", verbose_name=_("gateway")
    )
    label = models.CharField(_("label"), max_length=100, blank=True)
    key_hash = models.CharField(_("key hash"), max_length=64, unique=True, editable=False)
    hint = models.CharField(
        _("key"), max_length=24, editable=False, help_text=_("Its first and last characters.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("ingest key")
        verbose_name_plural = _("ingest keys")
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.hint

    @staticmethod
    def hash(key: str) -> str:
        """Return the SHA-256 of a key, as stored. A plain hash is enough: keys are 256 random bits."""
        return hashlib.sha256(key.encode()).hexdigest()

    @classmethod
    def issue(cls, gateway: Gateway, label: str = "") -> tuple[IngestKey, str]:
        """Make a key for ``gateway``. Returns the stored row and the key, which is not kept anywhere."""
        key = cls.PREFIX + secrets.token_urlsafe(32)
        row = cls.objects.create(
            gateway=gateway, label=label, key_hash=cls.hash(key), hint=f"{key[:8]}…{key[-4:]}"
        )
        return row, key


class Delivery(models.Model):
    """What a gateway sent to one address on one UTC day, counted. Refused: records that were not kept."""

    gateway = models.ForeignKey(Gateway, models.CASCADE, related_name="deliveries", verbose_name=_("gateway"))
    endpoint = models.CharField(_("sent to"), max_length=100)
    day = models.DateField(_("day (UTC)"))
    requests = models.BigIntegerField(_("requests"), default=0)
    failed_requests = models.BigIntegerField(_("refused requests"), default=0)
    accepted = models.BigIntegerField(_("accepted"), default=0)
    duplicates = models.BigIntegerField(_("here already"), default=0)
    ignored = models.BigIntegerField(_("no model call"), default=0)
    refused = models.BigIntegerField(_("refused"), default=0)
    last_at = models.DateTimeField(_("last sent"))

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["gateway", "endpoint", "day"], name="delivery_gateway_endpoint_day"
            )
        ]

    def __str__(self) -> str:
        return f"{self.gateway} {self.endpoint} {self.day}"


class Refusal(models.Model):
    """Why something a gateway sent was not kept. Only the last ones are: `accounts.gateways.deliveries`."""

    gateway = models.ForeignKey(Gateway, models.CASCADE, related_name="refusals", verbose_name=_("gateway"))
    at = models.DateTimeField(_("time"))
    endpoint = models.CharField(_("sent to"), max_length=100)
    request_id = models.CharField(_("request ID"), max_length=255, blank=True)
    reason = models.CharField(_("reason"), max_length=500)

    class Meta:
        verbose_name = _("refusal")
        verbose_name_plural = _("refusals")
        default_permissions = ()
        # The last ones of a gateway.
        indexes = [models.Index(fields=["gateway", "-id"], name="refusal_gateway")]

    def __str__(self) -> str:
        return self.reason


class AIModel(models.Model):
    """A model's name as gateways report it. Records hold its id, so a rename reaches past records too."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(_("name"), max_length=200, unique=True)

    class Meta:
        verbose_name = _("model")
        verbose_name_plural = _("models")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
