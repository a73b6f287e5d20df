"""Exports: every value as in the database, in each format, and harmless."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import openpyxl
import pyarrow.parquet as pq
import pytest
from django.http import QueryDict

from accounts.exports import exporting
from accounts.models import Gateway, User
from logs.filters.usage_filter import UsageFilter
from logs.models import Cause, RecordType, Status, UsageRecord
from logs.models.marks import tags_of
from logs.rollups import own_sums
from logs.selection.chosen import Selection
from routescope.data.scopes import Scope
from routescope.exports import excel
from tests.cast import event, just_now, store
from tests.export_cast import ALL, ZONE, folder, made, many
from tests.task_cast import a_task

__all__ = ["folder", "many"]


def stored(user: User, columns: list[str] = ALL) -> list[dict[str, Any]]:
    """The same rows straight from the database, newest first."""
    rows = []
    for record in UsageRecord.objects.filter(user=user).select_related().order_by("-id"):
        named = {
            "token": getattr(record.token, "name", None),
            "model": getattr(record.model, "name", None),
            "group": getattr(record.group, "name", None),
            "type": RecordType(record.type).name.lower(),
            "status": Status(record.status).name.lower(),
            "cause": Cause(record.cause).name.lower() if record.cause else None,
            "id": str(record.id),
            "tags": ", ".join(tags_of(record.metadata)) or None,
            "usage_estimated": bool(record.usage_estimated),
            **_funding(record.billing or {}),
        }
        rows.append({name: named[name] if name in named else getattr(record, name) for name in columns})
        for name in ("parameters", "attempts", "metadata"):
            if rows[-1].get(name) is not None:
                rows[-1][name] = json.dumps(rows[-1][name], separators=(",", ":"))
    return rows


def _funding(billing: dict[str, Any]) -> dict[str, Any]:
    balances = ("balance_before", "balance_after")
    amounts = {name: Decimal(billing[name]) if name in billing else None for name in balances}
    return {"funding_source": billing.get("funding_source"), **amounts}


def test_csv_holds_every_value_and_no_formula(many: User) -> None:
    export = made(many)
    read = list(csv.DictReader(io.StringIO(export.path.read_text("utf-8-sig"), newline="")))
    for row, record in zip(read, stored(many), strict=True):
        for name, value in record.items():
            cell = row[name]
            if isinstance(value, str):
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
                assert cell.removeprefix("'") == value
            elif isinstance(value, Decimal):
                assert Decimal(cell) == value
            elif isinstance(value, datetime):
                assert datetime.fromisoformat(cell) == value
                assert cell.endswith("+05:30")
            elif isinstance(value, bool):
                assert cell == str(value).lower()
            else:
                assert cell == ("" if value is None else str(value))


@pytest.mark.parametrize("gzipped", [False, True])
def test_csv_says_once_and_first_that_it_is_utf_8(gateway: Gateway, alice: User, gzipped: bool) -> None:
    """By its mark Excel shows every script as it is, whatever the code page of its machine."""
    names = ["通义千问", "ひらがな", "한국어", "Ёлка", "=模型", "🐋"]
    store(gateway, *(event(minutes=n, model=names[n % 6], token=names[n % 5]) for n in range(90)))
    export = made(alice, columns=["model", "token"], gzipped=gzipped)
    held = export.path.read_bytes()
    held = gzip.decompress(held) if gzipped else held
    assert held.startswith(codecs.BOM_UTF8 + b"model,token\r\n")
    assert held.count(codecs.BOM_UTF8) == 1, "three parts"
    cells = {cell for row in list(csv.reader(io.StringIO(held.decode("utf-8-sig"))))[1:] for cell in row}
    assert cells == {*names, "'=模型"} - {"=模型"}
    nothing = made(alice, query="range=all&token=nobody", columns=["cost"], gzipped=False).path.read_bytes()
    assert nothing == codecs.BOM_UTF8 + b"cost\r\n"
    # RFC 8259 forbids it: "implementations MUST NOT add a byte order mark".
    assert codecs.BOM_UTF8 not in made(alice, "jsonl", columns=["model"]).path.read_bytes()


def test_json_lines_hold_every_value_also_compressed(many: User) -> None:
    export = made(many, "jsonl", gzipped=True)
    lines = gzip.decompress(export.path.read_bytes()).decode().splitlines()
    for line, record in zip(lines, stored(many), strict=True):
        row = json.loads(line)
        row["created_at"] = datetime.fromisoformat(row["created_at"])
        for name in ("cost", "balance_before", "balance_after"):
            row[name] = None if row[name] is None else Decimal(row[name])
        assert row == record
    assert export.file_name.endswith(".jsonl.gz")


def test_parquet_is_typed_and_opens_in_pyarrow_and_duckdb(many: User) -> None:
    export = made(many, "parquet")
    table = pq.read_table(export.path)
    assert str(table.schema.field("cost").type) == "decimal128(24, 12)"
    assert str(table.schema.field("created_at").type) == f"timestamp[us, tz={ZONE}]"
    assert table.to_pylist() == stored(many)
    (duck,) = (
        duckdb.connect().execute(f"SELECT count(*), sum(cost) FROM read_parquet('{export.path}')").fetchall()
    )
    assert duck == (export.rows, export.cost)


def test_excel_is_typed_opens_in_openpyxl_and_runs_nothing(
    many: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excel, "MOST_ROWS", 90)
    export = made(many, "xlsx")
    book = openpyxl.load_workbook(io.BytesIO(export.path.read_bytes()))
    assert [sheet.max_row for sheet in book] == [91, 91, 21]
    heading = [cell.value for cell in book.worksheets[0][1]]
    assert heading[:2] == [f"created_at ({ZONE})", "created_at UTC offset"]
    cells = [row for sheet in book for row in sheet.iter_rows(min_row=2)]
    for row, record in zip(cells, stored(many), strict=True):
        values = dict(zip(heading, row, strict=True))
        moment = values.pop(heading[0]).value
        offset = values.pop(heading[1]).value
        zoned = moment.replace(tzinfo=ZoneInfo(ZONE))
        assert abs(zoned - record.pop("created_at")) < timedelta(milliseconds=1)
        assert offset == "+05:30"
        for name, value in record.items():
            cell = values[name]
            assert cell.data_type != "f"
            if isinstance(value, Decimal):
                assert Decimal(str(cell.value)) == value
            elif isinstance(value, str):
                assert (cell.value or "").replace("_x005F", "").replace("_x0009_", "\t") == value
                if value.startswith(("=", "+", "-", "@")):
                    assert cell.quotePrefix
            else:
                assert cell.value == value


def test_receipt_lines_add_up_to_each_charge(many: User) -> None:
    export = made(many, "jsonl", columns=["cost", "receipt"])
    for line in export.path.read_text().splitlines():
        row = json.loads(line)
        if row["cost"] is not None:
            amounts = [Decimal(one["amount"]) for one in json.loads(row["receipt"])]
            assert sum(amounts) == Decimal(row["cost"])


def test_an_export_holds_exactly_the_filtered_rows_and_agrees_with_the_header(many: User) -> None:
    for query in ("range=all&model=m1&status=error", "range=all&cost_min=0.0005", "range=all&token=nobody"):
        export = made(many, query=query, columns=["request_id"])
        selection = UsageFilter(QueryDict(query), scope=Scope.own(many)).selection
        totals = own_sums.totals(Scope.own(many), selection)
        assert (export.rows, export.cost) == (totals.records, totals.cost)
        assert export.agrees
    assert own_sums.totals(Scope.own(many), Selection()).records > 0


def test_a_preset_is_fixed_when_it_is_asked_for(alice: User, gateway: Gateway) -> None:
    store(gateway, event(created_at=just_now()))
    export = made(alice, query="range=1h", columns=["request_id"])
    assert set(QueryDict(export.query)) == {"start", "end"}
    assert export.rows == 1


def test_tasks_are_exported_too(alice: User, gateway: Gateway) -> None:
    a_task(alice, gateway, cost=Decimal("1.25"), status="failed", failure_message="=no", cause="unknown")
    a_task(alice, gateway, status="failed", cause="timeout")
    columns = ["submitted_at", "status", "cost", "cause", "failure_message", "result"]
    export = exporting.ask(alice, "tasks", "csv", columns, QueryDict("cause=unknown"), gzipped=False)
    exporting.run(export.pk)
    export.refresh_from_db()
    (row,) = csv.DictReader(io.StringIO(export.path.read_text("utf-8-sig")))
    assert (row["status"], row["cost"], row["failure_message"]) == ("failed", "1.25", "'=no")
    assert row["cause"] == "unknown"
    assert export.agrees
