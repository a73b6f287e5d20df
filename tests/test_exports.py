"""Exports: every value as in the database, whole after any interruption, private, and harmless."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import duckdb
import openpyxl
import pyarrow.parquet as pq
import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError
from django.http import QueryDict
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from accounts.exports import exporting, jobs
from accounts.models import AuditEntry, Export, Gateway, User
from logs.exports import COLUMNS
from logs.filters.usage_filter import UsageFilter
from logs.models import Cause, RecordType, Status, UsageRecord
from logs.rollups import own_sums
from logs.selection.chosen import Selection
from routescope.exports import excel, parts
from tests.cast import event, just_now, signed_in, store
from tests.task_cast import a_task
from tests.test_agreement import _random_event

ALL = [column.name for column in COLUMNS if column.name != "receipt"]
ZONE = "Asia/Kolkata"


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    settings.EXPORTS_DIR = tmp_path
    monkeypatch.setattr(parts, "PART_ROWS", 40)
    monkeypatch.setattr(jobs, "hand_over", lambda pk: True)
    yield tmp_path


@pytest.fixture
def many(alice: User, gateway: Gateway) -> User:
    """Alice in another time zone, with records of every kind and texts that spreadsheets would run."""
    User.objects.filter(pk=alice.pk).update(time_zone=ZONE)
    random = Random(5)
    nasty = [
        "=1+1",
        "+x",
        "-x",
        "@SUM(A1)",
        "\t=x",
        ' "quoted", \n',
        "_x0041_",
        "模型",
        "  =cmd|' /C c'!A0",
    ]
    store(
        gateway,
        *(_random_event(random, "alice@example.com") for _ in range(190)),
        *(event(endpoint=text, user_agent=text, minutes=n) for n, text in enumerate(nasty)),
        event(minutes=77, cost=Decimal("123456789012.123456789012"), parameters={"temperature": 1}),
        event("bob@example.com", request_id="bobs"),
        ties=True,
    )
    return User.objects.get(pk=alice.pk)


def made(user: User, form: str = "csv", query: str = "range=all", **more: Any) -> Export:
    columns = more.pop("columns", ALL)
    export = exporting.ask(user, "usage", form, columns, QueryDict(query), gzipped=more.pop("gzipped", False))
    assert exporting.run(export.pk)
    export.refresh_from_db()
    assert export.status == Export.Status.DONE, export.problem
    return export


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
        }
        rows.append({name: named.get(name, getattr(record, name)) for name in columns})
        for name in ("parameters", "attempts", "metadata"):
            if rows[-1].get(name) is not None:
                rows[-1][name] = json.dumps(rows[-1][name], separators=(",", ":"))
    return rows


def test_csv_holds_every_value_and_no_formula(many: User) -> None:
    export = made(many)
    read = list(csv.DictReader(io.StringIO(export.path.read_text(), newline="")))
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


def test_json_lines_hold_every_value_also_compressed(many: User) -> None:
    export = made(many, "jsonl", gzipped=True)
    lines = gzip.decompress(export.path.read_bytes()).decode().splitlines()
    for line, record in zip(lines, stored(many), strict=True):
        row = json.loads(line)
        row["created_at"] = datetime.fromisoformat(row["created_at"])
        row["cost"] = None if row["cost"] is None else Decimal(row["cost"])
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
    monkeypatch.setattr(excel.ExcelFormat, "capacity", 90)
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
        selection = UsageFilter(QueryDict(query), user=many).selection
        totals = own_sums.totals(many, selection)
        assert (export.rows, export.cost) == (totals.records, totals.cost)
        assert export.agrees
    assert own_sums.totals(many, Selection()).records > 0


def test_a_preset_is_fixed_when_it_is_asked_for(alice: User, gateway: Gateway) -> None:
    store(gateway, event(created_at=just_now()))
    export = made(alice, query="range=1h", columns=["request_id"])
    assert set(QueryDict(export.query)) == {"start", "end"}
    assert export.rows == 1


@pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx", "parquet"])
def test_killed_halfway_and_resumed_the_file_is_whole_and_identical(
    many: User, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(many, form)

    class Killed(BaseException):
        pass

    tell = exporting._tell

    def dying(export: Export, **changes: Any) -> None:
        tell(export, **changes)
        if changes.get("rows", 0) >= 80:
            raise Killed

    export = exporting.ask(many, "usage", form, ALL, QueryDict("range=all"), gzipped=False)
    monkeypatch.setattr(exporting, "_tell", dying)
    with pytest.raises(Killed):
        exporting.run(export.pk)
    monkeypatch.setattr(exporting, "_tell", tell)
    assert not exporting.run(export.pk), "its worker may still live"
    assert export.pk not in exporting.waiting()
    Export.objects.update(heard_at=timezone.now() - 2 * exporting.SILENCE)
    assert exporting.waiting() == [export.pk] or export.pk in exporting.waiting()
    assert exporting.run(export.pk)
    export.refresh_from_db()
    assert (export.status, export.runs) == ("done", 2)
    assert export.path.read_bytes() == whole.path.read_bytes()
    assert export.sha256 == hashlib.sha256(whole.path.read_bytes()).hexdigest()


def test_a_part_whose_rows_changed_meanwhile_is_written_anew(
    many: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = exporting._tell

    def dying(export: Export, **changes: Any) -> None:
        tell(export, **changes)
        if changes.get("rows", 0) >= 120:
            raise KeyboardInterrupt

    export = exporting.ask(many, "usage", "csv", ["request_id"], QueryDict("range=all"), gzipped=False)
    monkeypatch.setattr(exporting, "_tell", dying)
    with pytest.raises(KeyboardInterrupt):
        exporting.run(export.pk)
    monkeypatch.setattr(exporting, "_tell", tell)
    store(gateway, event(request_id="late", minutes=4 * 1440 - 5))
    Export.objects.update(heard_at=timezone.now() - 2 * exporting.SILENCE)
    exporting.run(export.pk)
    export.refresh_from_db()
    assert export.agrees
    assert "late" in export.path.read_text()
    assert export.path.read_text() == made(many, columns=["request_id"]).path.read_text()


def test_cancelled_it_stops_and_leaves_nothing(many: User, monkeypatch: pytest.MonkeyPatch) -> None:
    tell = exporting._tell

    def cancelling(export: Export, **changes: Any) -> None:
        if changes.get("rows", 0) >= 80:
            assert exporting.cancel(many, export.pk)
        tell(export, **changes)

    monkeypatch.setattr(exporting, "_tell", cancelling)
    export = exporting.ask(many, "usage", "csv", ALL, QueryDict("range=all"), gzipped=False)
    exporting.run(export.pk)
    export.refresh_from_db()
    assert export.status == Export.Status.CANCELLED
    assert not export.folder.exists()


def test_too_many_rows_or_bytes_are_refused_in_words(many: User, settings: Any) -> None:
    for name, value, problem in (("EXPORT_MAX_ROWS", 10, "rows"), ("EXPORT_MAX_MEGABYTES", 0, "size")):
        kept = getattr(settings, name)
        setattr(settings, name, value)
        export = exporting.ask(many, "usage", "csv", ALL, QueryDict("range=all"), gzipped=False)
        exporting.run(export.pk)
        export.refresh_from_db()
        assert (export.status, export.problem) == ("failed", problem)
        assert not export.folder.exists()
        setattr(settings, name, kept)
    page = signed_in(many).get("/exports/").content.decode()
    assert "More rows than one export may hold" in page


def test_tasks_are_exported_too(alice: User, gateway: Gateway) -> None:
    a_task(alice, gateway, cost=Decimal("1.25"), status="failed", failure_message="=no")
    columns = ["submitted_at", "status", "cost", "failure_message", "result"]
    export = exporting.ask(alice, "tasks", "csv", columns, QueryDict(""), gzipped=False)
    exporting.run(export.pk)
    export.refresh_from_db()
    (row,) = csv.DictReader(io.StringIO(export.path.read_text()))
    assert (row["status"], row["cost"], row["failure_message"]) == ("failed", "1.25", "'=no")
    assert export.agrees


# --- The page and downloads ------------------------------------------------------------------------------


def test_the_form_asks_for_what_the_page_lists_and_the_audit_says_so(many: User) -> None:
    client = signed_in(many)
    page = client.get("/records/usage/?range=all&model=m1").content.decode()
    assert 'href="/exports/new/?source=usage&amp;range=all&amp;model=m1"' in page
    fragment = client.get("/records/usage/results/?range=all&model=m2", headers={"HX-Request": "true"})
    assert 'hx-swap-oob="true"' in fragment.content.decode()
    url = "/exports/new/?" + urlencode({"source": "usage", "range": "all", "model": "m1"})
    assert "rows," in client.get(url).content.decode()
    answer = client.post(url, {"format": "csv", "columns": ["cost", "created_at"]})
    assert answer.headers["Location"] == "/exports/"
    export = Export.objects.get()
    assert export.columns == ["created_at", "cost"]
    entry = AuditEntry.objects.get(act="export")
    assert (entry.actor, str(export.pk) in entry.object) == (many, True)
    assert client.post(url, {"format": "doc"}).status_code == 422
    assert 'hx-trigger="every 2s"' in client.get("/exports/").content.decode()


def test_a_download_is_the_owners_alone(many: User, charlie: User, client: Client) -> None:
    export = made(many)
    owner = signed_in(many)
    answer = owner.get(f"/exports/{export.pk}/download/")
    link = answer.headers["Location"]
    assert b"".join(owner.get(link).streaming_content) == export.path.read_bytes()  # type: ignore[attr-defined]
    assert client.get(link).status_code == 200, "the address alone is enough, for a few minutes"
    stranger = signed_in(charlie)
    assert stranger.get(link).status_code == 404
    for name in ("download/", "manifest.json"):
        assert stranger.get(f"/exports/{export.pk}/{name}").status_code == 404
    for name in ("cancel/", "delete/"):
        assert stranger.post(f"/exports/{export.pk}/{name}").status_code == 404
    assert client.get(link[:-3] + "xx/").status_code == 404
    assert str(export.pk) not in stranger.get("/exports/results/").content.decode()


def test_a_link_ends_after_minutes(many: User, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = exporting.signed(made(many))
    monkeypatch.setattr(exporting, "LINK_SECONDS", -1)
    assert client.get(f"/exports/file/{signature}/").status_code == 404


def test_downloads_go_on_where_they_stopped(many: User, client: Client) -> None:
    export = made(many)
    body = export.path.read_bytes()
    link = f"/exports/file/{exporting.signed(export)}/"

    def ask(value: str, **more: str) -> Any:
        return client.get(link, headers={"Range": value, "Accept-Encoding": "gzip", **more})

    for value, expected in (
        ("bytes=0-9", body[:10]),
        ("bytes=100-", body[100:]),
        ("bytes=-7", body[-7:]),
        (f"bytes=5-{10**9}", body[5:]),
    ):
        answer = ask(value)
        assert answer.status_code == 206
        assert b"".join(answer.streaming_content) == expected
        assert int(answer["Content-Length"]) == len(expected)
    etag = ask("bytes=0-0")["ETag"]
    assert ask("bytes=0-0", **{"If-Range": etag}).status_code == 206
    assert ask("bytes=0-0", **{"If-Range": '"other"'}).status_code == 200
    assert ask("bytes=0-1,3-4").status_code == 200
    assert ask(f"bytes={len(body)}-").status_code == 416


def test_the_manifest_says_what_the_file_is(many: User) -> None:
    export = made(many, query="range=all&status=error")
    told = signed_in(many).get(f"/exports/{export.pk}/manifest.json").json()
    assert told["filters"] == {"range": ["all"], "status": ["error"]}
    assert told["sha256"] == hashlib.sha256(export.path.read_bytes()).hexdigest()
    assert told["header"] == {"rows": told["rows"], "cost_usd": told["cost_usd"]}
    assert told["agrees_with_header"] is True


def test_what_has_expired_is_cleaned_up(many: User) -> None:
    export, kept = made(many), made(many)
    Export.objects.filter(pk=export.pk).update(expires_at=timezone.now())
    assert exporting.tidy() == 1
    assert not export.folder.exists()
    assert list(Export.objects.values_list("pk", flat=True)) == [kept.pk]


def test_while_the_queue_is_away_the_export_waits_and_the_page_says_so(
    many: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()

    def away(*_: object, **__: object) -> None:
        raise BrokerError("gone")

    monkeypatch.setattr(jobs.run_export, "apply_async", away)
    form = {"format": "csv", "columns": ["cost"]}
    page = signed_in(many).post("/exports/new/?source=usage", form, follow=True).content.decode()
    assert "The queue cannot be reached" in page
    assert "Waiting for a worker" in page
    assert len(exporting.waiting()) == 1
    assert jobs.dispatch() == 0


def test_a_person_has_a_bounded_number_under_way(many: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MOST_OPEN", 1)
    client = signed_in(many)
    statuses = [
        client.post("/exports/new/?source=usage", {"format": "csv", "columns": ["cost"]}).status_code
        for _ in range(2)
    ]
    assert statuses == [302, 422]


@pytest.mark.django_db(transaction=True)
def test_all_parts_are_of_one_snapshot(
    gateway: Gateway, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(gateway, *(event(minutes=n) for n in range(100)))
    tell = exporting._tell

    def sending(export: Export, **changes: Any) -> None:
        tell(export, **changes)
        if changes.get("rows") == 40:
            store(gateway, event(minutes=-5), event(minutes=-9))

    monkeypatch.setattr(exporting, "_tell", sending)
    export = made(alice, columns=["request_id"])
    assert (export.rows, export.agrees) == (100, True)


@pytest.mark.django_db(transaction=True)
def test_an_export_outlives_a_trouble_of_the_database_and_its_turn(many: User) -> None:
    """What is locked, away or takes more than a turn costs an export time, and nothing else."""
    for trouble in (OperationalError("the connection is lost"), SoftTimeLimitExceeded()):
        export = exporting.ask(many, "usage", "csv", ["request_id"], QueryDict("range=all"), gzipped=False)
        with patch.object(exporting, "write_parts", side_effect=trouble):
            jobs.run_export(str(export.pk))
        export.refresh_from_db()
        assert export.status in ("running", "queued")
        Export.objects.filter(status="running").update(heard_at=timezone.now() - 2 * exporting.SILENCE)
        assert exporting.waiting() == [export.pk]
        jobs.run_export(str(export.pk))
        export.refresh_from_db()
        assert (export.status, export.runs) == ("done", 2)


@pytest.mark.django_db(transaction=True)
def test_an_export_that_never_comes_to_its_end_is_given_up(many: User) -> None:
    export = exporting.ask(many, "usage", "csv", ["request_id"], QueryDict("range=all"), gzipped=False)
    with patch.object(exporting, "write_parts", side_effect=SoftTimeLimitExceeded()):
        for _ in range(exporting.MOST_RUNS):
            jobs.run_export(str(export.pk))
    export.refresh_from_db()
    assert export.status == "failed"
