"""How long what is kept: each app says so of its own, for the guide's page on privacy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accounts.models import User


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that is kept of a person's: ``what`` it is, for ``how_long``, and what else to know of it."""

    what: str
    how_long: str
    note: str = ""


Telling = Callable[["User"], list[Kept]]

_tellings: dict[str, tuple[int, Telling]] = {}


def register(name: str, place: int, telling: Telling) -> None:
    """Let an app tell, in the reader's language, what it keeps of a person. ``place`` orders them."""
    _tellings[name] = place, telling


def told(user: User) -> list[Kept]:
    """Return all that is kept of a person."""
    in_order = sorted(_tellings.values(), key=lambda one: one[0])
    return [kept for _, telling in in_order for kept in telling(user)]
