"""An export's parts: written one by one, and after an interruption taken over where they still hold.

Each part is a Parquet file of some ten thousand rows. Beside it stands what it holds and a fingerprint of its
rows in the database, made as they were read: a later run, under a later snapshot, keeps the parts whose rows
are what they were and writes the others anew. The finished file is thus of one snapshot, the last one,
whatever interrupted it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from decimal import Context, Decimal
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from routescope.exports.sources import Column, Selected, Values
from routescope.wire.reading import SUM_DIGITS

PART_ROWS = 25_000
_WIDE = Context(prec=SUM_DIGITS)
_MANIFEST = "parts.jsonl"

Transaction = Callable[[], AbstractContextManager[None]]


class TooLargeError(Exception):
    """The file would be larger than it may be."""


@dataclass(frozen=True, slots=True)
class Part:
    """One written part. ``last`` is the id down to which its rows are; cost is USD, as a decimal string."""

    rows: int
    last: str
    cost: str
    size: int
    sha256: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Written:
    """What the parts hold together."""

    paths: list[Path]
    rows: int
    cost: Decimal


def write_parts(
    selected: Selected,
    columns: Sequence[Column],
    zone: ZoneInfo,
    folder: Path,
    reading: Transaction,
    tell: Callable[[int], None],
    most_bytes: int,
) -> Written:
    """Write what is missing of an export's parts into ``folder``.

    ``reading`` opens a transaction of the export's snapshot; ``tell`` is called with the rows written after
    each part, outside of it, and may raise to stop. Raises TooLargeError over ``most_bytes``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[Part] = []
    for part in _holding(selected, folder, reading):
        parts.append(part)
        tell(_rows(parts))
    _keep(folder, parts)
    goes_on = True
    while goes_on:
        tell(_rows(parts))
        path = _path(folder, len(parts))
        before = UUID(parts[-1].last) if parts else None
        with reading():
            part, goes_on = _write(selected, columns, zone, before, path)
        # A stretch without rows is a part as well: a later run must see whether it still has none.
        if part.rows or goes_on or not parts:
            parts.append(part)
            _keep(folder, parts)
        else:
            path.unlink()
        if sum(part.size for part in parts) > most_bytes:
            raise TooLargeError
    tell(_rows(parts))
    cost = Decimal(0)
    for part in parts:
        cost = _WIDE.add(cost, Decimal(part.cost))
    return Written([_path(folder, number) for number in range(len(parts))], _rows(parts), cost)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(
    selected: Selected, columns: Sequence[Column], zone: ZoneInfo, before: UUID | None, path: Path
) -> tuple[Part, bool]:
    """Write the rows that come after an id. Returns the part, and whether others may follow it."""
    # Loaded where it is asked for: pages and other jobs need not carry Arrow's memory.
    from routescope.exports import parquet

    rows = marks = 0
    cost = Decimal(0)
    last = down_to = None

    def values() -> Iterator[Values]:
        nonlocal rows, marks, cost, last, down_to
        for block in selected.blocks([column.name for column in columns], before, PART_ROWS):
            rows, marks, cost = rows + block.rows, marks + block.marks, _WIDE.add(cost, block.cost)
            down_to = block.down_to
            last = down_to or last
            if block.rows:
                yield block.values

    parquet.write(path, parquet.schema_of(columns, zone), values())
    ends = "" if last is None else str(last)
    fingerprint = _fingerprint(selected, rows, marks)
    return Part(rows, ends, str(cost), path.stat().st_size, sha256_of(path), fingerprint), down_to is not None


def _holding(selected: Selected, folder: Path, reading: Transaction) -> Iterator[Part]:
    """Yield the parts of an earlier run up to the first that is damaged or whose rows are others now."""
    manifest = folder / _MANIFEST
    if not manifest.exists():
        return
    before = None
    for number, line in enumerate(manifest.read_text().splitlines()):
        try:
            part = msgspec.json.decode(line, type=Part)
        except msgspec.DecodeError:
            return
        path = _path(folder, number)
        if not part.last or not path.exists() or sha256_of(path) != part.sha256:
            return
        last = UUID(part.last)
        with reading():
            mark = _fingerprint(selected, *selected.marks(before, last))
        if mark != part.fingerprint:
            return
        before = last
        yield part


def _fingerprint(selected: Selected, rows: int, marks: int) -> str:
    return f"{rows}:{marks}:{selected.names}"


def _rows(parts: Sequence[Part]) -> int:
    return sum(part.rows for part in parts)


def _keep(folder: Path, parts: Sequence[Part]) -> None:
    # Replaced as a whole: a crash leaves the list of before or of after, and the parts it names.
    lines = "".join(json.dumps(asdict(part)) + "\n" for part in parts)
    new = folder / f"{_MANIFEST}.new"
    with new.open("w") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / _MANIFEST)


def _path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06}.parquet"
