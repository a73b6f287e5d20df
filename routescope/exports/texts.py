"""Text formats: CSV and JSON lines."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import IO, Any
from zoneinfo import ZoneInfo

import msgspec

from routescope.exports.sources import Column, ColumnKind, Value, Values
from routescope.text.formatting import plain

# OWASP, CSV injection: a cell that begins with one of these is a formula to some spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def is_formula(value: str) -> bool:
    """Return whether a spreadsheet may take a text for a formula, looking through spaces before it."""
    # Most texts begin with a letter or a digit, as none of these does: that is told soonest.
    return not value[:1].isalnum() and value.lstrip(" ").startswith(_FORMULA)


def write_csv(target: IO[bytes], columns: Sequence[Column], zone: ZoneInfo, rows: Iterable[Values]) -> None:
    """Write RFC 4180 in UTF-8. Texts that could be formulas carry an apostrophe; an empty cell is null.

    The file begins with a byte order mark: without one, Excel reads it in the code page of its machine.
    """
    made: dict[ColumnKind, Callable[[Any], Value]] = {
        ColumnKind.TEXT: _harmless,
        ColumnKind.DECIMAL: plain,
        ColumnKind.MOMENT: lambda moment: _local(moment, zone),
        ColumnKind.BOOLEAN: {True: "true", False: "false"}.get,
    }
    target.write(codecs.BOM_UTF8 + _csv([[column.name for column in columns]]))
    for values in rows:
        target.write(_csv(_rows(columns, made, values)))


def write_json_lines(
    target: IO[bytes], columns: Sequence[Column], zone: ZoneInfo, rows: Iterable[Values]
) -> None:
    """Write one JSON object per line. Money is a string of its decimals: a JSON number is a float to most."""
    made: dict[ColumnKind, Callable[[Any], Value]] = {
        ColumnKind.DECIMAL: lambda number: None if number is None else plain(number),
        ColumnKind.MOMENT: lambda moment: _local(moment, zone),
    }
    names = [column.name for column in columns]
    encoder = msgspec.json.Encoder()
    for values in rows:
        target.write(
            encoder.encode_lines([dict(zip(names, row, strict=True)) for row in _rows(columns, made, values)])
        )


def _csv(rows: Iterable[Sequence[Value]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _rows(
    columns: Sequence[Column], made: dict[ColumnKind, Callable[[Any], Value]], values: Values
) -> Iterable[tuple[Value, ...]]:
    """Turn columns into rows, with what is made of the values of some kinds."""
    makers = [made.get(column.kind) for column in columns]
    return zip(
        *(map(make, column) if make else column for make, column in zip(makers, values, strict=True)),
        strict=True,
    )


def _harmless(value: str | None) -> str | None:
    return f"'{value}" if value and is_formula(value) else value


def _local(moment: datetime | None, zone: ZoneInfo) -> str | None:
    """Write a time in the person's zone with its offset: 2026-03-10T20:00:00.123+08:00."""
    return None if moment is None else moment.astimezone(zone).isoformat()
