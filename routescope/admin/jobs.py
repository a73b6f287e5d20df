"""The jobs in the admin: to look at, on the index, and those that are late among what is to be settled."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l
from django.utils.translation import ngettext

from routescope.admin import ReadOnlyAdmin, badge, board
from routescope.admin.board import Kind, Left, Matter, Panel
from routescope.admin.sections import Section
from routescope.models import JobRun
from routescope.run.overdue import due
from routescope.text import formatting
from routescope.text.formatting import duration

_KINDS = {
    JobRun.Outcome.SUCCEEDED: "success",
    JobRun.Outcome.RUNNING: "running",
    JobRun.Outcome.FAILED: "error",
    JobRun.Outcome.TIMED_OUT: "limit",
}

_ON_INDEX = 8
"""Jobs that the index shows, but for more that are late or failed."""


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyAdmin[JobRun]):
    """Each job's last run and last success; no rows of history, so that there is nothing to clear away."""

    section, place = Section.SYSTEM, 1
    about = _l("The work that goes on in the background: when each job last ran, and when it last succeeded.")
    fills = _l("A job is here from its first run on: start a worker and the beat, or run “manage.py up”.")
    list_filter = ("outcome",)
    search_fields = ("name", "error")
    list_display = ("name", "state", "started_at", "took", "succeeded_at", "lateness", "failed_at", "error")

    @admin.display(description=_l("Last run"))
    def state(self, run: JobRun) -> SafeString:
        return self.badge_of(run)

    @staticmethod
    def badge_of(run: JobRun) -> SafeString:
        """Return how its last run ended, as a dot and a word."""
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


def _late(left: Left) -> list[Matter]:
    """Return the jobs that should have succeeded by now, or that never ran at all."""
    now, url = timezone.now(), reverse("admin:routescope_jobrun_changelist")
    runs = list(JobRun.objects.all())
    if not runs:
        why = _("No job has ever run: start a worker and the beat, or run “manage.py up”.")
        return [Matter("none", _("Background work"), url, why, _("See the jobs"), url)]
    found = []
    for run in runs:
        moment = due(run, now)
        if moment is None or moment >= now:
            continue
        words = {"when": formatting.when(run.succeeded_at), "error": run.error}
        last = _("Its last success was %(when)s.") if run.succeeded_at else _("It has never succeeded.")
        why = last % words
        if run.error and run.outcome not in (JobRun.Outcome.SUCCEEDED, JobRun.Outcome.WAITING):
            why = f"{why} {_('The last run failed: %(error)s') % words}"
        change = reverse("admin:routescope_jobrun_change", args=[run.pk])
        found.append(Matter(run.pk, run.name, change, why, _("See the job"), change))
    return found[: board.MOST]


def _panel() -> Panel:
    """The jobs with their last success, those that are late or failed first."""
    now = timezone.now()
    rows = []
    for run in JobRun.objects.all()[: board.MOST]:
        moment = due(run, now)
        is_late = moment is not None and moment < now
        is_bad = is_late or run.outcome in (JobRun.Outcome.FAILED, JobRun.Outcome.TIMED_OUT)
        state = badge("error", _("Overdue")) if is_late else JobRunAdmin.badge_of(run)
        url = reverse("admin:routescope_jobrun_change", args=[run.pk])
        name = format_html('<a href="{}">{}</a>', url, run.name)
        rows.append((not is_bad, run.name, (name, state, formatting.when(run.succeeded_at))))
    bad = sum(not is_well for is_well, _name, _row in rows)
    shown = sorted(rows, key=lambda one: one[:2])[: max(_ON_INDEX, bad)]
    further = len(rows) - len(shown)
    note = ngettext("%(n)s more job is on time.", "%(n)s more jobs are on time.", further) % {"n": further}
    return Panel(
        _("Jobs"),
        reverse("admin:routescope_jobrun_changelist"),
        (_("Job"), _("State"), _("Last success")),
        [row for _is_well, _name, row in shown],
        (note if further else "") if rows else str(JobRunAdmin.fills),
    )


board.to_settle(
    Kind(
        "jobs",
        70,
        _l("Jobs that are late"),
        _l("Background work that should have succeeded by now: sums, polls or retention stand still."),
        "routescope.view_jobrun",
        "",
        _late,
    )
)
board.show_panel("jobs", 20, "routescope.view_jobrun", _panel)
