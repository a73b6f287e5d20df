"""What the Task Logs tab shows under some filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from django.conf import settings
from django.http import QueryDict
from django.urls import reverse

from accounts.models import User
from accounts.people import saved_views
from accounts.people.saved_views import SavedViewsMenu
from routescope.contracts import tabs
from routescope.contracts.tabs import FoundElsewhere
from routescope.data.keyset import Cursor, Page
from routescope.data.ranges import Preset
from routescope.data.snapshot import snapshot
from routescope.filters.address import Address
from routescope.web.tabs import Tab
from tasks.models import AsyncTask
from tasks.providers.catalogue import catalogue
from tasks.tab import listing, presentation
from tasks.tab.controls import TaskControls
from tasks.tab.filters import TaskFilter
from tasks.tab.presentation import Details

PAGE_SIZE = 50


@dataclass(frozen=True, kw_only=True)
class TaskTab(Tab):
    """``task`` stands open, with its ``details``: the one of the ID searched for.

    ``elsewhere`` is where else the person has something with that ID.
    """

    tab: ClassVar[str] = "tasks"
    shown: ClassVar[tuple[str, ...]] = (
        *Tab.shown, "controls", "open_tasks", "is_first_run", "all_time", "register_url"
    )  # fmt: skip

    filters: TaskFilter
    task: AsyncTask | None
    details: Details | None
    elsewhere: Sequence[FoundElsewhere]
    saved: SavedViewsMenu

    @property
    def controls(self) -> TaskControls:
        return TaskControls.of(self.filters)

    @property
    def open_tasks(self) -> list[AsyncTask]:
        return open_of(self.page.rows)

    @property
    def is_first_run(self) -> bool:
        """Whether the person has no task at all."""
        return not self.page.rows and not AsyncTask.objects.visible_to(self.filters.user).exists()

    @property
    def all_time(self) -> Address:
        return self.address.over(Preset.ALL)

    @property
    def register_url(self) -> str:
        return f"{settings.BASE_URL}{reverse('api-tasks')}"


def task_tab(user: User, query: QueryDict) -> TaskTab:
    """Return what a query string asks for: the tasks of one ID, or a list."""
    cursor = Cursor.parse(query)
    with snapshot():
        known = catalogue()
        filters = TaskFilter(query, user=user, catalogue=known)
        page: Page[AsyncTask]
        if filters.searched_id:
            cursor = Cursor()
            page = Page(listing.of_one_id(user, filters.searched_id), older=None, newer=None)
        else:
            page = listing.page(filters.tasks, filters.conditions, cursor, PAGE_SIZE)
        presentation.attach_names(page.rows, known)
        opened = page.rows[0] if filters.searched_id and len(page.rows) == 1 else None
        return TaskTab(
            filters=filters,
            cursor=cursor,
            page=page,
            task=opened,
            details=presentation.details_of(opened, known, user) if opened else None,
            elsewhere=tabs.elsewhere(user, filters.searched_id, besides="tasks"),
            saved=saved_views.menu(user, "tasks", filters.address),
        )


def open_of(rows: Sequence[AsyncTask]) -> list[AsyncTask]:
    """Return the tasks that have not ended."""
    return [row for row in rows if not row.is_final]
