"""The chart's bars add up to the header, and are what plain Python counts, in each metric and stack."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import cycle, islice, product

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from accounts.models import Gateway, Membership, Team, User
from logs.filters.asked import usage_filter
from logs.filters.usage_filter import UsageFilter
from logs.listing import own_records
from logs.models import REQUEST_TYPES, UsageRecord
from logs.rollups import own_sums, pending, series, traffic
from logs.selection import lookback
from logs.usage.chart import Chart
from logs.usage.charting import chart_of
from routescope.data.keyset import Cursor
from routescope.data.ranges import DAY, HOUR, MINUTE
from routescope.data.scopes import Viewer
from tests.cast import NOON, store
from tests.test_agreement import GROUPS, MODELS, SPAN, TOKENS, World, world
from tests.test_everyones_pages import PEOPLE, calls

__all__ = ["world"]

METRICS = ("requests", "tokens", "cost")
STACKS = ("", "model", "token", "group")
LENGTHS = st.sampled_from(
    [timedelta(minutes=7), HOUR, 5 * HOUR, DAY, 2 * DAY, 2 * DAY + MINUTE, SPAN, 70 * DAY]
)


def charted(person: User, query: str) -> tuple[UsageFilter, own_sums.Totals, Chart]:
    filters = usage_filter(Viewer.of(person), QueryDict(query))
    selection = lookback.newest(filters.scope, filters.selection)
    totals = own_sums.totals(filters.scope, selection)
    return filters, totals, chart_of(filters, selection, totals)


def amount(metric: str, row: UsageRecord) -> Decimal | int:
    if metric == "requests":
        return int(row.type in REQUEST_TYPES)
    return row.input_tokens + row.output_tokens if metric == "tokens" else row.cost or Decimal(0)


def query_of(start: datetime, length: timedelta, **chosen: object) -> str:
    query = QueryDict(mutable=True)
    query["start"], query["end"] = start.isoformat(), (start + length).isoformat()
    for name, values in chosen.items():
        query.setlist(name, list(values) if isinstance(values, (set, list)) else [str(values)])
    return query.urlencode()


def agree(person: User, query: str, metric: str, stack: str) -> Chart:
    """Hold a chart against the header and against its records one by one."""
    filters, totals, chart = charted(person, f"{query}&chart={metric}&stack={stack}")
    layers = chart.plotted.layers
    whole = {
        "requests": totals.requests,
        "tokens": totals.input_tokens + totals.output_tokens,
        "cost": totals.cost,
    }[metric]
    assert sum((layer.total for layer in layers), start=Decimal(0)) == whole
    rows = own_records.page(
        filters.scope, lookback.newest(filters.scope, filters.selection), Cursor(), 5000
    ).rows
    expected: dict[int, Decimal] = defaultdict(Decimal)
    for row in rows:
        expected[chart.grid.index(row.created_at)] += amount(metric, row)
    drawn: dict[int, Decimal] = defaultdict(Decimal)
    for layer in layers:
        for index, value in layer.values.items():
            drawn[index] += value
    assert {k: v for k, v in drawn.items() if v} == {k: v for k, v in expected.items() if v}
    if metric == "requests" and not stack:
        by_look = {layer.look: layer.total for layer in layers}
        assert by_look.get("limited", 0) + by_look.get("error", 0) == totals.errors
        assert by_look.get("success", 0) == totals.requests - totals.errors
    if stack:
        names = {"": Decimal(0)}
        for row in rows:
            named = getattr(row, f"{stack}_id") and getattr(row, stack).name
            names[named or ""] = names.get(named or "", Decimal(0)) + amount(metric, row)
        for layer in layers:
            if not layer.label.startswith("Other ("):
                assert layer.total == names["" if layer.label.startswith("Without") else layer.label]
        largest = sorted(names.values(), reverse=True)[:1]
        assert not layers or layers[0].total == largest[0] or not largest[0]
    return chart


anything = examples(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["as it is", "much"])
def bounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a range holds more records than may be read, its bars are hours."""
    if request.param == "much":
        monkeypatch.setattr(traffic, "MOST_COUNTED", 40)
        monkeypatch.setattr(traffic, "MOST_OF_MANY", 20)
        monkeypatch.setattr(series, "MOST_OF_USERS", 60)


@anything
@pytest.mark.usefixtures("bounds")
@given(
    start=st.integers(-3000, 6000).map(lambda minutes: NOON + timedelta(minutes=minutes)),
    length=LENGTHS,
    tokens=st.sets(st.sampled_from(TOKENS), max_size=2),
    models=st.sets(st.sampled_from(MODELS), max_size=2),
    groups=st.sets(st.sampled_from(GROUPS), max_size=1),
    status=st.sets(st.sampled_from(["success", "error"]), max_size=1),
    kinds=st.sets(st.sampled_from(["request", "refund", "adjustment"]), max_size=2),
    bound=st.sampled_from(["", "", "", "0.0005"]),
    metric=st.sampled_from(METRICS),
    stack=st.sampled_from(STACKS),
)
def test_bars_add_up_to_the_header_under_any_filters(
    world: World,
    start: datetime,
    length: timedelta,
    tokens: set[str],
    models: set[str],
    groups: set[str],
    status: set[str],
    kinds: set[str],
    bound: str,
    metric: str,
    stack: str,
) -> None:
    chosen: dict[str, object] = {
        "token": tokens,
        "model": models,
        "group": groups,
        "status": status,
        "type": kinds,
    }
    if bound:
        chosen["cost_min"] = bound
    agree(world.alice, query_of(start, length, **chosen), metric, stack)


@pytest.mark.usefixtures("bounds")
@pytest.mark.parametrize("folded", [False, True])
def test_bars_of_everybody_and_of_a_team_add_up_too(admin: User, gateway: Gateway, folded: bool) -> None:
    store(gateway, *calls(5, 500))
    if folded:
        pending.fold()
    lead = User.objects.create_user("lead@example.com", "a long password")
    team = Team.objects.create(name="Search")
    team.leads.add(lead)
    for number, person in enumerate(User.objects.filter(email__in=PEOPLE).order_by("pk")):
        came = NOON + timedelta(minutes=37 * number, seconds=11) if number % 2 else NOON - 30 * DAY
        Membership.objects.create(team=team, user=person, since=came)
    asked = product(
        (("everyone", admin), (f"team:{team.pk}", lead)),
        ((NOON - HOUR, 26 * HOUR), (NOON - 3 * DAY + 7 * MINUTE, 6 * DAY)),
        ({}, {"model": "rare"}, {"token": "ci", "status": "error"}, {"cost_min": "0.4"}),
    )
    pairs = cycle(product(METRICS, STACKS))
    for (whose, person), (start, length), narrowed in asked:
        # Five and twelve have nothing in common: each meets each in time.
        for metric, stack in islice(pairs, 5):
            agree(person, query_of(start, length, of=whose, **narrowed), metric, stack)


def test_all_of_time_is_drawn_from_the_first_record_on(world: World) -> None:
    for metric in METRICS:
        for stack in STACKS:
            chart = agree(world.alice, "range=all", metric, stack)
            assert chart.before is None
            assert not chart.plotted.ghost


def test_the_period_before_is_as_long_and_ends_where_the_range_begins(world: World) -> None:
    """Its bars lie over those of the range, and add up to its own sums."""
    for start, length in (
        (NOON + DAY, DAY),
        (NOON + DAY + 7 * MINUTE, 3 * HOUR),
        (NOON + 2 * DAY, 2 * DAY + HOUR),
    ):
        for metric in METRICS:
            _filters, totals, chart = charted(
                world.alice, query_of(start, length, chart=metric, stack="model")
            )
            before = chart.before
            assert before is not None
            assert (before.chosen.start, before.chosen.end) == (start - length, start)
            _, there, shifted = charted(world.alice, query_of(start - length, length, chart=metric))
            assert before.totals == there != totals
            ghost = chart.plotted.ghost
            assert sum(ghost.values()) == sum(layer.total for layer in shifted.plotted.layers)
            if not length % chart.grid.step:
                assert ghost == shifted.plotted.layers[0].values or metric == "requests"
            assert all(0 <= index < chart.grid.count for index in ghost)


def test_nothing_is_compared_with_what_is_not_known(world: World, settings: Settings) -> None:
    assert charted(world.alice, query_of(NOON + DAY, DAY))[2].before
    assert charted(world.alice, query_of(NOON - DAY, DAY))[2].before is None, "it holds nothing"
    assert charted(world.alice, query_of(NOON + DAY, DAY, cost_min="0.0001"))[2].before is None, "of a part"
    settings.RECORD_RETENTION_MONTHS = 0
    assert charted(world.alice, query_of(NOON + DAY, DAY))[2].before is None, "not kept any more"
