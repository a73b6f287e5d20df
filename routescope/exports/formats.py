"""The formats of an export, by name: each makes its file of the parts."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, cast
from zoneinfo import ZoneInfo

from routescope.exports.sources import Column, Values
from routescope.exports.texts import write_csv, write_json_lines

CONTENT_TYPES = {
    "csv": "text/csv",
    "jsonl": "application/jsonl",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}
COMPRESSIBLE = ("csv", "jsonl")
"""The formats that gzip makes smaller; the others are compressed in themselves."""
_LEVEL = 6
_TEXTS = {"csv": write_csv, "jsonl": write_json_lines}


def join(
    form: str,
    parts: Sequence[Path],
    columns: Sequence[Column],
    zone: ZoneInfo,
    target: Path,
    beat: Callable[[int], None],
    *,
    is_gzipped: bool = False,
) -> None:
    """Make the file of its parts, as a stream. The same parts always give the same bytes.

    ``beat`` is called with the number of parts joined: before each, and every few seconds of what there is to
    do after the last. It may raise to stop. A format puts files of its own beside ``target``.
    """
    # Loaded where they are asked for: pages and other jobs need not carry Arrow's memory.
    from routescope.exports import excel, parquet

    if form == "parquet":
        parquet.join(parts, parquet.schema_of(columns, zone), target, beat)
        return

    def rows() -> Iterator[Values]:
        for number, part in enumerate(parts):
            beat(number)
            yield from parquet.read(part)

    if form == "xlsx":
        excel.write(target, columns, zone, rows(), lambda: beat(len(parts)))
        return
    with target.open("wb") as file:
        if not is_gzipped:
            _TEXTS[form](file, columns, zone, rows())
            return
        # Without name or time in it.
        with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
            _TEXTS[form](cast("IO[bytes]", packed), columns, zone, rows())
