"""Task Logs: the tab, its results fragment, its live rows, one task and what it made."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from accounts.people.signed_in import AuthenticatedRequest
from routescope.web.asking import asked, asked_by_form
from tasks.models import AsyncTask
from tasks.providers.catalogue import catalogue
from tasks.tab import listing, presentation
from tasks.tab.filters import TaskFilter
from tasks.tab.tab import PAGE_SIZE, open_of, task_tab


@asked_by_form
@login_required
def tasks(request: AuthenticatedRequest) -> HttpResponse:
    """The Task Logs tab. Its form leads to the address of what it asks for."""
    if request.method == "POST":
        filters = TaskFilter(asked(request), user=request.user, catalogue=catalogue())
        return redirect(filters.address.of(reverse("tasks")))
    tab = task_tab(request.user, asked(request))
    return redirect(tab.page_url) if tab.filters.holds_a_key else tab.render(request, "tasks/tasks.html")


@asked_by_form
@login_required
def tasks_results(request: AuthenticatedRequest) -> HttpResponse:
    """What of the tab changes with its filters; puts the page's own URL into the address bar."""
    tab = task_tab(request.user, asked(request))
    response = tab.render(request, "tasks/tasks.html#panel")
    response["HX-Push-Url"] = tab.page_url
    return response


@require_GET
@login_required
def live(request: AuthenticatedRequest) -> HttpResponse:
    """The cells that change of the open tasks in a list (``?id=`` each), and a poller for those still open.

    The poller that comes back without open tasks does not ask again.
    """
    shown = [identifier for text in request.GET.getlist("id")[:PAGE_SIZE] if (identifier := _uuid(text))]
    found = listing.named(AsyncTask.objects.visible_to(request.user).filter(pk__in=shown))
    rows = list(found.order_by("-id"))
    presentation.attach_names(rows, catalogue())
    return render(request, "tasks/live.html", {"rows": rows, "open_tasks": open_of(rows)})


@require_GET
@login_required
def task(request: AuthenticatedRequest, task_id: UUID) -> HttpResponse:
    """One task on a page of its own."""
    return render(request, "tasks/task.html", _task(request, task_id))


@require_GET
@login_required
def task_details(request: AuthenticatedRequest, task_id: UUID) -> HttpResponse:
    """One task's details as a row of the list."""
    return render(request, "tasks/task.html#row", _task(request, task_id))


@require_GET
@login_required
def task_detail(request: AuthenticatedRequest, task_id: UUID) -> HttpResponse:
    """One task's details alone: an open task's refresh themselves until it ends."""
    return render(request, "tasks/task.html#detail", _task(request, task_id))


@require_GET
@login_required
@xframe_options_sameorigin
def task_media(request: AuthenticatedRequest, task_id: UUID) -> HttpResponse:
    """What a task made, as a page to be framed: it may load exactly these media, and run or send nothing.

    The page of the console itself never loads anything from a provider: its policy forbids it.
    """
    found = _own(request, task_id)
    media = presentation.details_of(found, catalogue(), request.user).media
    response = render(request, "tasks/media.html", {"task": found, "media": media})
    sources = " ".join(sorted({_source(piece.url) for piece in media})) or "'none'"
    own = f"{request.scheme}://{request.get_host()}"
    # A sandboxed page has no origin of its own, so 'self' would not name ours.
    response["Content-Security-Policy"] = (
        f"default-src 'none'; img-src {sources}; media-src {sources}; style-src {own};"
        " sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    response["Referrer-Policy"] = "no-referrer"
    return response


def _own(request: AuthenticatedRequest, task_id: UUID) -> AsyncTask:
    mine = AsyncTask.objects.visible_to(request.user).select_related(
        "model", "gateway", "token__merged_into", "group__merged_into"
    )
    found: AsyncTask = get_object_or_404(mine, pk=task_id)
    return found


def _task(request: AuthenticatedRequest, task_id: UUID) -> dict[str, Any]:
    found = _own(request, task_id)
    return {
        "task": found,
        "details": presentation.details_of(found, catalogue(), request.user),
        "tab": "tasks",
    }


def _source(url: str) -> str:
    """Return a URL as a Content-Security-Policy source: its origin, since queries are not part of one."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
