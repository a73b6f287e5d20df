"""Task Logs: the tab, its results fragment, its live rows, one task and what it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.functional import cached_property
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_POST

from accounts.models import AuditEntry
from accounts.people import saved_views
from accounts.people.saved_views import SavedViewsMenu
from accounts.people.signed_in import AuthenticatedRequest
from accounts.scopes.deciding import viewer_of
from accounts.scopes.menu import ScopeMenu
from accounts.scopes.seeing import changes_nothing
from accounts.staff import audit
from accounts.staff.rights import Reading, reading_of
from routescope.contracts import tabs
from routescope.contracts.tabs import FoundElsewhere
from routescope.data.keyset import Cursor, Page
from routescope.data.ranges import Preset
from routescope.data.scopes import OF, Scope, Viewer
from routescope.data.snapshot import snapshot
from routescope.filters.address import Address
from routescope.web.asking import asked, asked_by_form
from routescope.web.tabs import Tab
from tasks.models import AsyncTask
from tasks.providers.catalogue import catalogue
from tasks.tab import listing, presentation, table
from tasks.tab.asked import VIEW_ALL, task_filter, task_scope
from tasks.tab.controls import StatusFigures, TaskControls
from tasks.tab.display import TaskDisplay
from tasks.tab.filters import TaskFilter
from tasks.tab.listing import PartPage
from tasks.tab.presentation import Details
from tasks.tab.table import PERSON, Context, TaskColumn, TaskRow

_MOST_OPEN = 200
"""Open tasks of a page."""
_PART = "part"


@asked_by_form
@login_required
def tasks(request: AuthenticatedRequest) -> HttpResponse:
    """The Task Logs tab. Its form leads to the address of what it asks for."""
    if request.method == "POST":
        filters = task_filter(viewer_of(request), asked(request))
        return redirect(filters.address.of(reverse("tasks")))
    tab = task_tab(viewer_of(request), asked(request))
    return redirect(tab.page_url) if tab.filters.holds_a_key else tab.render(request, "tasks/tasks.html")


@asked_by_form
@login_required
def tasks_results(request: AuthenticatedRequest) -> HttpResponse:
    """What of the tab changes with its filters; puts the page's own URL into the address bar."""
    tab = task_tab(viewer_of(request), asked(request))
    response = tab.render(request, "tasks/tasks.html#panel")
    response["HX-Push-Url"] = tab.page_url
    return response


@require_GET
@login_required
def live(request: AuthenticatedRequest) -> HttpResponse:
    """The cells that change of the open tasks in a list (``?id=`` each), and a poller for those still open.

    The poller that comes back without open tasks does not ask again. Where one has ended, so come the counts.
    """
    known = catalogue()
    viewer = viewer_of(request)
    filters = task_filter(viewer, request.GET, known)
    ids = [identifier for text in request.GET.getlist("id")[:_MOST_OPEN] if (identifier := _uuid(text))]
    columns = TaskDisplay.of(viewer.person).shown
    shown = Context(filters.address, known)
    with snapshot():
        tasks = listing.of_ids(filters.scope, ids)
        has_ended = any(task.is_final for task in tasks)
        figures = StatusFigures.of(filters) if has_ended and not filters.searched_id else None
    moving = {name: column for name, column in columns.items() if column.moves}
    context = {
        "tasks": tasks,
        "cells": [cell for task in tasks for cell in table.cells_of(task, moving, shown, is_named=True)],
        "open_tasks": open_of(tasks),
        "address": filters.address,
        "figures": figures,
        "page_path": reverse("tasks"),
        "results_url": reverse("tasks-results"),
    }
    return render(request, "tasks/live.html", context)


@require_POST
@login_required
def display(request: AuthenticatedRequest) -> HttpResponse:
    """Keep the choice of columns and page size, and show the tab with it."""
    TaskDisplay.chosen_in(request.POST).keep(request.user)
    query = QueryDict(request.POST.get("query", "")).urlencode()
    return redirect(f"{reverse('tasks-results' if request.htmx else 'tasks')}?{query}")


@require_GET
@login_required
def permalink(request: AuthenticatedRequest, task_id: str) -> HttpResponse:
    """Lead from a task's ID to the task. 404 alike for another's ID and for no ID, with the reasons."""
    query = QueryDict(mutable=True)
    query["task_id"] = task_id
    if OF in request.GET:
        query[OF] = request.GET[OF]
    viewer = viewer_of(request)
    if AsyncTask.objects.visible_to(task_scope(viewer, query)).identified_by(task_id).exists():
        return redirect(f"{reverse('tasks')}?{query.urlencode()}")
    tab = task_tab(viewer, query)
    return tab.render(request, "tasks/tasks.html") if tab.status == 404 else redirect(tab.page_url)


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


@changes_nothing
@require_POST
@login_required
def task_content(request: AuthenticatedRequest, task_id: UUID) -> HttpResponse:
    """Show what another's task made, and keep who looked: the task's details, or its whole page.

    404 for who may not see it, as for a task that is not there.
    """
    scope = task_scope(viewer_of(request), request.GET)
    with transaction.atomic():
        found = _visible(scope, task_id)
        if reading_of(scope, found.user_id) is not Reading.ASKED:
            raise Http404
        audit.note(request, AuditEntry.Act.CONTENT, found.user, found.task_id)
        context = {
            "task": found,
            "details": presentation.details_of(found, catalogue(), scope, is_asked=True),
            "scope": scope,
            "tab": "tasks",
        }
    return render(request, "tasks/task.html#detail" if request.htmx else "tasks/task.html", context)


@require_GET
@login_required
@xframe_options_sameorigin
def task_media(request: AuthenticatedRequest, task_id: UUID) -> HttpResponse:
    """What a task made, or one ``piece`` of it, as a page to be framed.

    It may load exactly these media, and run nothing but our own script, without an origin. The page of the
    console itself never loads anything from a provider: its policy forbids it.
    """
    scope = task_scope(viewer_of(request), request.GET)
    found = _visible(scope, task_id)
    is_asked = presentation.is_opened(request.GET.get(presentation.LOOK, ""), found, request.user)
    media = presentation.details_of(found, catalogue(), scope, is_asked=is_asked).media
    piece = request.GET.get("piece")
    media = [one for number, one in enumerate(media, 1) if piece in (None, str(number))]
    own = f"{request.scheme}://{request.get_host()}"
    script = request.build_absolute_uri(static("js/media-frame.js"))
    response = render(request, "tasks/media.html", {"task": found, "media": media, "script": script})
    urls = [url for one in media for url in (one.url, one.poster) if url]
    sources = " ".join(sorted({_source(url) for url in urls})) or "'none'"
    # A sandboxed page has no origin of its own, so 'self' would not name ours.
    response["Content-Security-Policy"] = (
        f"default-src 'none'; img-src {sources}; media-src {sources}; connect-src {sources};"
        f" script-src {script}; style-src {own}; sandbox allow-scripts allow-downloads allow-popups"
        " allow-popups-to-escape-sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    response["Referrer-Policy"] = "no-referrer"
    return response


def _visible(scope: Scope, task_id: UUID) -> AsyncTask:
    seen = AsyncTask.objects.visible_to(scope).select_related(
        "model", "gateway", "token__merged_into", "group__merged_into"
    )
    found: AsyncTask = get_object_or_404(seen, pk=task_id)
    return found


def _task(request: AuthenticatedRequest, task_id: UUID) -> dict[str, Any]:
    scope = task_scope(viewer_of(request), request.GET)
    found = _visible(scope, task_id)
    return {
        "task": found,
        "details": presentation.details_of(found, catalogue(), scope),
        "scope": scope,
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


@dataclass(frozen=True, kw_only=True)
class TaskTab(Tab):
    """``task`` stands open, with its ``details``: the one of the ID searched for.

    ``elsewhere`` is where else the person has something with that ID, ``part`` where the cursor stands in the
    list by attention.
    """

    tab: ClassVar[str] = "tasks"
    shown: ClassVar[tuple[str, ...]] = (
        *Tab.shown, "controls", "rows", "columns", "open_tasks", "is_first_run", "all_time", "register_url",
        "scope", "scopes",
    )  # fmt: skip

    viewer: Viewer
    filters: TaskFilter
    task: AsyncTask | None
    details: Details | None
    elsewhere: Sequence[FoundElsewhere]
    saved: SavedViewsMenu
    display: TaskDisplay
    figures: StatusFigures | None
    part: int

    @property
    def scope(self) -> Scope:
        """Whose tasks the page is about."""
        return self.filters.whole

    @cached_property
    def scopes(self) -> ScopeMenu | None:
        """Whose it may be about."""
        return ScopeMenu.of(self.viewer, self.scope, self.address, self.tab, VIEW_ALL)

    @property
    def columns(self) -> Mapping[str, TaskColumn]:
        """The columns of the list after time and ID."""
        whose = {"person": PERSON} if self.scope.is_of_several else {}
        return {**whose, **self.display.shown}

    @cached_property
    def controls(self) -> TaskControls:
        return TaskControls.of(self.filters)

    @cached_property
    def rows(self) -> list[TaskRow]:
        return list(
            table.rows_of(
                self.page.rows,
                self.columns,
                Context(self.address, self.filters.catalogue),
                by_attention=isinstance(self.page, PartPage),
                details=self.details,
                query=self.scope.query,
            )
        )

    @property
    def open_tasks(self) -> list[AsyncTask]:
        return open_of(self.page.rows)

    @property
    def is_first_run(self) -> bool:
        """Whether the person has no task at all."""
        return not self.page.rows and not AsyncTask.objects.visible_to(self.scope).exists()

    @property
    def all_time(self) -> Address:
        return self.address.over(Preset.ALL)

    @property
    def register_url(self) -> str:
        return f"{settings.BASE_URL}{reverse('api-tasks')}"

    @property
    def page_url(self) -> str:
        return _in_part(self.address.at(self.cursor), self.part).of(self.page_path)

    @property
    def older_query(self) -> Address:
        return _in_part(
            self.address.at(Cursor(older=self.page.older)),
            self.page.older_part if isinstance(self.page, PartPage) else 0,
        )

    @property
    def newer_query(self) -> Address:
        return _in_part(
            self.address.at(Cursor(newer=self.page.newer)),
            self.page.newer_part if isinstance(self.page, PartPage) else 0,
        )


def task_tab(viewer: Viewer, query: QueryDict) -> TaskTab:
    """Return what a query string asks for: the tasks of one ID, or a list."""
    cursor, part = Cursor.parse(query), 0
    shown = TaskDisplay.of(viewer.person)
    with snapshot():
        known = catalogue()
        filters = task_filter(viewer, query, known)
        scope = filters.scope
        page: Page[AsyncTask]
        figures = None
        if filters.searched_id:
            cursor = Cursor()
            page = Page(listing.of_one_id(scope, filters.searched_id), older=None, newer=None)
        else:
            figures = StatusFigures.of(filters)
            if filters.is_by_attention:
                part = _part(query) if cursor != Cursor() else 0
                page = listing.by_attention(scope, filters.selection, part, cursor, shown.page_size)
            else:
                page = listing.selected(scope, filters.selection, cursor, shown.page_size)
        presentation.attach_names(page.rows, known)
        opened = page.rows[0] if filters.searched_id and len(page.rows) == 1 else None
        return TaskTab(
            viewer=viewer,
            filters=filters,
            cursor=cursor,
            page=page,
            task=opened,
            details=presentation.details_of(opened, known, scope) if opened else None,
            elsewhere=tabs.elsewhere(scope, filters.searched_id, besides="tasks"),
            saved=saved_views.menu(viewer.person, "tasks", filters.address),
            display=shown,
            figures=figures,
            part=part,
        )


def _part(query: QueryDict) -> int:
    """Return where the cursor stands in the list by attention; at its beginning where that is not said."""
    said = query.get(_PART, "")
    return next((part for part in range(len(listing.PARTS)) if said == str(part)), 0)


def _in_part(address: Address, part: int) -> Address:
    return address.with_(**{_PART: str(part)}) if part else address


def open_of(rows: Sequence[AsyncTask]) -> list[AsyncTask]:
    """Return the tasks that have not ended."""
    return [row for row in rows if not row.is_final]
