"""The ways around the console: each app registers those to its own pages."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the sidebar. ``place`` orders them; ``sections`` are the paths of which it is the current
    one.

    ``is_personal``: it is about the person and stands below the others. ``shows_others``: it can be seen as
    somebody else sees it.
    """

    label: str | Promise
    url_name: str
    icon: str
    place: int
    sections: tuple[str, ...]
    is_personal: bool = False
    shows_others: bool = False


_entries: dict[str, Entry] = {}


def register(entry: Entry) -> None:
    """Make an entry known."""
    _entries[entry.url_name] = entry


def registered() -> list[Entry]:
    """Return the entries in their order."""
    return sorted(_entries.values(), key=lambda entry: entry.place)
