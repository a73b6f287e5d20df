"""Filters that no rollup knows: what a page of them asks of the database, and sixteen such pages at once.

``python -m tests.bench.looking --rows 10000000`` measures these alone, and needs no more than our own table.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from statistics import quantiles
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.settings")

PEOPLE = 16


def rows() -> list[Any]:
    """Measure header, chart and list of the heavy user's newest records that meet a filter."""
    from django.db.models import Q

    from accounts.models import UserIdentity
    from logs.listing import own_records
    from logs.rollups import own_sums, traffic
    from logs.selection import lookback
    from logs.selection.chosen import Selection
    from routescope.data.keyset import Cursor
    from routescope.data.ranges import DAY, TimeRange
    from routescope.data.scopes import Scope
    from tests.bench.reading import END, PAGE, in_database, rare_model

    heavy = UserIdentity.objects.get(name="user1").user
    ends = END - timedelta(minutes=13)
    ranges = {
        "24 hours": TimeRange(ends - DAY, ends),
        "30 days": TimeRange(ends - 30 * DAY, ends),
        "all time": TimeRange(),
    }
    bounds = {
        "threshold (cost)": Q(cost__gte=1000),
        "stream": Q(stream=False),
        "endpoint": Q(endpoint__icontains="chat"),
    }
    selections = {
        f"{name}, {length}": Selection(chosen, bounds=bound)
        for name, bound in bounds.items()
        for length, chosen in ranges.items()
    }
    rare = rare_model(heavy)
    selections["threshold and a rare model, all time"] = Selection(
        models=(rare.pk,), bounds=bounds["threshold (cost)"]
    )
    selections["threshold that all meet, all time"] = Selection(bounds=Q(input_tokens__gte=0))
    works: dict[str, Callable[[Any], object]] = {
        "header": lambda looked: own_sums.totals(Scope.own(heavy), looked),
        "chart": lambda looked: traffic.traffic(Scope.own(heavy), looked, END),
        "list": lambda looked: own_records.listed(Scope.own(heavy), looked, Cursor(), PAGE),
    }
    found = []
    for said, selection in selections.items():
        found.append(
            in_database(f"{said}: which records", partial(lookback.newest, Scope.own(heavy), selection), 50)
        )
        looked = lookback.newest(Scope.own(heavy), selection)
        found += [in_database(f"{said}: {name}", partial(work, looked), 100) for name, work in works.items()]
    return found


def at_once(port: int, cookie: str, others: str, each: int = 4) -> list[Any]:
    """Let many people open a threshold over all time at once, and one more person open usual pages beside."""
    from tests.bench.serving import PATH, fetch
    from tests.bench.table import Row, within

    path = "/records/usage/?range=all&cost_min=1000"
    alone = within("threshold over all time, over HTTP", lambda: fetch(port, cookie, path), 500)
    times: dict[str, list[float]] = {"their": [], "other": []}
    failed: list[str] = []
    over = threading.Event()

    def timed(whose: str, cookie: str, path: str) -> None:
        started = time.perf_counter()
        try:
            fetch(port, cookie, path)
        except (OSError, RuntimeError) as error:
            failed.append(str(error))
        times[whose].append((time.perf_counter() - started) * 1000)

    def looker() -> None:
        for _ in range(each):
            timed("their", cookie, path)

    def other() -> None:
        while not over.is_set():
            timed("other", others, PATH)

    lookers = [threading.Thread(target=looker) for _ in range(PEOPLE)]
    beside = threading.Thread(target=other)
    for thread in (*lookers, beside):
        thread.start()
    for thread in lookers:
        thread.join()
    over.set()
    beside.join()
    told = f"{PEOPLE} thresholds over all time at once, {PEOPLE * each} pages, {len(failed)} errors"
    spread = quantiles(times["their"], n=20)
    slowest, other_slowest = max(times["their"]), max(times["other"])
    return [
        alone,
        Row(f"{told}: p50", None, spread[9], "ms", "no error", not failed),
        Row(f"{told}: slowest", None, slowest, "ms", "< 5,000 ms", slowest < 5000 and not failed),
        Row(
            "another's usual page beside: slowest",
            None,
            other_slowest,
            "ms",
            "< 5,000 ms",
            other_slowest < 5000,
        ),
    ]


def main() -> None:
    import django

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="records to build (default: 1,000,000)")
    count = parser.parse_args().rows
    django.setup()
    from django.core.management import call_command

    from routescope import embedded
    from tests.bench import fill, serving
    from tests.bench.__main__ import say
    from tests.bench.table import rendered

    with embedded.engines(durable=True):
        name = f"bench_{count}"
        fill.use_database(name)
        if not fill.has_ours(count):
            say(f"Storing {count:,} records in {name} through the ingest service ...")
            fill.fill_source(count)
            fill.fill_ours(count, say)
        call_command("collectstatic", interactive=False, verbosity=0)
        found = rows()
        with serving.served(name) as port:
            found += at_once(port, serving.session(), serving.session(serving.another()))
        print(rendered(found))  # noqa: T201


if __name__ == "__main__":
    main()
