"""What an async task is for, as other apps may say it in a word beside the call that submitted it.

Usage records and tasks do not know each other's models. The app that keeps the tasks registers itself here
when it starts; whoever has but a task's ID asks here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from routescope.data.scopes import Scope

Describe = Callable[["Scope", Iterable[str]], Mapping[str, str]]
"""Given a scope and task IDs, returns in words what its tasks of these IDs made, or are to make."""

_registered: list[Describe] = []


def register(describe: Describe) -> None:
    """Make ``describe`` the one that everybody asks."""
    _registered[:] = [describe]


def described(scope: Scope, task_ids: Iterable[str]) -> Mapping[str, str]:
    """Return in words what the scope's tasks are for, by ID; those that nobody knows are left out."""
    wanted = [one for one in task_ids if one]
    return _registered[0](scope, wanted) if wanted and _registered else {}
