"""Tasks on the admin's page of things to settle: those that nobody follows, and webhooks without a task."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, Max, Min, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from routescope.admin import board
from routescope.admin.board import Kind, Left, Matter
from routescope.text import formatting
from tasks.models import OPEN_STATUSES, AsyncTask, EarlyWebhook

MOST_READ = 5_000
"""Open tasks that are looked at."""
_OVERDUE = timedelta(minutes=10)
"""A poll that is due for longer has nobody who does it."""
_FAILURES = 5
_UNHEARD = timedelta(days=1)
_WAITING = timedelta(minutes=10)
"""A gateway reports a task within; a webhook that waits for longer waits for a report that may not come."""


def stuck() -> list[AsyncTask]:
    """Return the first open tasks that go on by themselves no more. One query, over open tasks alone."""
    now = timezone.now()
    # A limit inside keeps the planner from walking the whole table in the order of the key.
    still_open = AsyncTask.objects.filter(status__in=OPEN_STATUSES).order_by().values("pk")[:MOST_READ]
    condition = (
        Q(next_poll_at__lt=now - _OVERDUE)
        | Q(poll_failures__gte=_FAILURES)
        | Q(next_poll_at=None, leased_until=None, updated_at__lt=now - _UNHEARD)
    )
    found = AsyncTask.objects.filter(condition, pk__in=still_open).select_related("gateway")
    return sorted(found.order_by()[: board.MOST], key=lambda task: task.pk)


def _why(task: AsyncTask) -> str:
    if task.poll_failures >= _FAILURES:
        return _("%(n)s polls of %(host)s in a row failed.") % {
            "n": formatting.exact(task.poll_failures),
            "host": task.poll_host or task.platform,
        }
    if task.next_poll_at is None:
        return _("Neither a report nor a webhook since %(when)s, and nobody polls %(platform)s.") % {
            "when": formatting.when(task.updated_at),
            "platform": task.platform or "—",
        }
    return _("Its poll is due since %(when)s: no worker does it.") % {
        "when": formatting.when(task.next_poll_at)
    }


def _stuck(left: Left) -> list[Matter]:
    return [
        Matter(
            str(task.pk),
            task.task_id,
            url := reverse("admin:tasks_asynctask_change", args=[task.pk]),
            _why(task),
            _("Look at it"),
            url,
        )
        for task in stuck()
    ]


def _waiting(left: Left) -> list[Matter]:
    """Return the senders whose webhooks wait. At most some thousand of one sender do (`intake`)."""
    rows = (
        EarlyWebhook.objects.filter(received_at__lt=timezone.now() - _WAITING)
        .order_by("platform", "gateway")
        .values_list("platform", "gateway__name")
        .annotate(count=Count("pk"), oldest=Min("received_at"), newest=Max("received_at"))
    )
    listed = reverse("admin:tasks_earlywebhook_changelist")
    return [
        Matter(
            f"{platform}-{gateway}",
            f"{platform} ({gateway})" if gateway else platform,
            url := f"{listed}?{urlencode({'platform': platform})}",
            ngettext(
                "%(n)s webhook waits for a task that no gateway reported, since %(when)s. It is forgotten a"
                " day after it came.",
                "%(n)s webhooks wait for tasks that no gateway reported, the oldest since %(when)s. Each is"
                " forgotten a day after it came.",
                count,
            )
            % {"n": formatting.exact(count), "when": formatting.when(oldest)},
            _("See them"),
            url,
        )
        for platform, gateway, count, oldest, _newest in rows[: board.MOST]
    ]


board.to_settle(
    Kind(
        "tasks",
        50,
        _lazy("Tasks that are stuck"),
        _lazy("Open tasks that nothing moves on: without help they end at their deadline."),
        "tasks.view_asynctask",
        "",
        _stuck,
    )
)
board.to_settle(
    Kind(
        "webhooks",
        60,
        _lazy("Webhooks that wait for their tasks"),
        _lazy("Providers tell of tasks that no gateway reported: have it POST each task to the console."),
        "tasks.view_earlywebhook",
        "",
        _waiting,
    )
)
