"""The formats of an export, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from routescope.exports.excel import ExcelFormat
from routescope.exports.sources import Column, Value
from routescope.exports.texts import CsvFormat, JsonLinesFormat


class Format(Protocol):
    """How rows become a file. ``capacity``: rows after which a part must end, for formats with sheets."""

    suffix: str
    content_type: str
    capacity: int | None

    def write_part(self, path: Path, rows: Iterable[tuple[Value, ...]], *, first: bool) -> None:
        """Write rows as they come, never all in memory. The same rows always give the same bytes."""
        ...

    def join(self, parts: Sequence[Path], target: Path, beat: Callable[[], None]) -> None:
        """Make the file of its parts. ``beat`` is called every few seconds, and may raise to stop."""
        ...


COMPRESSIBLE = ("csv", "jsonl")
"""The formats that gzip makes smaller; the others are compressed in themselves."""


def format_named(name: str, columns: Sequence[Column], zone: ZoneInfo) -> Format:
    """Return a format for some columns. Raises KeyError for an unknown one."""
    if name == "parquet":
        # Loaded where it is asked for: pages and other jobs need not carry Arrow's memory.
        from routescope.exports.parquet import ParquetFormat

        return ParquetFormat(columns, zone)
    made: dict[str, type[CsvFormat] | type[JsonLinesFormat] | type[ExcelFormat]] = {
        "csv": CsvFormat,
        "jsonl": JsonLinesFormat,
        "xlsx": ExcelFormat,
    }
    return made[name](columns, zone)
