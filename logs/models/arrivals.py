"""What is kept of how records arrive: spans of late, and how far an import has come."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class KnownSpan(models.Model):
    """A span that came lately: what is needed to know which others are the same call, and nothing more.

    Spans between calls are kept for their parents alone. Rows expire: spans of one call arrive within
    minutes, and are sent again within hours. IDs of spans are their 8 bytes as a signed number.
    """

    class Kind(models.IntegerChoices):
        LINK = 0, _("Between calls")
        CALL = 1, _("A call")
        BEGINNING = 2, _("The beginning of a stream")
        END = 3, _("The end of a stream")

    pk = models.CompositePrimaryKey("gateway_id", "trace_id", "span_id")
    gateway_id = models.IntegerField()
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField()
    parent_id = models.BigIntegerField(null=True)
    kind = models.SmallIntegerField(choices=Kind)
    meet_key = models.UUIDField(
        null=True, help_text=_("A hash of what spans share that know nothing else of each other.")
    )
    met_at = models.DateTimeField(null=True, help_text=_("When a stream's first half ended, or a call."))
    user_id = models.IntegerField(null=True)
    record_id = models.UUIDField(null=True, help_text=_("Empty: the sum of other calls, and no call itself."))
    told = models.BinaryField(null=True, help_text=_("What a call's span counted."))
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "usage_span"
        default_permissions = ()
        indexes = [
            models.Index(
                fields=["gateway_id", "meet_key", "met_at"],
                condition=Q(meet_key__isnull=False),
                name="usage_span_meet",
            ),
            # Where a record moves to another time, or becomes one with another.
            models.Index(
                fields=["gateway_id", "record_id"],
                condition=Q(record_id__isnull=False),
                name="usage_span_record",
            ),
            models.Index(fields=["expires_at"], name="usage_span_expires_at"),
        ]

    def __str__(self) -> str:
        return f"{self.trace_id.hex}:{self.span_id & (2**64 - 1):016x}"


class SpanContent(models.Model):
    """Content of a call that came apart from its span, and before it: kept encrypted for some minutes."""

    gateway_id = models.IntegerField()
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField()
    body = models.BinaryField()
    received_at = models.DateTimeField()

    class Meta:
        db_table = "usage_span_content"
        default_permissions = ()
        indexes = [
            models.Index(fields=["gateway_id", "trace_id", "span_id"], name="usage_span_content_span"),
            models.Index(fields=["received_at"], name="usage_span_content_at"),
        ]

    def __str__(self) -> str:
        return f"{self.trace_id.hex}:{self.span_id & (2**64 - 1):016x}"


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
