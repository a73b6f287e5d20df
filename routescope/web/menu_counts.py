"""What a menu is answered as it opens (``static/js/choices.js``): how much each value would list."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import JsonResponse

from routescope.text import formatting


def answer(counts: Mapping[str, int] | None) -> JsonResponse:
    """Answer with counts by value, as they are written; None: they are not known, and ``known`` is false.

    Values that have none may be left out.
    """
    written = {value: formatting.tokens(count) for value, count in (counts or {}).items()}
    return JsonResponse({"known": counts is not None, "counts": written})
