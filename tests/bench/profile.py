"""``python -m tests.bench.profile --rows 1000000``: where the time of the page and of ingest goes.

Reads the databases that ``make bench`` has built.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
from collections.abc import Callable
from time import perf_counter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.settings")

import django

from routescope import embedded

TURNS = 30
Part = tuple[str, str, str]

PAGE: tuple[Part, ...] = (
    ("waiting for PostgreSQL", "psycopg/connection.py", "wait"),
    ("templates", "django/shortcuts.py", "render"),
    ("of these, the rows", "logs/listing/table.py", "rows_of"),
    ("chart: paths and labels", "logs/usage/chart_paths.py", "bars"),
    ("filters: reading the query string", "logs/filters/usage_filter.py", "__init__"),
    ("header", "logs/rollups/own_sums.py", "totals"),
    ("list", "logs/listing/own_records.py", "listed"),
    ("RPM and TPM", "logs/rollups/traffic.py", "traffic"),
)
INGEST: tuple[Part, ...] = (
    ("waiting for PostgreSQL", "psycopg/connection.py", "wait"),
    ("decoding the body", "logs/ingest/formats/native.py", "decode"),
    ("resolving names", "accounts/identities/resolving.py", "resolve"),
    ("privacy", "logs/content/policy.py", "apply"),
    ("values of the records", "logs/ingest/batches.py", "_row"),
    ("copying the records", "logs/ingest/batches.py", "_copy"),
    ("appending to the sums", "logs/rollups/pending.py", "append"),
    ("folding into the rollups", "logs/rollups/pending.py", "fold"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    django.setup()
    with embedded.engines(durable=True):
        _page(rows)
        _ingest(rows)


def _page(rows: int) -> None:
    from django.conf import settings
    from django.test import Client

    from accounts.models import UserIdentity
    from tests.bench import fill, serving

    settings.ALLOWED_HOSTS = ["testserver"]
    fill.use_database(f"bench_{rows}")
    person = UserIdentity.objects.get(name="user1").user
    person.is_active = True
    person.save()
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    path = serving.PATH.replace("/usage/?", "/usage/results/?")

    def turn(_: int) -> None:
        if client.get(path, headers={"hx-request": "true"}).status_code != 200:
            raise RuntimeError("The page was refused.")

    _told(f"A swap of the heavy user's month at {rows:,} records", turn, PAGE, "ms", 1_000)


def _ingest(rows: int) -> None:
    from accounts.models import Gateway
    from logs.ingest import batches
    from logs.ingest.formats import native
    from tests.bench import fill, writing

    fill.use_database(f"bench_{rows}")
    gateway = Gateway.objects.get(name="bench")
    bodies = [writing.body(writing.later(events, 7_000)) for events in writing.behind(rows, TURNS + 5)]

    def turn(number: int) -> None:
        batches.store(
            gateway, native.decode(bodies[number % len(bodies)].replace(b'"req_', b'"r%d_' % number))
        )

    with writing.taken_out_again():
        _told("A batch of 1,000 records", turn, INGEST, "µs a record", 1_000)


def _told(what: str, turn: Callable[[int], None], parts: tuple[Part, ...], unit: str, scale: float) -> None:
    for number in range(5):
        turn(number)
    started = perf_counter()
    for number in range(5, TURNS):
        turn(number)
    plain = (perf_counter() - started) / (TURNS - 5)
    profile = cProfile.Profile()
    profile.enable()
    for number in range(TURNS, 2 * TURNS):
        turn(number)
    profile.disable()
    found = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    whole = sum(own for _, _, own, _, _ in found.values())
    print(f"\n{what}: {plain * scale:.1f} {unit}. Of this, under the profiler:\n")  # noqa: T201
    for name, file, function in parts:
        share = sum(
            total
            for (path, _, called), (_, _, _, total, _) in found.items()
            if path.endswith(file) and called == function
        )
        print(f"- {name}: {100 * share / whole:.0f}%")  # noqa: T201


if __name__ == "__main__":
    main()
