"""Short paths that lead to a piece of work by its ID, as an error message may carry them."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import reverse


def permalink(short: str, tab: str, parameter: str, identifier: str) -> str:
    """Return the path of the URL ``short``, where browsers leave it as it is; else of the tab's search."""
    if any(step in ("", ".", "..") for step in identifier.split("/")):
        return f"{reverse(tab)}?{urlencode({parameter: identifier})}"
    return reverse(short, args=[identifier])
