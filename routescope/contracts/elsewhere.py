"""An ID that was typed in the wrong tab: which other tab knows it.

Each tab registers how it looks an ID up among one person's own rows; the tabs know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.functional import Promise

if TYPE_CHECKING:
    from accounts.models import User


@dataclass(frozen=True, slots=True)
class Place:
    """A tab of Operation Records. ``find(user, id)`` returns the URL that shows what has the ID, or
    nothing.
    """

    name: str
    label: str | Promise
    find: Callable[[User, str], str]


@dataclass(frozen=True, slots=True)
class Found:
    label: str
    url: str


_places: dict[str, Place] = {}


def register(place: Place) -> None:
    """Make a tab known to the others."""
    _places[place.name] = place


def look(user: User, identifier: str, *, besides: str) -> list[Found]:
    """Return where else one of the person's own rows has this ID. Another's rows are never looked at."""
    if not identifier:
        return []
    found = ((place, place.find(user, identifier)) for place in _places.values() if place.name != besides)
    return [Found(str(place.label), url) for place, url in found if url]
