"""Template tags of the Operation Records pages."""

from __future__ import annotations

from datetime import datetime

from django import template

from routescope.filtering import RangeFilterSet

register = template.Library()


@register.simple_tag
def between(filters: RangeFilterSet, start: datetime, end: datetime) -> str:
    """Return the query string of a view narrowed to a stretch of time."""
    return filters.between(start, end)
