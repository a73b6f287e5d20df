"""``python -m tests.bench.sorting --rows 1000000``: sorted lists of one person with 72% of a month's calls.

Also measures how long the bounds of sums take to be read that have none. The records stay: a later run with
as many rows measures without filling again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.settings")

if TYPE_CHECKING:
    from logs.models.events import UsageEvent

SHARE = 0.72
EMAIL = "sorted@bench.example"


def events(rows: int) -> Iterator[list[UsageEvent]]:
    """Yield batches of a month's calls in the order of time, priced and lasting as calls do: few are long."""
    from logs.models import Status
    from logs.models.events import UsageEvent
    from routescope.data.ranges import DAY
    from tests.bench.fill import BATCH
    from tests.bench.reading import END

    random = Random(1)
    step = timedelta(days=30) / rows
    for first in range(0, rows, BATCH):
        batch = []
        for number in range(first, min(first + BATCH, rows)):
            is_heavy = random.random() < SHARE
            model = int(random.expovariate(0.5)) % 12
            tokens = int(random.lognormvariate(7, 1.2))
            batch.append(
                UsageEvent(
                    request_id=f"req_{number:032x}",
                    created_at=END - 30 * DAY + number * step,
                    user=EMAIL if is_heavy else f"user{random.randrange(40)}@bench.example",
                    token=f"token-{random.randrange(5)}",
                    model=f"model-{model}",
                    group=f"group-{random.randrange(2)}",
                    status=Status.ERROR if random.random() < 0.03 else Status.SUCCESS,
                    duration_ms=int(random.lognormvariate(8, 1)),
                    input_tokens=tokens,
                    output_tokens=int(random.lognormvariate(5, 1)),
                    stream=random.random() < 0.5,
                    cost=Decimal(tokens * (model + 1)).scaleb(-6),
                )
            )
        yield batch


def rows() -> list[Any]:
    """Measure pages of the person's month against reading all of it, and against bounds in milliseconds."""
    from django.db.models import Q

    from accounts.models import AIModel, User
    from logs.listing import largest_records
    from logs.selection.chosen import Selection
    from logs.selection.largest import Sort
    from routescope.data.keyset import Cursor
    from routescope.data.scopes import Scope
    from tests.bench.reading import MONTH, in_database
    from tests.bench.table import Row, faster

    user = User.objects.get(email=EMAIL)
    mine = Scope.own(user)
    model = AIModel.objects.get(name="model-3")
    selections = {
        "30 days": Selection(MONTH),
        "all time": Selection(),
        "30 days, one model": Selection(MONTH, models=(model.pk,)),
        "30 days, streamed": Selection(MONTH, bounds=Q(stream=True)),
    }
    found: list[Row] = []
    for sort in Sort:
        for said, selection in selections.items():
            work = partial(largest_records.listed, mine, selection, sort, Cursor(), 50)
            found.append(in_database(f"sorted by {sort.value}, {said}", work, 50))
    for depth in (500, 950):
        page = largest_records.listed(mine, Selection(MONTH), Sort.COST, Cursor(), depth)
        work = partial(largest_records.listed, mine, Selection(MONTH), Sort.COST, page.onward, 50)
        found.append(in_database(f"sorted by cost, {depth} records down", work, 500))
    found.append(
        faster(
            "the dearest 50 of 30 days, against ORDER BY cost",
            _all_of_it(user.pk),
            partial(largest_records.listed, mine, Selection(MONTH), Sort.COST, Cursor(), 50),
            5,
            3,
        )
    )
    return [*found, _filling()]


def _all_of_it(user_id: int) -> Callable[[], object]:
    from django.db import connection

    from routescope.data.ids import first_id
    from tests.bench.reading import MONTH

    def work() -> None:
        assert MONTH.start and MONTH.end
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM usage_record WHERE user_id = %s AND id >= %s AND id < %s AND cost IS NOT NULL"
                " ORDER BY cost DESC, id DESC LIMIT 50",
                [user_id, first_id(MONTH.start), first_id(MONTH.end)],
            )
            cursor.fetchall()

    return work


def _filling() -> Any:
    """Read all bounds anew, as after an update; they are the same then."""
    from django.db import connection

    from logs.rollups import bounds
    from tests.bench.table import Row

    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO usage_unbounded_day SELECT DISTINCT start FROM usage_total_day_folded")
    started = perf_counter()
    days = bounds.fill(timedelta(hours=1))
    each = (perf_counter() - started) * 1000 / days
    return Row(f"bounds of {days} days without any, each", None, each, "ms", "< 2,000 ms", each < 2000)


def main() -> None:
    import django

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="records to build (default: 1,000,000)")
    count = parser.parse_args().rows
    django.setup()
    from routescope import embedded
    from tests.bench import fill
    from tests.bench.__main__ import say
    from tests.bench.table import rendered

    with embedded.engines(durable=True):
        fill.use_database(f"bench_sorted_{count}")
        if not fill.has_ours(count):
            say(f"Storing {count:,} records through the ingest service ...")
            fill.store(events(count), say)
        print(rendered(rows()))  # noqa: T201


if __name__ == "__main__":
    main()
