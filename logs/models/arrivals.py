"""What is kept of how records arrive: halves of spans, and how far an import has come."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


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
    gaps = models.JSONField(
        _("gaps"), default=list, blank=True,
        help_text=_("IDs below the last one that had no row yet, and may still get one."),
    )  # fmt: skip
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("import position")
        verbose_name_plural = _("import positions")
        constraints = [
            models.UniqueConstraint(fields=["gateway", "source", "table"], name="importposition_source_table")
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.table}: {self.last_id}"
