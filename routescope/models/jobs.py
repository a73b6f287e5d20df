"""How the jobs of Celery fare."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

_MOST = 500


class JobRun(models.Model):
    """The last run of a job, its last success and its last failure. One row for each job."""

    class Outcome(models.TextChoices):
        WAITING = "waiting", _("Has not run yet")
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")
        TIMED_OUT = "timed_out", _("Took too long")

    name = models.CharField(_("job"), primary_key=True, max_length=100)
    since = models.DateTimeField(_("known since"), default=timezone.now, editable=False)
    outcome = models.CharField(_("last run"), max_length=16, choices=Outcome, default=Outcome.WAITING)
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    succeeded_at = models.DateTimeField(_("last success"), null=True)
    failed_at = models.DateTimeField(_("last failure"), null=True)
    error = models.CharField(_("error of the last failure"), max_length=_MOST, blank=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        default_permissions = ("view",)
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def note_start(cls, name: str, at: datetime) -> None:
        """Keep that a run began."""
        cls._keep(name, outcome=cls.Outcome.RUNNING, started_at=at, ended_at=None)

    @classmethod
    def note_end(cls, name: str, started: datetime, outcome: Outcome, error: str) -> None:
        """Keep how a run ended. ``error`` is one line."""
        now = timezone.now()
        told: dict[str, object] = {"succeeded_at": now}
        if outcome != cls.Outcome.SUCCEEDED:
            told = {"failed_at": now, "error": error.replace("\x00", "\ufffd")[:_MOST]}
        cls._keep(name, outcome=outcome, started_at=started, ended_at=now, **told)

    @classmethod
    def _keep(cls, name: str, **values: object) -> None:
        rows = JobRun.objects.filter(pk=name)
        with transaction.atomic(), connection.cursor() as cursor:
            # A job of every other second need not wait for the disk.
            cursor.execute("SET LOCAL synchronous_commit = off")
            if not rows.update(**values):
                JobRun.objects.bulk_create([JobRun(name=name)], ignore_conflicts=True)
                rows.update(**values)

    @classmethod
    def known(cls, names: set[str]) -> list[JobRun]:
        """Return what is known of these jobs; one that never ran is known from now on."""
        JobRun.objects.bulk_create([JobRun(name=name) for name in sorted(names)], ignore_conflicts=True)
        return list(JobRun.objects.filter(name__in=names))
