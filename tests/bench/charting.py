"""What the chart, percentiles, sessions and tags ask of the database, for the heavy user's month."""

from __future__ import annotations

from functools import partial

from django.db import connection

from accounts.models import User, UserIdentity
from logs.listing import own_records
from logs.models.marks import TAGS, digest_of
from logs.rollups import own_sums, percentiles, series, traffic
from logs.rollups.session_sums import by_session
from logs.rollups.sketches import Measure
from logs.selection import lookback
from logs.selection.chosen import Selection
from routescope.data.keyset import Cursor
from routescope.data.scopes import Scope
from tests.bench.reading import END, MONTH, in_database
from tests.bench.table import Row, Work

RARE = "rare"
_ONE_IN = 20_000


def rows() -> list[Row]:
    """Measure each metric of the chart and each percentile, unfiltered and under a model and a token."""
    heavy = UserIdentity.objects.get(name="user1").user
    scope = Scope.own(heavy)
    found: list[Row] = []
    for name, selection in _selections(heavy).items():
        found += _charts(scope, selection, name)
        found.append(
            in_database(
                f"p50, p95, p99 of duration and first token, 30 days heavy user{name}",
                partial(percentiles.overall, scope, selection),
                30,
            )
        )
    found.append(
        in_database(
            "sessions, 30 days heavy user",
            lambda: by_session(scope, lookback.newest(scope, Selection(MONTH, is_by_record=True))),
            50,
        )
    )
    return [*found, _rare_tag(heavy)]


def _selections(user: User) -> dict[str, Selection]:
    record = own_records.page(Scope.own(user), Selection(MONTH), Cursor(), 1).rows[0]
    if record.model_id is None or record.token_id is None:
        raise RuntimeError("The bench's records have a model and a token each.")
    return {
        "": Selection(MONTH),
        ", one model": Selection(MONTH, models=(record.model_id,)),
        ", one token": Selection(MONTH, tokens=(record.token_id,)),
    }


def _charts(scope: Scope, selection: Selection, name: str) -> list[Row]:
    step = series.step_of_lines(MONTH)
    first = traffic.origin(MONTH, step)
    works: dict[str, Work] = {
        "requests, tokens, peaks": partial(traffic.traffic, scope, selection, END, None, series.step_of),
        "cost": partial(series.series, scope, selection, MONTH, has_cost=True),
        "cost by model": partial(series.series, scope, selection, MONTH, "model_id", has_cost=True),
    }
    for measure in Measure:
        works[measure.name.lower()] = partial(percentiles.over_time, scope, selection, measure, step, first)
    return [
        in_database(f"chart of {metric}, 30 days heavy user{name}", work, 30)
        for metric, work in works.items()
    ]


def _rare_tag(user: User) -> Row:
    """Mark one record in so many with a tag, once, and measure the page that asks for it."""
    mark = digest_of(TAGS, RARE)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM usage_mark WHERE user_id = %s AND digest = %s)", [user.pk, mark]
        )
        if cursor.fetchone() == (False,):
            cursor.execute(
                "INSERT INTO usage_mark (digest, user_id, id) SELECT %s, user_id, id FROM usage_record"
                " WHERE user_id = %s AND abs(hashtext(id::text)) %% %s = 0",
                [mark, user.pk, _ONE_IN],
            )
            cursor.execute("ANALYZE usage_mark")
    scope = Scope.own(user)

    def page() -> None:
        selection = lookback.newest(scope, Selection(MONTH, marks=((mark,),)))
        own_sums.totals(scope, selection)
        own_records.listed(scope, selection, Cursor(), 50)

    return in_database("header and list of a rare tag, 30 days heavy user", page, 50)
