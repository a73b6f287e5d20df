"""Text formats: CSV and JSON lines. Parts are the file's own bytes, so the file is their concatenation."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from routescope.exports.sources import Column, Value
from routescope.text.formatting import plain

# OWASP, CSV injection: a cell that begins with one of these is a formula to some spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_LEVEL = 6


def is_formula(value: str) -> bool:
    """Return whether a spreadsheet may take a text for a formula, looking through spaces before it."""
    return value.lstrip(" ").startswith(_FORMULA)


def harmless(value: str) -> str:
    """Return the text with an apostrophe in front where it could be a formula."""
    return f"'{value}" if is_formula(value) else value


def local(moment: datetime, zone: ZoneInfo) -> str:
    """Write a time in the person's zone with its offset: 2026-03-10T20:00:00.123+08:00."""
    return moment.astimezone(zone).isoformat()


class CsvFormat:
    """RFC 4180 in UTF-8. Texts that could be formulas carry an apostrophe; an empty cell is null."""

    suffix = "csv"
    content_type = "text/csv"
    capacity: int | None = None

    def __init__(self, columns: Sequence[Column], zone: ZoneInfo) -> None:
        self.columns = columns
        self.zone = zone

    def write_part(self, path: Path, rows: Iterable[tuple[Value, ...]], *, first: bool) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\r\n")
            if first:
                writer.writerow([column.name for column in self.columns])
            for row in rows:
                writer.writerow([self._cell(value) for value in row])

    def join(self, parts: Sequence[Path], target: Path, beat: Callable[[], None]) -> None:
        concatenate(parts, target, beat)

    def _cell(self, value: Value) -> str:
        if value is None:
            return ""
        if isinstance(value, str):
            return harmless(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, Decimal):
            return plain(value)
        return local(value, self.zone) if isinstance(value, datetime) else str(value)


class JsonLinesFormat:
    """One JSON object per line. Money is a string of its decimals: a JSON number is a float to most."""

    suffix = "jsonl"
    content_type = "application/jsonl"
    capacity: int | None = None

    def __init__(self, columns: Sequence[Column], zone: ZoneInfo) -> None:
        self.columns = columns
        self.zone = zone

    def write_part(self, path: Path, rows: Iterable[tuple[Value, ...]], *, first: bool) -> None:
        names = [column.name for column in self.columns]
        with path.open("w", encoding="utf-8") as file:
            for row in rows:
                values = {name: self._value(value) for name, value in zip(names, row, strict=True)}
                file.write(json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n")

    def join(self, parts: Sequence[Path], target: Path, beat: Callable[[], None]) -> None:
        concatenate(parts, target, beat)

    def _value(self, value: Value) -> Value:
        if isinstance(value, Decimal):
            return plain(value)
        return local(value, self.zone) if isinstance(value, datetime) else value


def concatenate(parts: Sequence[Path], target: Path, beat: Callable[[], None]) -> None:
    with target.open("wb") as file:
        for part in parts:
            beat()
            with part.open("rb") as source:
                while block := source.read(1 << 20):
                    file.write(block)


def compress(source: Path, target: Path, beat: Callable[[], None]) -> None:
    """Gzip a file, without name or time in it: the same file always gives the same bytes."""
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as file,
        source.open("rb") as plain_file,
    ):
        while block := plain_file.read(1 << 24):
            beat()
            file.write(block)
