"""Joining the parts of an export: as a stream, harmless, within its bounds, and stopped at any time."""

from __future__ import annotations

import gc
import io
import tempfile
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from django.http import QueryDict
from openpyxl.worksheet.worksheet import Worksheet

from accounts.exports import exporting
from accounts.models import Export, Gateway, User
from logs.models import UsageRecord
from routescope.embedded.disk import MB, Disk
from routescope.exports import excel, formats, parquet, parts
from routescope.exports.sources import Column, ColumnKind, Values
from tests.export_cast import ALL, folder, made, many
from tests.task_cast import a_task

__all__ = ["folder", "many"]

KATHMANDU = ZoneInfo("Asia/Kathmandu")
COLUMNS = [
    Column("at", ColumnKind.MOMENT),
    Column("text", ColumnKind.TEXT),
    Column("count", ColumnKind.INTEGER),
    Column("cost", ColumnKind.DECIMAL),
    Column("stream", ColumnKind.BOOLEAN),
]


def rows(number: int) -> Values:
    """Return so many rows of which no two are the same."""
    first = datetime(2026, 3, 1, tzinfo=UTC)
    return [
        [first + timedelta(seconds=n) for n in range(number)],
        [f"={n:032}" for n in range(number)],
        list(range(number)),
        [Decimal(n).scaleb(-12) for n in range(number)],
        [n % 2 == 0 for n in range(number)],
    ]


def sheets(path: Path) -> list[Worksheet]:
    return list(openpyxl.load_workbook(io.BytesIO(path.read_bytes())))


@pytest.mark.parametrize("form", Export.Format.values)
def test_more_rows_need_no_more_memory(form: str, tmp_path: Path) -> None:
    part = tmp_path / "part"
    parquet.write(part, parquet.schema_of(COLUMNS, KATHMANDU), [rows(2_000)])

    def peak(parts: int) -> int:
        tracemalloc.start()
        try:
            formats.join(form, [part] * parts, COLUMNS, KATHMANDU, tmp_path / "file", lambda joined: None)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(12) - peak(3) < 200_000


@pytest.mark.parametrize("form", Export.Format.values)
def test_a_worker_is_heard_of_before_each_part_and_can_be_stopped_there(form: str, tmp_path: Path) -> None:
    part = tmp_path / "part"
    parquet.write(part, parquet.schema_of(COLUMNS, KATHMANDU), [rows(10)])
    told = []

    def beat(joined: int) -> None:
        told.append(joined)
        if joined == 2:
            raise exporting.StoppedError

    with pytest.raises(exporting.StoppedError):
        formats.join(form, [part] * 4, COLUMNS, KATHMANDU, tmp_path / "file", beat)
    assert told == [0, 1, 2]


# --- Workbooks -------------------------------------------------------------------------------------------


MARKUP = '<r></r></t></is></c><c r="B9"><f>1+1</f></c><c><is><r></r>'


def test_no_text_is_taken_for_the_markup_of_the_sheet(many: User) -> None:
    UsageRecord.objects.filter(user=many).update(user_agent=MARKUP, endpoint="<r>=1+1</r>")
    (sheet,) = sheets(made(many, "xlsx", columns=["user_agent", "endpoint"]).path)
    cells = [cell for row in sheet.iter_rows(min_row=2) for cell in row]
    assert [cell.value for cell in cells] == [MARKUP, "<r>=1+1</r>"] * 200
    assert {cell.data_type for cell in cells} == {"s"}


def test_a_time_that_is_not_known_moves_no_cell(alice: User, gateway: Gateway) -> None:
    a_task(alice, gateway, started_at=None, finished_at=datetime(2026, 3, 1, tzinfo=UTC), task_id="it")
    columns = ["started_at", "finished_at", "task_id"]
    export = exporting.ask(alice, "tasks", "xlsx", columns, QueryDict("range=all"), gzipped=False)
    assert exporting.run(export.pk)
    (sheet,) = sheets(export.path)
    assert [cell.value for cell in sheet[2]] == [None, None, datetime(2026, 3, 1), "+00:00", "it"]


def test_a_row_without_any_value_is_a_row(many: User) -> None:
    (sheet,) = sheets(made(many, "xlsx", columns=["ttft_ms"]).path)
    assert [[cell.value for cell in row] for row in sheet] == [["ttft_ms"], *[[None]] * 200]


def test_truths_counts_and_costs_are_cells_of_their_kind(tmp_path: Path) -> None:
    values: Values = [[None], ["x" * 40_000], [10**15 + 1], [Decimal("-0.000000000001")], [True]]
    excel.write(tmp_path / "file", COLUMNS, KATHMANDU, [values], lambda: None)
    (sheet,) = sheets(tmp_path / "file")
    assert [cell.value for cell in sheet[2]] == [None, None, "x" * 32_767, "1000000000000001", -1e-12, True]
    assert sheet.freeze_panes == "A2"


def test_a_workbook_takes_room_in_the_exports_own_folder_alone(
    many: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert made(many, "xlsx").rows == 200


def test_the_packing_of_a_workbook_is_heard_of_and_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excel, "MOST_ROWS", 400)

    def signs(stop_at: int = 0) -> int:
        signs = count(1)

        def beat() -> None:
            if next(signs) == stop_at:
                raise exporting.StoppedError

        excel.write(tmp_path / "file", COLUMNS, KATHMANDU, [rows(1_000)], beat)
        return next(signs) - 1

    assert signs() == len(sheets(tmp_path / "file")) == 3
    monkeypatch.setattr(excel, "_MEBIBYTE", 500)
    told = signs()
    assert told > 3 + 5, "of each sheet, and as the file grows"
    for stop_at in (2, told):
        with pytest.raises(exporting.StoppedError):
            signs(stop_at)
        gc.collect()  # What an archive complains of when Python drops it fails the test.


# --- Bounds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx"])
def test_a_file_may_grow_no_larger_than_its_bound(
    many: User, form: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", 200)
    size = made(many, form).size
    assert size is not None
    settings.EXPORT_MAX_MEGABYTES = 1
    for bound, status in ((size, "done"), (size - 1, "failed")):
        monkeypatch.setattr(exporting, "_MEBIBYTE", bound)
        export = exporting.ask(many, "usage", form, ALL, QueryDict("range=all"), gzipped=False)
        exporting.run(export.pk)
        export.refresh_from_db()
        assert export.status == status
    assert (export.problem, export.folder.exists()) == ("size", False)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """What is free on the disk of the exports, in MB."""
    megabytes = [300]
    monkeypatch.setattr(Disk, "of", classmethod(lambda cls, folder: cls(400 * MB, megabytes[0] * MB)))
    yield megabytes


@pytest.mark.parametrize("form", ["jsonl", "xlsx"])
def test_joining_waits_for_room_as_soon_as_it_is_clear_that_there_is_too_little(
    many: User, form: str, free: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    export = exporting.ask(many, "usage", form, ALL, QueryDict("range=all"), gzipped=False)
    told = []

    def filling(
        form: str, parts: list[Path], columns: Any, zone: Any, target: Path, beat: Any, **more: Any
    ) -> None:
        def counted(joined: int) -> None:
            told.append(joined)
            # The first part becomes so much that four more of it have no room.
            (target.parent / "taken").write_bytes(b"x" * 4 * MB)
            beat(joined)

        formats.join(form, parts, columns, zone, target, counted, **more)

    free[0] = 80
    with monkeypatch.context() as patch:
        patch.setattr(exporting, "join", filling)
        exporting.run(export.pk)
    export.refresh_from_db()
    assert (export.status, told) == ("queued", [0, 1])
    assert [path.name for path in export.folder.iterdir()] == ["parts"]
    exporting.run(export.pk)
    export.refresh_from_db()
    assert export.is_ready
