"""``make bench ROWS=1000000``: the same records twice on one PostgreSQL, every target a line of a table.

The databases stay under ``var/bench``: a later run with as many rows measures without filling again.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from contextlib import ExitStack
from datetime import UTC, datetime

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.settings")

import django

from routescope import embedded

LOAD = "bench_load"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="records to build (default: 1,000,000)")
    parser.add_argument(
        "--load-seconds", type=float, default=300, help="how long memory is watched (default: 300)"
    )
    chosen = parser.parse_args()
    django.setup()
    with embedded.engines(durable=True):
        run(chosen.rows, chosen.load_seconds)


def run(rows: int, load_seconds: float) -> None:
    from django.core.management import call_command

    from tests.bench import charting, fill, looking, reading, serving, writing
    from tests.bench.table import rendered

    call_command("collectstatic", interactive=False, verbosity=0)
    # The same page of less history: what it costs must not grow.
    sizes = sorted({min(rows, 10_000), max(rows // 10, 10_000), rows})
    names = {count: f"bench_{count}" for count in sizes}
    for count, name in names.items():
        fill.use_database(name)
        if not fill.has_peer(count):
            say(f"Building {count:,} records in {name}: the peer's table ...")
            fill.fill_peer(count)
        if not fill.has_ours(count):
            say(f"Storing {count:,} records in {name} through the ingest service ...")
            fill.fill_ours(count, say)
    say("Measuring what pages read ...")
    found = reading.rows(rows)
    found.append(reading.disk(rows))
    found += charting.rows()
    found += looking.rows()
    say("Measuring pages over HTTP ...")
    with ExitStack() as servers:
        ports = {count: servers.enter_context(serving.served(name)) for count, name in names.items()}
        cookies = {}
        for count, name in names.items():
            fill.use_database(name)
            cookies[count] = serving.session()
        found += serving.pages(ports, cookies)
        found += serving.admin_pages(ports[rows], serving.administrator(), reading.some_id())
        found += serving.everyones_pages(ports[rows], serving.administrator(), reading.busiest_model())
        found += serving.crowd(ports[rows], cookies[rows])
        found += looking.at_once(ports[rows], cookies[rows], serving.session(serving.another()))
        say("Measuring what comes in ...")
        found += writing.rows(ports[rows], rows)
    say(f"Watching memory for {load_seconds:g} s ...")
    fill.drop_database(LOAD)
    fill.use_database(LOAD)
    fill.fill_peer(20_000)
    fill.fill_ours(20_000, say)
    with serving.served(LOAD) as port:
        found.append(writing.memory(port, 20_000, load_seconds))
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"\n{rows:,} records, {datetime.now(UTC):%Y-%m-%d}, {machine}\n")  # noqa: T201
    print(rendered(found))  # noqa: T201
    fill.drop_database(LOAD)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
