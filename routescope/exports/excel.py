"""Excel, written row by row by XlsxWriter: a million rows need no more memory than one.

Times are in the person's zone, which Excel cannot say: the heading names it, and a column beside gives each
time's offset from UTC. Texts are inline strings, which are never formulas; those that look like one are also
marked as quoted (``quotePrefix``), so that they stay texts when somebody edits or saves them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain, count
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

from xlsxwriter import Workbook
from xlsxwriter.utility import xl_rowcol_to_cell_fast
from xlsxwriter.worksheet import CellNumberTuple, CellStringTuple, Worksheet

from routescope.exports.sources import Column, ColumnKind, Value, Values
from routescope.exports.texts import is_formula
from routescope.text.formatting import plain

MOST_ROWS = 1_048_575
"""Rows of a sheet beside its heading: Excel's limit is 1,048,576."""
_MOST_DIGITS = 15
"""What a cell's number holds exactly. A number of more digits is written as text: no value is rounded."""
_DAY_0 = datetime(1899, 12, 30)
_DAY = timedelta(days=1)
_MEBIBYTE = 1024 * 1024
_OPTIONS = {
    "constant_memory": True,
    "use_zip64": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}


def write(
    target: Path, columns: Sequence[Column], zone: ZoneInfo, rows: Iterable[Values], beat: Callable[[], None]
) -> None:
    """Write a workbook of as many sheets as the rows need.

    XlsxWriter keeps the sheets in files beside ``target`` until all rows are there, and then packs them.
    ``beat`` is called every few seconds of the packing, and may raise to stop: the files then stay.
    """
    with target.open("wb") as file:
        told = _Told(file, beat)
        book = Workbook(told, {**_OPTIONS, "tmpdir": str(target.parent)})
        # A fixed time: the same rows always give the same file.
        book.set_properties({"created": datetime(1980, 1, 1)})
        try:
            _fill(book, columns, zone, rows)
            for sheet in book.worksheets():
                sheet.beat = beat
            book.close()
        finally:
            # An archive that was stopped still writes its end, when Python drops it.
            told.file = io.BytesIO()
            for sheet in book.worksheets():
                sheet.row_data_fh.close()


def _fill(book: Workbook, columns: Sequence[Column], zone: ZoneInfo, rows: Iterable[Values]) -> None:
    moment = book.add_format({"num_format": r"yyyy\-mm\-dd\ hh:mm:ss.000"})
    quoted = book.add_format({"num_format": "@", "quote_prefix": True})
    blank = book.add_format({})
    heading, formats = [], []
    for column in columns:
        if column.kind is ColumnKind.MOMENT:
            heading += [f"{column.name} ({zone.key})", f"{column.name} UTC offset"]
            formats += [moment, None]
        else:
            heading.append(column.name)
            formats.append(quoted if column.kind is ColumnKind.TEXT else None)
    sheets = _sheets(book, heading)
    sheet, line = next(sheets), 0
    for values in rows:
        cells = (_cells(column, held, zone) for column, held in zip(columns, values, strict=True))
        for row in zip(*chain.from_iterable(cells), strict=True):
            if line == MOST_ROWS:
                sheet, line = next(sheets), 0
            line += 1
            # A row without any value is a row as well.
            if row.count(None) == len(row):
                sheet.write_blank(line, 0, None, blank)
            for place, (value, form) in enumerate(zip(row, formats, strict=True)):
                if isinstance(value, str):
                    sheet.write_string(line, place, value, form if form and is_formula(value) else None)
                elif isinstance(value, bool):
                    sheet.write_boolean(line, place, value)
                elif value is not None:
                    sheet.write_number(line, place, value, form)


def _sheets(book: Workbook, heading: Sequence[str]) -> Iterator[Worksheet]:
    """Yield one new sheet after the other, with the heading."""
    bold = book.add_format({"bold": True})
    for number in count(1):
        sheet = book.add_worksheet(f"Records {number}", _Sheet)
        sheet.freeze_panes(1, 0)
        sheet.write_row(0, 0, heading, bold)
        yield sheet


def _cells(column: Column, values: Sequence[Any], zone: ZoneInfo) -> Iterator[Sequence[Value]]:
    """Yield the cells of a column: texts, truths, numbers; of times the days since 1899 and the offset."""
    if column.kind is ColumnKind.MOMENT:
        local = [None if value is None else value.astimezone(zone) for value in values]
        yield [None if time is None else (time.replace(tzinfo=None) - _DAY_0) / _DAY for time in local]
        yield [None if time is None else time.isoformat(timespec="minutes")[16:22] for time in local]
    elif column.kind in (ColumnKind.INTEGER, ColumnKind.DECIMAL):
        yield [None if value is None else _number(value) for value in values]
    else:
        yield values


def _number(value: int | Decimal) -> float | str:
    if isinstance(value, int) and abs(value) < 10**_MOST_DIGITS:
        return value
    written = plain(value)
    return written if len(written.replace(".", "").strip("-0")) > _MOST_DIGITS else float(written)


class _Sheet(Worksheet):  # type: ignore[misc]
    """A sheet whose texts are texts. What it does for each cell decides how long a workbook takes."""

    beat: Callable[[], None]
    # Without what also takes the names of cells for their places: a tenth of all time.
    write_number = Worksheet._write_number
    write_string = Worksheet._write_string

    def _opt_reopen(self) -> None:
        # The first thing that is done for a sheet when the workbook is packed.
        self.beat()
        super()._opt_reopen()

    def _write_cell(self, row: int, col: int, cell: Any) -> None:
        """Write a text or a number as XlsxWriter does, in two thirds of its time.

        It asks each cell what few have, and writes a text that looks like its own markup as markup.
        """
        style = f' s="{cell.format._get_xf_index()}"' if cell.format else ""
        place = xl_rowcol_to_cell_fast(row, col)
        if isinstance(cell, CellNumberTuple):
            self.fh.write(f'<c r="{place}"{style}><v>{cell.number:.16G}</v></c>')
        elif isinstance(cell, CellStringTuple):
            text = cell.string
            if not text.isprintable() or "_x" in text:
                text = self._escape_control_characters(text)
            self.fh.write(
                f'<c r="{place}"{style} t="inlineStr"><is><t xml:space="preserve">'
                f"{self._escape_data(text)}</t></is></c>"
            )
        else:
            super()._write_cell(row, col, cell)


class _Told:
    """The file that a workbook is packed into. ``beat`` is called at each MiB, and may raise to stop."""

    def __init__(self, file: IO[bytes], beat: Callable[[], None]) -> None:
        self.file, self._beat, self._since = file, beat, 0

    def write(self, data: bytes) -> int:
        self._since += len(data)
        if self._since >= _MEBIBYTE:
            self._since = 0
            self._beat()
        return self.file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)
