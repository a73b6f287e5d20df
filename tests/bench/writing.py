"""How fast records go in, beside a bare COPY into the same indexed table."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import perf_counter

import msgspec
from django.db import connection

from accounts.models import Gateway, IngestKey
from logs import ingest
from logs.events import Batch, UsageEvent
from tests.bench.fill import BATCH, source_batches
from tests.bench.table import Row

ROUNDS = 40


def rows(port: int, count: int) -> list[Row]:
    """Measure bare COPY, the ingest service, and two clients over HTTP, in turns."""
    gateway = Gateway.objects.get(name="bench")
    key = IngestKey.issue(gateway, "bench")[1]
    some = list(source_batches(min(count, 4 * ROUNDS * BATCH)))
    batches = [_shifted(some[number % len(some)], number // len(some) * 10) for number in range(4 * ROUNDS)]
    bare = service = 0.0
    _bare_table()
    for number in range(ROUNDS):
        copied_rows = _copied_out(number)
        started = perf_counter()
        _bare_copy(copied_rows)
        bare += perf_counter() - started
        started = perf_counter()
        ingest.store(
            gateway, Batch(events=list(enumerate(_shifted(batches[ROUNDS + number], 2))), rejected=[])
        )
        service += perf_counter() - started
    bodies = [_body(_shifted(events, 3)) for events in batches[2 * ROUNDS :]]
    started = perf_counter()
    with ThreadPoolExecutor(2) as clients:
        for done in [clients.submit(_send, port, key, bodies[half::2]) for half in (0, 1)]:
            done.result()
    http = perf_counter() - started
    copied = ROUNDS * BATCH / bare
    stored, sent = ROUNDS * BATCH / service, len(bodies) * BATCH / http
    return [
        Row(
            "ingest service, one process", copied, stored, "records/s", "0.5x of COPY", stored >= 0.5 * copied
        ),
        Row(
            "POST /api/v1/usage, two clients",
            copied,
            sent,
            "records/s",
            "0.25x of COPY",
            sent >= 0.25 * copied,
        ),
    ]


def _bare_table() -> None:
    """Make an empty month of records like the others, with the same indexes, for COPY alone."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_copy")
        cursor.execute("CREATE TABLE bench_copy (LIKE usage_record INCLUDING ALL)")


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


def _shifted(events: Sequence[UsageEvent], seconds: int) -> list[UsageEvent]:
    """Return the same records a little later: new ones, of the same shape and names."""
    moved = timedelta(seconds=seconds)
    return [msgspec.structs.replace(event, created_at=event.created_at + moved) for event in events]


def _body(events: Sequence[UsageEvent]) -> bytes:
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


def _send(port: int, key: str, bodies: Sequence[bytes]) -> None:
    for body in bodies:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/usage", body, {"Authorization": f"Bearer {key}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            outcome = json.load(answer)
        if outcome["rejected"]:
            raise RuntimeError(f"The console refused a record: {outcome['rejected'][0]}")
