"""An export's parts: written one by one, and after an interruption taken over where they still hold.

Each part is a file of some ten thousand rows. Beside it stands what it holds and a fingerprint of its rows
in the database: a later run, under a later snapshot, keeps the parts whose rows are what they were and
writes the others anew. The finished file is thus of one snapshot, the last one, whatever interrupted it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from decimal import Context, Decimal, localcontext
from pathlib import Path
from uuid import UUID

import msgspec

from routescope.exports.formats import Format
from routescope.exports.sources import Row, Selected, Value
from routescope.wire.reading import SUM_DIGITS

PART_ROWS = 25_000
_WIDE = Context(prec=SUM_DIGITS)
_MANIFEST = "parts.jsonl"


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
    columns: Sequence[str],
    form: Format,
    folder: Path,
    reading: Callable[[], AbstractContextManager[None]],
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
        tell(sum(part.rows for part in parts))
    _keep(folder, parts)
    before = UUID(parts[-1].last) if parts and parts[-1].last else None
    while True:
        done = sum(part.rows for part in parts)
        tell(done)
        limit = PART_ROWS if form.capacity is None else min(PART_ROWS, form.capacity - done % form.capacity)
        path = _path(folder, len(parts))
        with reading():
            until = selected.until(before)
            tally = _Tally(selected.rows(columns, before, limit))
            form.write_part(path, tally.values(), first=not parts)
            last = tally.last if until is None or tally.rows == limit else until
            mark = selected.fingerprint(before, last) if last is not None else ""
        # A stretch without rows is a part as well: a later run must see whether it still has none.
        if tally.rows or not parts or until is not None:
            ends = "" if last is None else str(last)
            parts.append(Part(tally.rows, ends, str(tally.cost), path.stat().st_size, sha256_of(path), mark))
            _keep(folder, parts)
        else:
            path.unlink()
        if sum(part.size for part in parts) > most_bytes:
            raise TooLargeError
        if tally.rows < limit and until is None:
            break
        before = last
    rows = sum(part.rows for part in parts)
    tell(rows)
    with localcontext(prec=SUM_DIGITS):
        cost = sum((Decimal(part.cost) for part in parts), Decimal(0))
    return Written([_path(folder, number) for number in range(len(parts))], rows, cost)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Tally:
    """Rows on their way into a part, counted and summed up."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._source = rows
        self.rows = 0
        self.cost = Decimal(0)
        self.last: UUID | None = None

    def values(self) -> Iterator[tuple[Value, ...]]:
        for identifier, cost, values in self._source:
            self.rows += 1
            if cost:
                self.cost = _WIDE.add(self.cost, cost)
            self.last = identifier
            yield values


def _holding(
    selected: Selected, folder: Path, reading: Callable[[], AbstractContextManager[None]]
) -> Iterator[Part]:
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
            mark = selected.fingerprint(before, last)
        if mark != part.fingerprint:
            return
        before = last
        yield part


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
    return folder / f"part-{number:06}"
