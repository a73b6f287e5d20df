"""The jobs in the admin, to look at."""

from __future__ import annotations

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l

from routescope.admin import ReadOnlyAdmin, badge
from routescope.admin.sections import Section
from routescope.models import JobRun
from routescope.run.overdue import due
from routescope.text.formatting import duration

_KINDS = {
    JobRun.Outcome.SUCCEEDED: "success",
    JobRun.Outcome.RUNNING: "running",
    JobRun.Outcome.FAILED: "error",
    JobRun.Outcome.TIMED_OUT: "limit",
}


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyAdmin[JobRun]):
    """Each job's last run and last success; no rows of history, so that there is nothing to clear away."""

    section, place = Section.SYSTEM, 1
    about = _l("The work that goes on in the background: when each job last ran, and when it last succeeded.")
    fills = _l("A job is here from its first run on: start a worker and the beat, or run “manage.py up”.")
    list_display = ("name", "state", "started_at", "took", "succeeded_at", "lateness", "failed_at", "error")

    @admin.display(description=_l("Last run"))
    def state(self, run: JobRun) -> SafeString:
        return badge(_KINDS.get(JobRun.Outcome(run.outcome), "quiet"), run.get_outcome_display())

    @admin.display(description=_l("Duration"))
    def took(self, run: JobRun) -> str:
        if run.started_at is None or run.ended_at is None:
            return duration(None)
        return duration(round((run.ended_at - run.started_at).total_seconds() * 1000))

    @admin.display(description=_l("Overdue"))
    def lateness(self, run: JobRun) -> str | SafeString:
        now = timezone.now()
        moment = due(run, now)
        if moment is None:
            return _("On demand")
        return badge("error", _("Overdue")) if moment < now else _("No")
