"""Usage records.

The table is made by SQL beside the migrations: ``usage_record`` is partitioned by range of ``id``, which
Django cannot declare. The model names the same columns, so that queries, the admin and types know them.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from logs.models.content import Level
from logs.models.querysets import UsageRecordQuerySet
from routescope.data.permalinks import permalink

MONEY_DIGITS = 24
MONEY_PLACES = 12
"""Money is USD with 12 decimals: exact for a single token of the cheapest model times any group ratio."""


class RecordType(models.IntegerChoices):
    """What a record is. Refunds and adjustments carry money but are no requests."""

    REQUEST = 1, _("Request")
    TASK = 2, _("Task submission")
    REFUND = 3, _("Refund")
    ADJUSTMENT = 4, _("Adjustment")


REQUEST_TYPES = (RecordType.REQUEST, RecordType.TASK)
"""The types that count as a call: in requests, RPM, success rate."""


class Status(models.IntegerChoices):
    SUCCESS = 1, _("Success")
    ERROR = 2, _("Error")


CALLS = Q(type__in=REQUEST_TYPES)
FAILED = Q(status=Status.ERROR)
REFUNDS = Q(type=RecordType.REFUND)
ADJUSTMENTS = Q(type=RecordType.ADJUSTMENT)
"""What counts as a request, as an error, as a refund, as an adjustment: in the sums as in the records."""


class Cause(models.IntegerChoices):
    """Why a call failed, as far as the gateway's evidence tells."""

    NONE = 0, _("None")
    PARAMETERS = 1, _("Parameters")
    PERMISSION = 2, _("Permission")
    BALANCE = 3, _("Balance")
    RATE_LIMIT = 4, _("Rate limit")
    CONTENT_POLICY = 5, _("Content policy")
    CONTEXT_LENGTH = 6, _("Context length")
    MODEL_RESPONSE = 7, _("Model response")
    TIMEOUT = 8, _("Timeout")
    CLIENT_CLOSED = 9, _("Client closed")
    GATEWAY = 10, _("Gateway")
    UNKNOWN = 11, _("Unknown")


def failure_word(cause: int) -> StrPromise:
    """Return a cause as the status of a failed call says it: "Error" where nobody knows."""
    return _("Error") if cause in (Cause.NONE, Cause.UNKNOWN) else Cause(cause).label


def status_word(kind: int, status: int, cause: int, http_status: int | None) -> str:
    """Return what became of a record, in the one set of words that list, details, admin and note share:
    "Success", "429 Rate limit", or what a record is that is no call.
    """
    if kind not in REQUEST_TYPES:
        return str(RecordType(kind).label)
    if status != Status.ERROR:
        return str(Status(status).label)
    return f"{http_status or ''} {failure_word(cause)}".strip()


def _reference(to: str, label: StrPromise, *, null: bool = False) -> models.ForeignKey:  # type: ignore[type-arg]
    # No constraint in the database: names outlive nothing here, and checking four parents for every
    # ingested row would cost more than storing it.
    return models.ForeignKey(
        to,
        models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
        null=null,
        verbose_name=label,
    )


class UsageRecord(models.Model):
    """One call through the gateway (or a refund or adjustment of one), as the gateway reported it.

    ``id`` sorts by request time and is derived from gateway, request ID and type (`routescope.data.ids`), so
    the same record delivered twice is the same row. Input tokens include cached ones; output tokens include
    reasoning. ``cost`` is what was charged in USD; NULL means that no price is known.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    created_at = models.DateTimeField(_("time"), help_text=_("When the request reached the gateway."))
    user = _reference("accounts.User", _("user"))
    gateway = _reference("accounts.Gateway", _("gateway"))
    token = _reference("accounts.ApiToken", _("token"), null=True)
    model = _reference("accounts.AIModel", _("model"), null=True)
    group = _reference("accounts.Group", _("group"), null=True)
    type = models.SmallIntegerField(_("type"), choices=RecordType)
    status = models.SmallIntegerField(_("status"), choices=Status)
    cause = models.SmallIntegerField(_("cause"), choices=Cause, default=Cause.NONE)
    http_status = models.SmallIntegerField(_("HTTP status"), null=True)
    stream = models.BooleanField(_("stream"), null=True)
    duration_ms = models.IntegerField(_("duration"), null=True)
    ttft_ms = models.IntegerField(_("time to first token"), null=True)
    input_tokens = models.IntegerField(_("input tokens"), default=0)
    output_tokens = models.IntegerField(_("output tokens"), default=0)
    cached_tokens = models.IntegerField(_("cached tokens"), default=0)
    cache_write_tokens = models.IntegerField(_("cache write tokens"), null=True)
    reasoning_tokens = models.IntegerField(_("reasoning tokens"), null=True)
    audio_input_tokens = models.IntegerField(_("audio input tokens"), null=True)
    audio_output_tokens = models.IntegerField(_("audio output tokens"), null=True)
    image_count = models.IntegerField(_("images"), null=True)
    usage_estimated = models.BooleanField(
        _("usage estimated"),
        null=True,
        help_text=_("The gateway counted the tokens itself: the provider reported none."),
    )
    cost = models.DecimalField(_("cost"), max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, null=True)
    request_id = models.TextField(_("request ID"))
    upstream_request_id = models.TextField(_("upstream request ID"), null=True)  # noqa: DJ001
    task_id = models.TextField(_("task ID"), null=True)  # noqa: DJ001
    endpoint = models.TextField(_("endpoint"), null=True)  # noqa: DJ001
    provider = models.TextField(_("provider"), null=True)  # noqa: DJ001
    channel = models.TextField(_("channel"), null=True)  # noqa: DJ001
    ip = models.GenericIPAddressField(_("IP address"), null=True)
    user_agent = models.TextField(_("user agent"), null=True)  # noqa: DJ001
    error_type = models.TextField(_("error type"), null=True)  # noqa: DJ001
    error_code = models.TextField(_("error code"), null=True)  # noqa: DJ001
    error_message = models.TextField(_("error message"), null=True)  # noqa: DJ001
    error_param = models.TextField(_("error parameter"), null=True)  # noqa: DJ001
    parameters = models.JSONField(_("request parameters"), null=True)
    quantities = models.JSONField(
        _("further quantities"),
        null=True,
        help_text=_("Counts the gateway sent that have no column of their own."),
    )
    billing = models.JSONField(
        _("billing"), null=True, help_text=_("Unit prices, ratios and lines as the gateway sent them.")
    )
    attempts = models.JSONField(_("attempts"), null=True)
    metadata = models.JSONField(_("metadata"), null=True)

    content = models.SmallIntegerField(
        _("content"),
        choices=Level,
        null=True,
        help_text=_("The policy under which content came. Empty: none was sent."),
    )

    objects = UsageRecordQuerySet["UsageRecord"].as_manager()

    class Meta:
        db_table = "usage_record"
        verbose_name = _("usage record")
        verbose_name_plural = _("usage records")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.request_id

    @property
    def permalink(self) -> str:
        """The path that leads its owner to the record, by its request ID."""
        return permalink("permalink", "usage", "request_id", self.request_id)

    @property
    def unpriced(self) -> Any:
        """What was used and has no price, as ``billing`` keeps it; None for a record that has a price."""
        return (self.billing or {}).get("unpriced") if self.cost is None else None

    @property
    def lines(self) -> Any:
        """The lines of its receipt, as ``billing`` keeps them."""
        return (self.billing or {}).get("lines")

    @property
    def is_request(self) -> bool:
        return self.type in REQUEST_TYPES

    @property
    def is_error(self) -> bool:
        return self.status == Status.ERROR

    @property
    def status_word(self) -> str:
        """What became of it, in a word or two."""
        return status_word(self.type, self.status, self.cause, self.http_status)

    @property
    def local_day(self) -> date:
        """The day of the request in the active time zone."""
        return timezone.localdate(self.created_at)

    @property
    def tokens_per_second(self) -> Decimal | None:
        """Output tokens per second of generation: after the first token where that time is known."""
        if not self.duration_ms or not self.output_tokens:
            return None
        generating = self.duration_ms - (self.ttft_ms or 0)
        if generating <= 0:
            return None
        return Decimal(self.output_tokens * 1000) / generating
