"""``python -m tests.bench.exporting --rows 1000000``: exports of many records, in every format.

Measures the time and the peak memory of a worker above its idle, kills one halfway, and compares every value
with the database's. The records stay: a later run with as many rows exports them again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.settings")

import django

from routescope import embedded

if TYPE_CHECKING:
    from accounts.models import Export, User

EMAIL = "exports@bench.example"
BATCH = 5_000
COLUMNS = ("created_at", "request_id", "status", "model", "token", "input_tokens", "output_tokens", "cost")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.exporting", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--run", help="an export to write in this process, which tells its memory")
    chosen = parser.parse_args()
    django.setup()
    if chosen.run:
        _work(chosen.run)
        return
    with embedded.engines(durable=False):
        _measure(chosen.rows)


def _measure(rows: int) -> None:
    from django.core.management import call_command

    from accounts.models import User

    call_command("migrate", verbosity=0)
    user, _ = User.objects.get_or_create(email=EMAIL, defaults={"time_zone": "Asia/Shanghai"})
    _fill(user, rows)
    for form in ("csv", "jsonl", "parquet", "xlsx"):
        started = perf_counter()
        export, memory = _exported(user, form)
        seconds = perf_counter() - started
        found = _compared(user, export)
        killed, _ = _exported(user, form, kill_at=export.rows // 2)
        same = killed.sha256 == export.sha256 and killed.runs == 2
        _say(
            f"{form:8} {export.rows:,} rows, {(export.size or 0) / 1e6:.0f} MB, {seconds:.0f} s; "
            f"memory {memory['peak']:.0f} MB, {memory['peak'] - memory['idle']:.0f} above idle; "
            f"header agrees: {export.agrees}; {found}; killed and resumed: "
            f"{'identical' if same else 'DIFFERS'}"
        )


def _fill(user: User, rows: int) -> None:
    from accounts.models import Gateway
    from logs.ingest import batches
    from logs.models import Status, UsageDay
    from logs.models.events import Batch, UsageEvent

    held = sum(UsageDay.objects.filter(user_id=user.pk).values_list("records", flat=True))
    gateway, _ = Gateway.objects.get_or_create(name="bench")
    random = Random(1)
    first = datetime(2026, 3, 1, tzinfo=UTC)
    step = timedelta(milliseconds=30 * 86_400_000 // rows)
    for start in range(held, rows, BATCH):
        events = [
            UsageEvent(
                request_id=f"req_{number:032x}",
                created_at=first + number * step,
                user=EMAIL,
                token=f"token-{number % 5}",
                model=f"model-{number % 7}",
                group="default",
                status=Status.ERROR if number % 50 == 0 else Status.SUCCESS,
                duration_ms=random.randrange(60_000),
                input_tokens=random.randrange(20_000),
                output_tokens=random.randrange(2_000),
                cost=Decimal(random.randrange(10**11)).scaleb(-12),
            )
            for number in range(start, min(start + BATCH, rows))
        ]
        batches.store(gateway, Batch(events=list(enumerate(events)), rejected=[]))


def _exported(user: User, form: str, kill_at: int = 0) -> tuple[Export, dict[str, float]]:
    from django.http import QueryDict
    from django.utils import timezone

    from accounts.exports import exporting

    export = exporting.ask(user, "usage", form, COLUMNS, QueryDict("range=all"), gzipped=False)
    command = [sys.executable, "-m", "tests.bench.exporting", "--run", str(export.pk)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if kill_at:
        while export.rows < kill_at and worker.poll() is None:
            sleep(0.02)
            export.refresh_from_db()
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        type(export).objects.filter(pk=export.pk).update(heard_at=timezone.now() - 2 * exporting.SILENCE)
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    told, _ = worker.communicate()
    export.refresh_from_db()
    return export, json.loads(told)


def _work(pk: str) -> None:
    from uuid import UUID

    from accounts.exports import exporting

    idle = _memory("VmRSS")
    exporting.run(UUID(pk))
    sys.stdout.write(json.dumps({"idle": idle, "peak": _memory("VmHWM")}))


def _memory(name: str) -> float:
    """Return a figure of this process from /proc, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def _compared(user: User, export: Export) -> str:
    """Compare every value of a file with the database's, in the same order."""
    from logs.models import Status, UsageRecord

    records = (
        UsageRecord.objects.filter(user=user)
        .order_by("-id")
        .values_list(
            "created_at",
            "request_id",
            "status",
            "model__name",
            "token__name",
            "input_tokens",
            "output_tokens",
            "cost",
        )
    )
    values = 0
    for told, held in zip(_read(export), records.iterator(10_000), strict=True):
        wanted = (held[0], held[1], Status(held[2]).name.lower(), *held[3:])
        if told != wanted:
            return f"DIFFERS: {told} is not {wanted}"
        values += len(wanted)
    return f"{values:,} values equal the database's"


def _read(export: Export) -> Iterator[tuple[Any, ...]]:
    if export.format == "csv":
        with export.path.open(newline="", encoding="utf-8-sig") as file:
            for row in list_after_heading(csv.reader(file)):
                yield (datetime.fromisoformat(row[0]), *row[1:5], int(row[5]), int(row[6]), Decimal(row[7]))
    elif export.format == "jsonl":
        with export.path.open() as file:
            for line in file:
                row = list(json.loads(line).values())
                yield (datetime.fromisoformat(row[0]), *row[1:7], Decimal(row[7]))
    elif export.format == "parquet":
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(export.path).iter_batches():
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
    else:
        yield from _read_excel(export)


def list_after_heading(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    next(rows)
    return rows


def _read_excel(export: Export) -> Iterator[tuple[Any, ...]]:
    import openpyxl

    book = openpyxl.load_workbook(export.path.open("rb"), read_only=True)
    for sheet in book:
        for row in sheet.iter_rows(min_row=2, values_only=True):
            moment = datetime.fromisoformat(f"{row[0].isoformat()}{row[1]}")
            # A cell's time is a float of days: openpyxl gives it to the millisecond.
            exact = moment.replace(microsecond=round(moment.microsecond, -3) % 1_000_000)
            yield (exact, *row[2:8], Decimal(str(row[8])))


def _say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
