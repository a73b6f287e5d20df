"""``make bench ROWS=1000000``: the same records twice on one PostgreSQL, every target a line of a table.

The databases stay under ``var/bench``: a later run with as many rows measures without filling again.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import UTC, datetime

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.settings")

import django

from routescope import embedded


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="records to build (default: 1,000,000)")
    rows = parser.parse_args().rows
    django.setup()
    with embedded.engines(durable=True):
        run(rows)


def run(rows: int) -> None:
    from django.core.management import call_command

    from tests.bench import fill, reading, serving, writing
    from tests.bench.table import Row, rendered

    small = f"bench_{min(rows, 10_000)}"
    for name, count in ((small, min(rows, 10_000)), (f"bench_{rows}", rows)):
        fill.use_database(name)
        if not fill.is_full(count):
            say(f"Building {count:,} records in {name}: the peer's table ...")
            fill.fill_peer(count)
            say("... and ours, through the ingest service ...")
            fill.fill_ours(count, say)
    large = f"bench_{rows}"
    say("Measuring what pages read ...")
    found = reading.rows(rows)
    found.append(reading.disk(rows))
    say("Measuring pages over HTTP ...")
    call_command("collectstatic", interactive=False, verbosity=0)
    with serving.served(large) as port:
        cookie = serving.session()
        page = serving.milliseconds(port, cookie)
        weight = len(serving.fetch(port, cookie, serving.PATH.replace("/usage/?", "/usage/results/?")))
        p50, p95, failed = serving.crowd(port, cookie)
        say("Measuring what comes in ...")
        found += writing.rows(port, rows)
    fill.use_database(small)
    with serving.served(small) as port:
        little = serving.milliseconds(port, serving.session())
    found += [
        Row(
            f"page over HTTP, against {small[6:]} records",
            little,
            page,
            "ms",
            "at most 1.5x",
            page <= 1.5 * little,
        ),
        Row("50 people at once: p50", None, p50, "ms", "no error", not failed),
        Row("50 people at once: p95", None, p95, "ms", "no error", not failed),
        Row("HTML of one swap, 50 rows", None, weight / 1024, "KB", "< 60 KB", weight < 60 * 1024),
    ]
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"\n{rows:,} records, {datetime.now(UTC):%Y-%m-%d}, {machine}\n")  # noqa: T201
    print(rendered(found))  # noqa: T201


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
