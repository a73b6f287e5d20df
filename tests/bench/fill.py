"""The same records twice on one PostgreSQL: the peer's table, and ours through the ingest service."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from time import perf_counter

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.models import Sum

from accounts.models import Gateway
from logs.ingest import batches
from logs.maintenance import compaction
from logs.models import Status, UsageTotalDay
from logs.models.events import Batch, Failure, UsageEvent
from logs.rollups import busy_hours, latencies, pending
from routescope.embedded import programs

BATCH = 1_000
_AHEAD = 4
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
QUOTA = Decimal(500_000)
"""The peer's money: so many units are one USD."""

SHARED = Path(settings.BASE_DIR).parent / "shared" / "bench" / "peer_newapi.sql"
OWN = Path(__file__).parent / "peer.sql"


def use_database(name: str) -> None:
    """Point Django at a database of the engine, made if missing."""
    connection.close()
    connection.settings_dict["NAME"] = "routescope"
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if cursor.fetchone() is None:
            cursor.execute(f'CREATE DATABASE "{name}"')
    connection.close()
    connection.settings_dict["NAME"] = name
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)


def drop_database(name: str) -> None:
    """Drop a database of the engine, and leave Django at none of the bench's."""
    connection.close()
    connection.settings_dict["NAME"] = "routescope"
    with connection.cursor() as cursor:
        # Not by force: that ends only our own sessions, and this waits for autovacuum's.
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
    connection.close()


def has_peer(rows: int) -> bool:
    """Return whether the peer's table is complete: its statistics are made last."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = to_regclass('peer_newapi.logs')")
        found = cursor.fetchone()
    return found is not None and found[0] >= rows * 0.95


def has_ours(rows: int) -> bool:
    """Return whether so many records are stored. A build that was broken off goes on: they are known."""
    return (UsageTotalDay.objects.aggregate(Sum("records"))["records__sum"] or 0) >= rows


def fill_peer(rows: int) -> None:
    """Build the peer's schema, by its own definition where that file is at hand."""
    if SHARED.is_file() and (psql := _psql()):
        parameters = connection.get_connection_params()
        command = [psql, "--quiet", "--no-psqlrc", "--set", f"rows={rows}", "--file", str(SHARED)]
        target = ["--host", parameters["host"], "--username", parameters["user"], str(parameters["dbname"])]
        subprocess.run([*command, *target], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return
    with connection.cursor() as cursor:
        cursor.execute(OWN.read_text().format(rows=rows))
        cursor.execute("VACUUM ANALYZE peer_newapi.logs")


def fill_source(rows: int) -> None:
    """Build the records to be stored alone, without the peer's table, where none of the two is there."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('peer_newapi.source')")
        if cursor.fetchone() == (None,):
            cursor.execute(OWN.read_text().format(rows=rows).split("CREATE TABLE peer_newapi.logs")[0])


def _psql() -> str | None:
    folder = programs.psql_folder()
    return str(folder / "psql") if folder else None


def fill_ours(rows: int, report: Callable[[str], None]) -> None:
    """Store the peer's source through the ingest service, batch by batch."""
    store(source_batches(rows), report)


def store(source: Iterable[list[UsageEvent]], report: Callable[[str], None]) -> None:
    """Store batches through the ingest service, and do what the jobs do for a month that is over."""
    gateway, _ = Gateway.objects.get_or_create(name="bench")
    started = perf_counter()

    def put(events: list[UsageEvent]) -> None:
        batches.store(gateway, Batch(events=list(enumerate(events)), rejected=[]))

    with ThreadPoolExecutor(2, initializer=connection.ensure_connection) as threads:
        waiting: deque[Future[None]] = deque()
        for number, events in enumerate(source, 1):
            waiting.append(threads.submit(put, events))
            if len(waiting) == _AHEAD:
                waiting.popleft().result()
            if number % 500 == 0:
                report(f"  {number * BATCH:,} records, {number * BATCH / (perf_counter() - started):,.0f}/s")
        for done in waiting:
            done.result()
        disconnect(threads)
    # What the console's own jobs do every few minutes, and for a month that is over.
    pending.fold()
    busy_hours.count(everything=True)
    latencies.count(timedelta(hours=6), everything=True)
    compaction.compact()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def disconnect(threads: ThreadPoolExecutor) -> None:
    """Close the connections of a pool's two threads."""
    both = Barrier(2)

    def leave(_: int) -> None:
        both.wait()
        connection.close()

    list(threads.map(leave, range(2)))


def source_batches(rows: int) -> Iterator[list[UsageEvent]]:
    """Read the source in order, in bounded memory: a batch is a range of its number."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX IF NOT EXISTS source_n ON peer_newapi.source (n)")
        for first in range(1, rows + 1, BATCH):
            cursor.execute(
                "SELECT user_id, ts, token_id, model_id, group_id, failed, input_tokens, output_tokens,"
                " duration_ms, request_id FROM peer_newapi.source WHERE n >= %s AND n < %s ORDER BY n",
                [first, first + BATCH],
            )
            yield [_event(*row) for row in cursor.fetchall()]


def _event(
    user: int,
    ts: Decimal,
    token: int,
    model: int,
    group: int,
    failed: bool,
    tokens_in: int,
    tokens_out: int,
    duration: int,
    request_id: str,
) -> UsageEvent:
    return UsageEvent(
        request_id=request_id,
        created_at=EPOCH + timedelta(microseconds=int(ts * 1_000_000)),
        status=Status.ERROR if failed else Status.SUCCESS,
        error=Failure(type="server_error") if failed else None,
        user=f"user{user}",
        token=f"token-{token}",
        model=f"model-{model}",
        group=f"group{group}",
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        duration_ms=duration,
        stream=True,
        cost=Decimal(0) if failed else (tokens_in + tokens_out * 4) / QUOTA,
        billing={"model_ratio": "1.25", "group_ratio": "1", "completion_ratio": "4"},
        channel="3",
        ttft_ms=1234,
    )
