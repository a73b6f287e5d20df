"""Exports: what a person asked to take with them, and how far it is."""

from __future__ import annotations

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Export(models.Model):
    """One export. ``query`` is the page's canonical query string with its range of time fixed.

    ``expected_rows`` and ``expected_cost`` are the header's, of the snapshot that the file is of, and so are
    the ``percentiles`` of how long its calls took.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting for a worker")
        RUNNING = "running", _("Running")
        DONE = "done", _("Ready")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    class Format(models.TextChoices):
        CSV = "csv", _("CSV")
        JSONL = "jsonl", _("JSON lines")
        EXCEL = "xlsx", _("Excel")
        PARQUET = "parquet", _("Parquet")

    class Problem(models.TextChoices):
        """Why it failed, in a sentence that says what to do."""

        ROWS = "rows", _("More rows than one export may hold. Choose a shorter range of time.")
        SIZE = "size", _("The file would be too large. Choose fewer columns or a shorter range of time.")
        RIGHTS = "rights", _("You may no longer see these records.")
        UNEXPECTED = (
            "unexpected",
            _("It failed unexpectedly. Try again; an administrator can find the reason in the server log."),
        )

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        "accounts.User", models.CASCADE, related_name="+", db_index=False, verbose_name=_("person")
    )
    source = models.CharField(_("of"), max_length=16)
    format = models.CharField(_("format"), max_length=8, choices=Format)
    is_gzipped = models.BooleanField(_("gzip"), default=False)
    columns = models.JSONField(_("columns"))
    query = models.TextField(_("filters"), blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.QUEUED)
    problem = models.CharField(_("problem"), max_length=16, choices=Problem, blank=True)
    expected_rows = models.BigIntegerField(_("rows expected"), null=True)
    expected_cost = models.DecimalField(_("cost expected"), max_digits=36, decimal_places=12, null=True)
    rows = models.BigIntegerField(_("rows"), default=0)
    # Sums: they must hold more than any of the costs that they are of, as those of the rollups do.
    cost = models.DecimalField(_("cost"), max_digits=36, decimal_places=12, null=True)
    percentiles = models.JSONField(_("percentiles"), null=True, help_text=_("Of the calls in the file."))
    size = models.BigIntegerField(_("size"), null=True)
    sha256 = models.CharField(_("SHA-256"), max_length=64, blank=True)
    created_at = models.DateTimeField(_("asked for"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    expires_at = models.DateTimeField(_("expires"), null=True)
    lease = models.UUIDField(null=True, editable=False)
    heard_at = models.DateTimeField(_("last sign of its worker"), null=True, editable=False)
    runs = models.PositiveIntegerField(_("runs"), default=0, help_text=_("More than one: it was resumed."))

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        default_permissions = ("view",)
        ordering = ("-created_at", "-id")
        indexes = [
            # A person's exports, newest first.
            models.Index(fields=["user", "-created_at"], name="export_user_created"),
            # What waits for a worker, or has lost its own.
            models.Index(
                fields=["created_at"],
                name="export_open",
                condition=models.Q(status__in=("queued", "running")),
            ),
            # What is to be cleaned up.
            models.Index(fields=["expires_at"], name="export_expires"),
        ]

    def __str__(self) -> str:
        return self.file_name

    @property
    def is_open(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)

    @property
    def is_ready(self) -> bool:
        return self.status == self.Status.DONE

    @property
    def agrees(self) -> bool:
        """Whether the file holds as many rows, of the same cost, as the page's header said."""
        return (self.rows, self.cost) == (self.expected_rows, self.expected_cost)

    @property
    def folder(self) -> Path:
        return Path(settings.EXPORTS_DIR) / str(self.pk)

    @property
    def path(self) -> Path:
        return self.folder / "file"

    @property
    def file_name(self) -> str:
        compressed = ".gz" if self.is_gzipped else ""
        return f"{self.source}-{self.created_at:%Y%m%d-%H%M%S}.{self.format}{compressed}"
