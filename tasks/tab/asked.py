"""What a person asks of async tasks: whose they are to be, and under which filters."""

from __future__ import annotations

from django.http import QueryDict

from accounts.scopes.deciding import decided
from routescope.data.scopes import Scope, Viewer
from tasks.providers.catalogue import Catalogue, catalogue
from tasks.tab.filters import TaskFilter

VIEW_ALL = "tasks.view_asynctask"
"""The right to see everybody's tasks."""


def task_scope(viewer: Viewer, asked: QueryDict | str) -> Scope:
    """Return whose tasks a query string asks for. Raises Http404 for what the viewer may not see."""
    return decided(viewer, asked, VIEW_ALL)


def task_filter(viewer: Viewer, query: QueryDict, known: Catalogue | None = None) -> TaskFilter:
    """Return the filters that a query string asks for. Raises Http404 for what the viewer may not see."""
    return TaskFilter(query, scope=task_scope(viewer, query), catalogue=known or catalogue())
