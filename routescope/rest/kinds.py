"""Kinds of parameters: what each accepts, and the JSON Schema that says so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from uuid import UUID

from django.utils import timezone

Schema = Mapping[str, object]

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""Times beyond these choose as these do: there is no record there."""

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?([Zz]|[+-]\d\d:\d\d)?"
)


@dataclass(frozen=True, slots=True)
class ParameterKind:
    """``check`` answers what is wrong with a value, or nothing. ``word`` names the kind for people."""

    schema: Schema
    check: Callable[[str], str]
    word: str


def one_of(values: Iterable[str]) -> ParameterKind:
    allowed = list(values)

    def check(value: str) -> str:
        return "" if value in allowed else f"It is none of {', '.join(allowed)}."

    return ParameterKind({"type": "string", "enum": allowed}, check, " | ".join(allowed))


def integer(least: int, most: int) -> ParameterKind:
    def check(value: str) -> str:
        if re.fullmatch(r"-?\d{1,18}", value, re.ASCII) and least <= int(value) <= most:
            return ""
        return f"It is not a whole number from {least:,} to {most:,}."

    return ParameterKind({"type": "integer", "minimum": least, "maximum": most}, check, f"{least}–{most}")


def number(least: int | None = None) -> ParameterKind:
    """A decimal number, at most 12 digits before the point."""
    bound = 10**12
    lowest = -bound if least is None else least

    def check(value: str) -> str:
        try:
            fits = value.strip() == value and lowest <= Decimal(value) <= bound
        except InvalidOperation:
            fits = False
        return "" if fits else f"It is not a number from {lowest:,} to {bound:,}."

    return ParameterKind({"type": "number", "minimum": lowest, "maximum": bound}, check, "number")


def uuid() -> ParameterKind:
    def check(value: str) -> str:
        try:
            UUID(value)
        except ValueError:
            return "It is not a UUID."
        return ""

    return ParameterKind({"type": "string", "format": "uuid"}, check, "UUID")


def text(most: int = 4000) -> ParameterKind:
    def check(value: str) -> str:
        if len(value) > most:
            return f"It is longer than {most:,} characters."
        return "It holds a null character." if "\x00" in value else ""

    return ParameterKind({"type": "string", "maxLength": most, "pattern": "^[^\\u0000]*$"}, check, "text")


def pair(most: int) -> ParameterKind:
    """A name and a value, with ``=`` between them."""

    def check(value: str) -> str:
        return text(most).check(value) or ("" if "=" in value else "It is not a key and a value: key=value.")

    schema = {"type": "string", "maxLength": most, "pattern": "^[^\\u0000]*=[^\\u0000]*$"}
    return ParameterKind(schema, check, "key=value")


def name(most: int = 255) -> ParameterKind:
    """A name in a path: one line that is not empty."""
    schema = {"type": "string", "minLength": 1, "maxLength": most, "pattern": "^[^\\u0000\\n]+$"}
    return ParameterKind(schema, text(most).check, "text")


def moment() -> ParameterKind:
    """A time as RFC 3339 writes it. Without an offset it is in the person's own zone, as on the page."""

    def check(value: str) -> str:
        return "" if read_moment(value) else "It is not a time such as 2025-01-31T09:30:00Z."

    return ParameterKind({"type": "string", "format": "date-time"}, check, "RFC 3339")


def read_moment(value: str) -> str | None:
    """Return a time in UTC and within bounds, as filters read it; None for what is no time.

    Seconds of 60 count as 59 (RFC 3339 has leap seconds, Python and PostgreSQL do not).
    """
    matched = _MOMENT.fullmatch(value)
    if matched is None:
        return None
    *date, hour, minute, second, fraction, offset = matched.groups()
    year, month, day = (int(part) for part in date)
    within = EARLIEST.year <= year < LATEST.year
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    seconds = int(second or 0)
    try:
        read = datetime(
            # Outside of the bounds only whether it is a date at all matters; year 0 is none of Python's.
            year if within else 2000 if leap else 2001,
            month,
            day,
            int(hour),
            int(minute),
            59 if seconds == 60 else seconds,
            int((fraction or "0")[:6].ljust(6, "0")),
        )
        shift = _shift(offset)
    except ValueError:
        return None
    if not within:
        return _written(EARLIEST if year < EARLIEST.year else LATEST)
    moment = timezone.make_aware(read) if shift is None else read.replace(tzinfo=UTC) - shift
    return _written(max(moment.astimezone(UTC), EARLIEST))


def _shift(offset: str | None) -> timedelta | None:
    if offset is None:
        return None
    if offset in "Zz":
        return timedelta()
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(offset)
    return timedelta(hours=hours, minutes=minutes) * (-1 if offset[0] == "-" else 1)


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
