"""Usage records and their sums.

The tables are made by SQL beside the migrations: ``usage_record`` is partitioned by range of ``id``, which
Django cannot declare. The models name the same columns, so that queries, the admin and types know them.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from urllib.parse import urlencode

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from logs.contents import ContentPolicy, Level, UsageContent
from logs.querysets import UsageRecordQuerySet

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

    ``id`` sorts by request time and is derived from gateway, request ID and type (`routescope.ids`), so the
    same record delivered twice is the same row. Input tokens include cached ones; output tokens include
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

    details: object
    """A `logs.details.Details`, attached where a page shows it."""

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
        return permalink_of(self.request_id)

    @property
    def is_request(self) -> bool:
        return self.type in REQUEST_TYPES

    @property
    def is_error(self) -> bool:
        return self.status == Status.ERROR

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


def permalink_of(request_id: str) -> str:
    """Return the path that leads to a request ID: a short one, where browsers leave that as it is."""
    steps = request_id.split("/")
    if any(step in ("", ".", "..") for step in steps):
        return f"{reverse('usage')}?{urlencode({'request_id': request_id})}"
    return reverse("permalink", args=[request_id])


class Rollup(models.Model):
    """Sums of the records of one period that agree in every dimension: to be added up, never counted.

    Views of what is folded in and what waits to be (`logs.pending`): exact after every commit, and of several
    rows with the same dimensions some may be negative, where a record moved. A record without token, model or
    group is summed under 0.
    """

    start = models.DateTimeField(help_text=_("Start of the UTC hour or day."))
    model_id = models.IntegerField()
    group_id = models.IntegerField()
    type = models.SmallIntegerField(choices=RecordType)
    status = models.SmallIntegerField(choices=Status)
    cause = models.SmallIntegerField(choices=Cause)
    records = models.BigIntegerField()
    unpriced = models.BigIntegerField(help_text=_("Of the records, those without a known price."))
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    cost = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.db_table} from {self.start.isoformat()}"


class _OfUser(Rollup):
    pk = models.CompositePrimaryKey(
        "user_id", "start", "token_id", "model_id", "group_id", "type", "status", "cause"
    )
    user_id = models.IntegerField()
    token_id = models.IntegerField()

    class Meta(Rollup.Meta):
        abstract = True


class _OfEveryone(Rollup):
    """All users' sums, for admins. Not by token: it belongs to one user, whose own sums answer for it."""

    pk = models.CompositePrimaryKey("start", "model_id", "group_id", "type", "status", "cause")

    class Meta(Rollup.Meta):
        abstract = True


class UsageHour(_OfUser):
    """A user's sums of an hour: the header, and the index of where rare values occur."""

    class Meta:
        db_table = "usage_hour"
        default_permissions = ()


class UsageDay(_OfUser):
    """A user's sums of a UTC day."""

    class Meta:
        db_table = "usage_day"
        default_permissions = ()


class UsageTotalHour(_OfEveryone):
    class Meta:
        db_table = "usage_total_hour"
        default_permissions = ()


class UsageTotalDay(_OfEveryone):
    class Meta:
        db_table = "usage_total_day"
        default_permissions = ()


# The tables behind these views.


class UsagePending(_OfUser):
    """What transactions added to the sums and took from them since the last fold (`logs.pending`)."""

    class Meta:
        db_table = "usage_pending"
        default_permissions = ()


class UsageHourFolded(_OfUser):
    class Meta:
        db_table = "usage_hour_folded"
        default_permissions = ()


class UsageDayFolded(_OfUser):
    class Meta:
        db_table = "usage_day_folded"
        default_permissions = ()


class UsageTotalHourFolded(_OfEveryone):
    class Meta:
        db_table = "usage_total_hour_folded"
        default_permissions = ()


class UsageTotalDayFolded(_OfEveryone):
    class Meta:
        db_table = "usage_total_day_folded"
        default_permissions = ()


class TrafficHour(models.Model):
    """The calls of a user's busy hour that is over, with its busiest minutes: the chart's without a filter.

    Counted from the records (`logs.busy_hours`). One in which a record is added or changed does not hold
    while that waits to be folded in, and is stale from then on until it is counted anew.
    """

    pk = models.CompositePrimaryKey("user_id", "start")
    user_id = models.IntegerField()
    start = models.DateTimeField(help_text=_("Start of the UTC hour."))
    requests = models.BigIntegerField()
    errors = models.BigIntegerField()
    rate_limited = models.BigIntegerField()
    tokens = models.BigIntegerField()
    peak_rpm = models.BigIntegerField()
    peak_tpm = models.BigIntegerField()
    peak_rpm_minute = models.SmallIntegerField(help_text=_("Of the hour, 0 to 59: the earliest of equals."))
    peak_tpm_minute = models.SmallIntegerField()
    is_stale = models.BooleanField(help_text=_("Records were added or changed since."))

    class Meta:
        db_table = "usage_traffic_hour"
        default_permissions = ()

    def __str__(self) -> str:
        return f"Traffic of user {self.user_id} from {self.start.isoformat()}"


class SpanHalf(models.Model):
    """One of the two spans in which an instrumentation reports a streamed call, so that the other finds it.

    Kept for a day: long enough for the other half to arrive, and for either to be sent again.
    """

    gateway = models.ForeignKey("accounts.Gateway", models.CASCADE, related_name="+")
    span = models.CharField(max_length=64, help_text=_("Trace and span ID."))
    key = models.CharField(max_length=32, help_text=_("A hash of the request, which both halves carry."))
    is_usage = models.BooleanField(help_text=_("Whether this is the half that carries the usage."))
    met_at = models.DateTimeField(help_text=_("When the first half ended and the stream began."))
    is_paired = models.BooleanField(default=False)
    user_id = models.IntegerField()
    record_id = models.UUIDField()
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "usage_span_half"
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["gateway", "span"], name="span_half_gateway_span")]
        indexes = [
            # The other half of a streamed call.
            models.Index(fields=["gateway", "key", "met_at"], name="span_half_key"),
            # What is older than a day.
            models.Index(fields=["received_at"], name="span_half_received_at"),
        ]

    def __str__(self) -> str:
        return self.span


class ImportPosition(models.Model):
    """How far a table of another system has been imported; committed with the rows themselves."""

    gateway = models.ForeignKey(
        "accounts.Gateway", models.CASCADE, related_name="+", verbose_name=_("gateway")
    )
    source = models.CharField(_("source"), max_length=500, help_text=_("The database, without credentials."))
    table = models.CharField(_("table"), max_length=100)
    last_id = models.BigIntegerField(_("last ID"), default=0)
    rows = models.BigIntegerField(_("rows"), default=0)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("import position")
        verbose_name_plural = _("import positions")
        constraints = [
            models.UniqueConstraint(fields=["gateway", "source", "table"], name="importposition_source_table")
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.table}: {self.last_id}"


# Models of modules of their own, which Django finds through this one.
from logs.catalogue import GroupRatio, ModelPrice  # noqa: E402

__all__ = ["ContentPolicy", "GroupRatio", "ModelPrice", "UsageContent"]
