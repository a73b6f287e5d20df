"""The tabs of Operation Records: each app registers its own, and they know nothing of each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.functional import Promise

if TYPE_CHECKING:
    from routescope.data.scopes import Scope


@dataclass(frozen=True, slots=True)
class RecordsTab:
    """A tab. ``name`` is that of its URL; ``<name>-results`` is what changes of it with its filters.

    ``right`` is the right to see everybody's rows. ``find(scope, id)`` looks an ID up among the rows of
    a scope of another tab: it returns the URL that shows what has the ID, or nothing.
    """

    name: str
    label: str | Promise
    find: Callable[[Scope, str], str]
    right: str = ""

    @property
    def results(self) -> str:
        return f"{self.name}-results"


@dataclass(frozen=True, slots=True)
class FoundElsewhere:
    label: str
    url: str


_tabs: dict[str, RecordsTab] = {}


def register(tab: RecordsTab) -> None:
    """Make a tab known: it stands after those before it."""
    _tabs[tab.name] = tab


def registered() -> dict[str, RecordsTab]:
    """Return the tabs by name, in their order."""
    return dict(_tabs)


def elsewhere(scope: Scope, identifier: str, *, besides: str) -> list[FoundElsewhere]:
    """Return where else a row of the scope has an ID. Others' rows are never looked at."""
    if not identifier:
        return []
    found = ((tab, tab.find(scope, identifier)) for tab in _tabs.values() if tab.name != besides)
    return [FoundElsewhere(str(tab.label), url) for tab, url in found if url]
