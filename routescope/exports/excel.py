"""Excel (Office Open XML, ECMA-376), written row by row: a million rows need no more memory than one.

A part is the XML of its rows, compressed; the finished file holds them sheet by sheet. Texts are inline
strings, which are never formulas; those that look like one are also marked as quoted (``quotePrefix``), so
that they stay texts when somebody edits or saves them.
"""

from __future__ import annotations

import gzip
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from routescope.exports.sources import Column, ColumnKind, Value
from routescope.exports.texts import is_formula
from routescope.text.formatting import plain

MOST_ROWS = 1_048_575
"""Rows of a sheet beside its heading: Excel's limit is 1,048,576."""
MOST_TEXT = 32_767
"""Characters of a cell, Excel's limit."""
_MOST_DIGITS = 15
"""What a cell's number holds exactly. A number of more digits is written as text: no value is rounded."""
_DAY_0 = datetime(1899, 12, 30, tzinfo=UTC)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_STAMP = (1980, 1, 1, 0, 0, 0)
_PLAIN, _MOMENT, _QUOTED, _HEADING = range(4)

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_STYLES = (
    f'{_HEAD}<styleSheet xmlns="{_MAIN}"><numFmts count="1"><numFmt numFmtId="164" '
    'formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss.000"/></numFmts><fonts count="2"><font><sz val="11"/>'
    '<name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill>'
    '<patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="4"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)


class ExcelFormat:
    """A workbook. Times are in the person's zone, which Excel cannot say: the heading names it, and a column
    beside gives each time's offset from UTC.
    """

    suffix = "xlsx"
    content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    capacity: int | None = MOST_ROWS

    def __init__(self, columns: Sequence[Column], zone: ZoneInfo) -> None:
        self.zone = zone
        names: list[str] = []
        for column in columns:
            if column.kind is ColumnKind.MOMENT:
                names += [f"{column.name} ({zone.key})", f"{column.name} UTC offset"]
            else:
                names.append(column.name)
        self.heading = f"<row>{''.join(_text(name, _HEADING) for name in names)}</row>\n"

    def write_part(self, path: Path, rows: Iterable[tuple[Value, ...]], *, first: bool) -> None:
        with path.open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as file:
            for row in rows:
                file.write(f"<row>{''.join(map(self._cell, row))}</row>\n".encode())

    def join(self, parts: Sequence[Path], target: Path, beat: Callable[[], None]) -> None:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as book:
            sheets = 0
            blocks = self._rows(parts, beat)
            more = True
            while more:
                sheets += 1
                with book.open(_entry(f"xl/worksheets/sheet{sheets}.xml"), "w", force_zip64=True) as sheet:
                    sheet.write(
                        f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane '
                        'ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView>'
                        f"</sheetViews><sheetData>\n{self.heading}".encode()
                    )
                    more = False
                    for ends, block in blocks:
                        sheet.write(block)
                        if ends:
                            more = True
                            break
                    sheet.write(b"</sheetData></worksheet>")
            for name, text in _frame(sheets).items():
                book.writestr(_entry(name), text)

    def _rows(self, parts: Sequence[Path], beat: Callable[[], None]) -> Iterator[tuple[bool, bytes]]:
        """Yield the parts' rows in blocks, each with whether the sheet is full after it and more follows.

        A sheet is full only at the end of a part: parts are cut at `capacity`.
        """
        filled = 0
        for number, part in enumerate(parts):
            beat()
            with gzip.open(part, "rb") as file:
                while block := file.read(1 << 20):
                    filled += block.count(b"\n")
                    yield False, block
            if filled >= MOST_ROWS and number + 1 < len(parts):
                filled = 0
                yield True, b""

    def _cell(self, value: Value) -> str:
        if value is None:
            return "<c/>"
        if isinstance(value, bool):
            return f'<c t="b"><v>{int(value)}</v></c>'
        if isinstance(value, int):
            return _number(Decimal(value))
        if isinstance(value, Decimal):
            return _number(value)
        if isinstance(value, datetime):
            return self._moment(value)
        text = str(value)
        return _text(text, _QUOTED if is_formula(text) else _PLAIN)

    def _moment(self, value: datetime) -> str:
        local = value.astimezone(self.zone)
        offset = local.strftime("%z")
        since = local.replace(tzinfo=UTC) - _DAY_0
        days = Decimal(since.days) + Decimal(since.seconds * 10**6 + since.microseconds) / 86_400_000_000
        return f'<c s="{_MOMENT}"><v>{days:.12f}</v></c>{_text(f"{offset[:3]}:{offset[3:5]}", _PLAIN)}'


def _number(value: Decimal) -> str:
    written = plain(value)
    if len(written.replace(".", "").strip("-0")) > _MOST_DIGITS:
        return _text(written, _PLAIN)
    return f"<c><v>{written}</v></c>"


def _text(value: str, style: int) -> str:
    # What XML cannot hold is written as Excel does it, and what looks like that is escaped too.
    safe = _ESCAPED.sub(r"_x005F_x\1_", value[:MOST_TEXT])
    safe = _UNPRINTABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", safe).replace("\r", "_x000D_")
    # Rows are counted by their line ends: those of texts are written as references.
    written = escape(safe, {"\n": "&#10;"})
    marked = f' s="{style}"' if style else ""
    return f'<c t="inlineStr"{marked}><is><t xml:space="preserve">{written}</t></is></c>'


def _entry(name: str) -> zipfile.ZipInfo:
    # A fixed time: the same rows always give the same file.
    info = zipfile.ZipInfo(name, _STAMP)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _frame(sheets: int) -> dict[str, str]:
    """Return the parts of the package beside the sheets."""
    numbers = range(1, sheets + 1)
    named = "".join(f'<sheet name="Records {n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
    linked = "".join(
        f'<Relationship Id="rId{n}" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in numbers
    )
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    typed = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kinds}.worksheet+xml"/>'
        for n in numbers
    )
    return {
        "xl/workbook.xml": f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{named}</sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{linked}'
        f'<Relationship Id="rId{sheets + 1}" Type="{_RELATIONS}/styles" Target="styles.xml"/>'
        "</Relationships>",
        "xl/styles.xml": _STYLES,
        "_rels/.rels": f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{kinds}.sheet.main+xml"/><Override PartName="/xl/styles.xml" '
        f'ContentType="{kinds}.styles+xml"/>{typed}</Types>',
    }
