"""Judging again what was judged, after the rules of causes have changed: each app says how, of its own."""

from __future__ import annotations

from collections.abc import Callable

Rejudge = Callable[[], int]
"""Judge all by today's rules; return of how many the cause is another now. May be broken off."""

_by_what: dict[str, Rejudge] = {}


def register(what: str, rejudge: Rejudge) -> None:
    """Let an app's be judged again. ``what`` they are, in the plural, for an operator's terminal."""
    _by_what[what] = rejudge


def of_all() -> dict[str, Rejudge]:
    """Return how each app's are judged again, by what they are."""
    return dict(_by_what)
