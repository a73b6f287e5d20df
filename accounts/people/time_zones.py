"""The time zones a person can choose, and how what they type finds one."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from functools import cache
from importlib import resources

from accounts.models import User
from routescope.text.formatting import zone_label


@dataclass(frozen=True)
class Choice:
    name: str
    """IANA name, as stored."""
    label: str
    """Its offset now and its place: ``UTC+08:00 Shanghai``."""


def choices() -> list[Choice]:
    """Return the zones people live in, by name, with their offset at this moment. UTC comes first."""
    return [Choice(name, zone_label(zoneinfo.ZoneInfo(name))) for name in ("UTC", *_inhabited())]


def find(text: str) -> str | None:
    """Return the IANA name meant by what a person typed, or None.

    Understood in any case: the name itself (older names too), or a place that only one zone is named after.
    """
    wanted = text.strip().replace(" ", "_").lower()
    by_name = {name.lower(): name for name in sorted(zoneinfo.available_timezones())}
    if wanted in by_name:
        return by_name[wanted]
    places = [name for name in _inhabited() if name.lower().rpartition("/")[2] == wanted]
    return places[0] if len(places) == 1 else None


def zone_of(user: User) -> zoneinfo.ZoneInfo:
    """Return a person's zone, or UTC where the time zone database no longer knows it."""
    return named(user.time_zone)


def named(name: str) -> zoneinfo.ZoneInfo:
    """Return the named zone, or UTC where the time zone database does not know it."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo("UTC")


@cache
def _inhabited() -> tuple[str, ...]:
    """Return the zones of the database's own table for choosing by country: no aliases, no fixed offsets."""
    table = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    lines = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    return tuple(sorted(columns[2] for columns in lines))
