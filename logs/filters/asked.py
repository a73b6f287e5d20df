"""What a person asks of usage records: whose they are to be, and under which filters."""

from __future__ import annotations

from django.http import QueryDict

from accounts.scopes.deciding import decided
from logs.filters.usage_filter import UsageFilter
from routescope.data.scopes import Scope, Viewer

VIEW_ALL = "logs.view_usagerecord"
"""The right to see everybody's usage records."""


def usage_scope(viewer: Viewer, asked: QueryDict | str) -> Scope:
    """Return whose records a query string asks for. Raises Http404 for what the viewer may not see."""
    return decided(viewer, asked, VIEW_ALL)


def usage_filter(viewer: Viewer, query: QueryDict) -> UsageFilter:
    """Return the filters that a query string asks for. Raises Http404 for what the viewer may not see."""
    return UsageFilter(query, scope=usage_scope(viewer, query))
