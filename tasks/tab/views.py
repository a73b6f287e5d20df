"""Task Logs: the tab, its results fragment, its live rows, one task and what it made."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from accounts.models import SavedView
from accounts.people import saved_views
from accounts.people.signed_in import AuthenticatedRequest
from routescope.contracts import elsewhere
from routescope.data.keyset import Cursor, Page
from routescope.data.snapshot import snapshot
from routescope.web.asking import asked, asked_by_form
from tasks.models import AsyncTask
from tasks.providers.catalogue import catalogue
from tasks.tab import listing, presentation
from tasks.tab.filters import TaskFilter

PAGE_SIZE = 50
MOST_OF_ONE_ID = 100
"""Tasks that share one ID: those that one request submitted, say."""


@asked_by_form
@login_required
def tasks(request: AuthenticatedRequest) -> HttpResponse:
    """The Task Logs tab. Its form leads to the address of what it asks for."""
    if request.method == "POST":
        filters = TaskFilter(asked(request), user=request.user, catalogue=catalogue())
        return redirect(reverse("tasks") + filters.page_query(Cursor()))
    context = _tasks(request)
    if context["filters"].holds_a_key:
        return redirect(context["page_url"])
    return render(request, "tasks/tasks.html", context, status=_status(context))


@asked_by_form
@login_required
def tasks_results(request: AuthenticatedRequest) -> HttpResponse:
    """What of the tab changes with its filters; puts the page's own URL into the address bar."""
    context = _tasks(request)
    response = render(request, "tasks/tasks.html#panel", context, status=_status(context))
    response["HX-Push-Url"] = context["page_url"]
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
    return render(request, "tasks/live.html", {"rows": rows, "open_tasks": _open(rows)})


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


def _tasks(request: AuthenticatedRequest) -> dict[str, Any]:
    cursor = Cursor.parse(asked(request))
    with snapshot():
        known = catalogue()
        filters = TaskFilter(asked(request), user=request.user, catalogue=known)
        if filters.searched_id:
            cursor = Cursor()
            mine = AsyncTask.objects.visible_to(request.user).identified_by(filters.searched_id)
            rows = list(
                listing.named(mine).select_related("group", "gateway").order_by("-id")[:MOST_OF_ONE_ID]
            )
            page: Page[AsyncTask] = Page(rows, older=None, newer=None)
        else:
            page = listing.page(filters.tasks, filters.conditions, cursor, PAGE_SIZE)
        presentation.attach_names(page.rows, known)
        opened = page.rows[0] if filters.searched_id and len(page.rows) == 1 else None
        return {
            "filters": filters,
            "page": page,
            "open_tasks": _open(page.rows),
            "task": opened,
            "details": presentation.details_of(opened, known, request.user) if opened else None,
            "saved": saved_views.menu(request.user, SavedView.Tab.TASKS, filters.query),
            "tab": "tasks",
            "page_path": reverse("tasks"),
            "results_url": reverse("tasks-results"),
            "page_url": reverse("tasks") + filters.page_query(cursor),
            "older_query": filters.page_query(Cursor(older=page.older)),
            "newer_query": filters.page_query(Cursor(newer=page.newer)),
            "elsewhere": elsewhere.look(request.user, filters.searched_id, besides="tasks"),
            "register_url": settings.BASE_URL + reverse("api-tasks"),
        }


def _open(rows: Any) -> list[AsyncTask]:
    return [row for row in rows if not row.is_final]


def _status(context: dict[str, Any]) -> int:
    """404 for an ID that is not the person's: the page then says why it may be so."""
    return 404 if context["filters"].searched_id and not context["page"].rows else 200


def _source(url: str) -> str:
    """Return a URL as a Content-Security-Policy source: its origin, since queries are not part of one."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
