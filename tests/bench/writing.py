"""How fast records go in, beside a bare COPY into a table with the same indexes.

What is written lies behind all other records, in months of its own, and is taken out again: a second run
finds what the first one found.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Self

import msgspec
from django.conf import settings
from django.db import connection

from accounts.models import Gateway, IngestKey
from logs.ingest.batches import store
from logs.ingest.rows import TABLE
from logs.maintenance.retention import SUMS
from logs.models.events import Batch, UsageEvent
from logs.rollups import pending
from routescope.data import partitions
from tests.bench import serving
from tests.bench.fill import BATCH, disconnect, source_batches
from tests.bench.reading import DAYS, FIRST
from tests.bench.table import Row

ROUNDS = 5
EACH = 20
"""Batches that a sender sends in a round: enough for what they add to the sums to be folded meanwhile."""
_BEHIND = DAYS + 31
Events = Sequence[UsageEvent]


def rows(port: int, count: int) -> list[Row]:
    """Measure in turns: the ingest service, bare COPY, the service from two threads, and two HTTP clients."""
    gateway = Gateway.objects.get(name="bench")
    key = IngestKey.issue(gateway, "bench")[1]
    batches = behind(count, ROUNDS * EACH)
    bare, one, two, sent = _Rate(), _Rate(), _Rate(), _Rate()
    with (
        taken_out_again(),
        _Client(port, key) as one_client,
        _Client(port, key) as another,
        ThreadPoolExecutor(2, initializer=connection.ensure_connection) as threads,
    ):
        clients = (one_client, another)
        for first in range(0, len(batches), EACH):
            turn = batches[first : first + EACH]
            alone = [later(events, 1_000) for events in turn]
            with one.of(EACH):
                for events in alone:
                    _put(gateway, events)
            copied = [_copied_out(number) for number in range(first, first + EACH)]
            with bare.of(EACH):
                for parts in copied:
                    _bare_copy(parts)
            both = [later(events, shift) for events in turn for shift in (2_000, 3_000)]
            with two.of(2 * EACH):
                for done in [threads.submit(_put, gateway, events) for events in both]:
                    done.result()
            for shift, client in zip((4_000, 5_000), clients, strict=True):
                client.load([body(later(events, shift)) for events in turn])
            with sent.of(2 * EACH):
                for client in clients:
                    client.go()
                for client in clients:
                    client.expect("done")
        disconnect(threads)
    found = {
        "ingest service, one process, one thread": (one.median, 0.5),
        "ingest service, one process, two threads": (two.median, 0.5),
        "POST /api/v1/usage, two clients": (sent.median, 0.25),
    }
    return [
        Row(work, bare.median, rate, "records/s", f"{share:g}x of COPY", rate >= share * bare.median)
        for work, (rate, share) in found.items()
    ]


class _Client:
    """A client that sends over HTTP from a process of its own: two of them share no interpreter."""

    def __init__(self, port: int, key: str) -> None:
        self._command = [sys.executable, "-m", "tests.bench.client", str(port), key]

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory()
        self._process = subprocess.Popen(
            self._command, cwd=settings.BASE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def load(self, bodies: Sequence[bytes]) -> None:
        paths = [Path(self._folder.name) / str(number) for number in range(len(bodies))]
        for path, content in zip(paths, bodies, strict=True):
            path.write_bytes(content)
        self._tell(" ".join(map(str, paths)))
        self.expect("ready")

    def go(self) -> None:
        self._tell("")

    def expect(self, word: str) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != f"{word}\n":
            raise RuntimeError("A client stopped; what it said stands above.")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


class _Rate:
    """Records a second, round by round."""

    def __init__(self) -> None:
        self._rates: list[float] = []

    @contextmanager
    def of(self, batches: int) -> Iterator[None]:
        started = perf_counter()
        yield
        self._rates.append(batches * BATCH / (perf_counter() - started))

    @property
    def median(self) -> float:
        return median(self._rates)


def behind(rows: int, count: int) -> list[list[UsageEvent]]:
    """Return so many batches of records like those of the source, of months that it does not reach."""
    # The last record of the data is of the moment at which the month after it begins.
    batches = [_days_later(events, _BEHIND) for events in source_batches(min(rows, count * BATCH))]
    return [later(events, number) for number, events in zip(range(count), cycle(batches), strict=False)]


def memory(port: int, rows: int, seconds: float) -> Row:
    """Send as two clients do for so long, and tell by how much the web processes grew after a minute."""
    gateway = Gateway.objects.get(name="bench")
    key = IngestKey.issue(gateway, "memory")[1]
    bodies = [body(events) for events in source_batches(min(rows, 20 * BATCH))]
    cookie = serving.session()
    end = perf_counter() + seconds
    sizes: list[float] = []

    def send(number: int) -> None:
        for turn, body in enumerate(cycle(bodies)):
            if perf_counter() > end:
                return
            # Another ID for every record of every turn: none is a duplicate.
            _send(port, key, body.replace(b'"req_', b'"req_%d_%d_' % (number, turn)))
            if turn % 20 == 0:
                serving.fetch(port, cookie, serving.PATH)

    with ThreadPoolExecutor(2) as clients:
        sending = [clients.submit(send, number) for number in (0, 1)]
        started = perf_counter()
        while perf_counter() < end:
            time.sleep(1)
            if perf_counter() - started > min(60, seconds / 2):
                sizes.append(serving.largest_megabytes(port))
        for done in sending:
            done.result()
    grown = max(sizes) - sizes[0]
    return Row(
        f"a web process under that load for {seconds / 60:g} minutes: growth after the first",
        None,
        grown,
        "MB",
        "< 20 MB",
        grown < 20,
    )


@contextmanager
def taken_out_again() -> Iterator[None]:
    """Take out what is stored meanwhile of the months that the source does not reach."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_copy")
        cursor.execute("CREATE TABLE bench_copy (LIKE usage_record INCLUDING ALL)")
        # Its vacuum would run while the others are measured.
        cursor.execute("ALTER TABLE bench_copy SET (autovacuum_enabled = off)")
        try:
            yield
        finally:
            pending.fold()
            cursor.execute("DROP TABLE bench_copy")
            behind = FIRST + timedelta(days=_BEHIND)
            for partition in partitions.existing(TABLE):
                if partition.period.start >= behind:
                    partitions.drop(TABLE, partition, lambda: None)
            for table in (*SUMS, "usage_traffic_hour"):
                cursor.execute(f"DELETE FROM {table} WHERE start >= %s", [behind])


def _put(gateway: Gateway, events: Events) -> None:
    store(gateway, Batch(events=list(enumerate(events)), rejected=[]))


def _copied_out(number: int) -> list[bytes]:
    """Return a thousand stored records as COPY's own binary."""
    with connection.cursor() as cursor:
        rows = f"SELECT * FROM usage_record ORDER BY created_at OFFSET {number * BATCH} LIMIT {BATCH}"
        with cursor.copy(f"COPY ({rows}) TO STDOUT (FORMAT BINARY)") as copy:
            return [bytes(part) for part in copy]


def _bare_copy(parts: Sequence[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY bench_copy FROM STDIN (FORMAT BINARY)") as copy:
        for part in parts:
            copy.write(part)


def _days_later(events: Events, days: int) -> list[UsageEvent]:
    moved = timedelta(days=days)
    return [msgspec.structs.replace(event, created_at=event.created_at + moved) for event in events]


def later(events: Events, milliseconds: int) -> list[UsageEvent]:
    """Return the same records a little later: new ones, of the same shape and names."""
    moved = timedelta(milliseconds=milliseconds)
    return [msgspec.structs.replace(event, created_at=event.created_at + moved) for event in events]


def body(events: Events) -> bytes:
    """Return records as NDJSON of the native format."""
    lines = []
    for event in events:
        fields = {
            name: value
            for name, value in msgspec.structs.asdict(event).items()
            if value not in (None, "", {})
        }
        fields |= {
            "created_at": event.created_at.isoformat(),
            "type": "request",
            "status": event.status.name.lower(),
            "cost": str(event.cost),
        }
        fields.pop("error", None)
        lines.append(json.dumps(fields, default=str))
    return "\n".join(lines).encode()


def _send(port: int, key: str, body: bytes) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/usage", body, {"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        outcome = json.load(answer)
    if outcome["rejected"] or outcome["duplicates"]:
        raise RuntimeError(f"Not every record was taken in: {outcome}")
