"""What is kept for how long, and what goes next: each app tells of its own, for one page of the admin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Store:
    """Something that is kept: for ``kept``, by ``setting`` of the environment.

    ``rows`` is an estimate and ``size`` bytes, both None where nobody knows without counting. ``goes_at`` is
    when ``goes``, its oldest part, is dropped next, with about ``goes_rows`` rows.
    """

    what: str
    kept: str
    setting: str
    note: str = ""
    rows: int | None = None
    size: int | None = None
    oldest: datetime | None = None
    goes: str = ""
    goes_at: datetime | None = None
    goes_rows: int | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    place: int
    stores: Callable[[], Sequence[Store]]
    dry_run: Callable[[], Sequence[str]]


_told: dict[str, _Told] = {}


def register(
    name: str, place: int, stores: Callable[[], Sequence[Store]], dry_run: Callable[[], Sequence[str]]
) -> None:
    """Let an app tell what it keeps, cheaply, and on demand what a run of its retention would drop now."""
    _told[name] = _Told(place, stores, dry_run)


def stores() -> list[Store]:
    """Return all that is kept."""
    return [store for one in _in_order() for store in one.stores()]


def dry_run() -> list[str]:
    """Return in words what a run would drop now. Counts rows: OperationalError where that takes too long."""
    return [line for one in _in_order() for line in one.dry_run()]


def _in_order() -> list[_Told]:
    return sorted(_told.values(), key=lambda one: one.place)
