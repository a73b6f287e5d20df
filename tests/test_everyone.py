"""Everybody's records, as admins page through them: complete, in order, and read at a bounded cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import AIModel, Gateway, Group
from logs.listing import everyones_records
from logs.models import REQUEST_TYPES, RecordType, Status, UsageRecord
from logs.models.events import UsageEvent
from logs.rollups import everyones_sums
from logs.rollups.own_sums import Totals
from logs.selection.chosen import Selection
from routescope.data.keyset import Cursor, Page
from routescope.data.ranges import HOUR, TimeRange
from tests.cast import NOON, event, store

MODELS, GROUPS = ("m0", "m1", "m2", "rare"), ("g0", "g1")
HOURS = 60
WHOLE = TimeRange(NOON - HOUR, NOON + (HOURS + 1) * HOUR)


@pytest.fixture
def events(gateway: Gateway) -> list[UsageEvent]:
    random = Random(11)
    made = [_random_event(random) for _ in range(600)]
    store(gateway, *made, ties=True)
    return made


def _random_event(random: Random) -> UsageEvent:
    kind = random.choices(list(RecordType), [90, 4, 4, 2])[0]
    cost = random.choice([None, Decimal(random.randrange(10**9)).scaleb(-12)])
    # Crowded on a few instants, and within the same milliseconds: ids and times then order differently.
    offset = random.choice([0, 3600, 7200.000001, random.randrange(HOURS * 3600)])
    return event(
        random.choice(["alice@example.com", "bob@example.com", "nobody"]),
        created_at=NOON + timedelta(seconds=offset, microseconds=random.choice([0, 1, 500, 999])),
        model=random.choices(["", *MODELS], [10, 40, 30, 20, 1])[0],
        group=random.choice(["", *GROUPS]),
        type=kind,
        status=random.choices(list(Status), [9, 1])[0],
        cost=-cost if cost and kind is RecordType.REFUND else cost,
    )


BOUNDS = st.integers(-1, HOURS + 1).map(lambda hours: NOON + timedelta(hours=hours))
MOMENTS = BOUNDS | st.integers(0, HOURS * 3600).map(lambda seconds: NOON + timedelta(seconds=seconds))
CHOICES = st.fixed_dictionaries(
    {
        "models": st.lists(st.sampled_from(MODELS), max_size=2, unique=True),
        "groups": st.lists(st.sampled_from(GROUPS), max_size=1),
        "statuses": st.lists(st.sampled_from(list(Status)), max_size=1),
        "types": st.lists(st.sampled_from(list(RecordType)), max_size=1),
    }
)
Chosen = Mapping[str, Sequence[str | int]]


def matching(events: list[UsageEvent], chosen: TimeRange, choices: Chosen) -> list[UsageEvent]:
    """Filter the events in plain Python."""
    return [
        row
        for row in events
        if row.created_at in chosen
        and (not choices["models"] or row.model in choices["models"])
        and (not choices["groups"] or row.group in choices["groups"])
        and (not choices["statuses"] or row.status in choices["statuses"])
        and (not choices["types"] or row.type in choices["types"])
    ]


def select(chosen: TimeRange, choices: Chosen) -> Selection:
    models = dict(AIModel.objects.values_list("name", "id"))
    groups = dict(Group.objects.values_list("name", "id"))
    return Selection(
        chosen,
        models=tuple(models[str(name)] for name in choices["models"]),
        groups=tuple(groups[str(name)] for name in choices["groups"]),
        statuses=tuple(int(value) for value in choices["statuses"]),
        types=tuple(int(value) for value in choices["types"]),
    )


def walk(selection: Selection, size: int) -> list[Page[UsageRecord]]:
    """Page to the older end, as somebody who follows the links does."""
    pages = [everyones_records.page(selection, Cursor(), size)]
    while older := pages[-1].older:
        pages.append(everyones_records.page(selection, Cursor(older=older), size))
        assert len(pages) < 300
    return pages


def ids(pages: list[Page[UsageRecord]]) -> list[str]:
    return [record.request_id for page in pages for record in page.rows]


@given(start=MOMENTS, end=MOMENTS, choices=CHOICES, size=st.integers(5, 60))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_following_older_shows_every_match_once_newest_first(
    events: list[UsageEvent], start: datetime, end: datetime, choices: Chosen, size: int
) -> None:
    if end < start:
        start, end = end, start
    chosen = TimeRange(start, end)
    pages = walk(select(chosen, choices), size)
    expected = matching(events, chosen, choices)
    assert sorted(ids(pages)) == sorted(row.request_id for row in expected)
    moments = [record.created_at for page in pages for record in page.rows]
    assert moments == sorted(moments, reverse=True)
    assert all(len(page.rows) == size for page in pages[:-1])


@given(choices=CHOICES, size=st.integers(20, 60))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_going_back_shows_the_pages_one_came_from(
    events: list[UsageEvent], choices: Chosen, size: int
) -> None:
    selection = select(WHOLE, choices)
    pages = walk(selection, size)
    back = pages[-1]
    for forth in reversed(pages[:-1]):
        assert back.newer is not None
        back = everyones_records.page(selection, Cursor(newer=back.newer), size)
        assert ids([back]) == ids([forth])
    assert back.newer is None


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("most", [1, 20, 60, 300])
def test_a_search_that_stops_early_goes_on_from_there(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    choices: Chosen = {"models": ["rare"], "groups": [], "statuses": [], "types": []}
    selection = select(WHOLE, choices)
    unhindered = ids(walk(selection, 50))
    assert len(unhindered) > 3
    monkeypatch.setattr(everyones_sums, "READ_AT_MOST", most)
    pages = walk(selection, 50)
    assert ids(pages) == unhindered
    back = [pages[-1]]
    while newer := back[-1].newer:
        back.append(everyones_records.page(selection, Cursor(newer=newer), 50))
        assert len(back) < 200
    assert set(ids(back)) == set(unhindered)


@pytest.mark.usefixtures("events")
def test_a_search_never_reads_much_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everyones_sums, "READ_AT_MOST", 40)
    choices: Chosen = {"models": ["rare"], "groups": [], "statuses": [], "types": []}
    stretches = everyones_sums.hours_holding(select(WHOLE, choices), newest_first=True, limit=50)
    assert stretches.reached is not None
    read = sum(
        UsageRecord.objects.filter(created_at__gte=stretch.start, created_at__lt=stretch.end).count()
        for stretch in stretches.ranges
    )
    assert 0 < read <= 40 or len(stretches.ranges) == 1


@given(start=BOUNDS, end=BOUNDS, choices=CHOICES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_sums_are_those_of_the_rows(
    events: list[UsageEvent], start: datetime, end: datetime, choices: Chosen
) -> None:
    if end < start:
        start, end = end, start
    rows = matching(events, TimeRange(start, end), choices)
    calls = [row for row in rows if row.type in REQUEST_TYPES]
    assert everyones_sums.totals(select(TimeRange(start, end), choices)) == Totals(
        records=len(rows),
        requests=len(calls),
        errors=sum(row.status == Status.ERROR for row in calls),
        unpriced=sum(row.cost is None for row in rows),
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        cached_tokens=sum(row.cached_tokens for row in rows),
        cost=sum((row.cost or Decimal(0) for row in rows), Decimal(0)),
        refunds=sum((row.cost or Decimal(0) for row in rows if row.type == RecordType.REFUND), Decimal(0)),
        refund_records=sum(row.type == RecordType.REFUND for row in rows),
        adjustments=sum(
            (row.cost or Decimal(0) for row in rows if row.type == RecordType.ADJUSTMENT), Decimal(0)
        ),
        adjustment_records=sum(row.type == RecordType.ADJUSTMENT for row in rows),
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    "selection",
    [
        Selection(TimeRange(NOON, NOON + timedelta(minutes=90))),
        Selection(TimeRange(NOON), tokens=(1,)),
        Selection(TimeRange(NOON), bounds=Q(stream=True)),
    ],
    ids=["half an hour", "a token", "a bound"],
)
def test_what_no_rollup_knows_is_refused(selection: Selection) -> None:
    with pytest.raises(ValueError, match="whole UTC hours"):
        everyones_sums.totals(selection)
    if selection.tokens or selection.bounds:
        with pytest.raises(ValueError, match="no rollup knows"):
            everyones_records.page(selection, Cursor(), 5)


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    "cursor",
    [Cursor(older=UUID(int=2**128 - 1)), Cursor(newer=UUID(int=2**128 - 1))],
    ids=["older", "newer"],
)
def test_a_cursor_of_no_time_is_the_top(cursor: Cursor) -> None:
    assert everyones_records.page(Selection(WHOLE), cursor, 5) == everyones_records.page(
        Selection(WHOLE), Cursor(), 5
    )


@pytest.mark.usefixtures("events")
def test_a_cursor_whose_record_is_gone_keeps_its_place() -> None:
    pages = walk(Selection(WHOLE), 100)
    older = pages[0].older
    assert older is not None
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM usage_record WHERE id = %s", [older])
    assert (
        everyones_records.page(Selection(WHOLE), Cursor(older=older), 100).rows[0].created_at
        <= pages[0].rows[-1].created_at
    )


def test_a_record_whose_user_is_gone_is_still_listed(gateway: Gateway) -> None:
    store(gateway, event(request_id="orphan"))
    UsageRecord.objects.update(user_id=999_999)
    for page in (
        everyones_records.page(Selection(WHOLE), Cursor(), 5),
        everyones_records.identified("orphan"),
    ):
        [record] = page.rows
        assert str(record.user) == "user 999999"


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(("models", "queries"), [([], 3), (["m0"], 6)], ids=["all", "a model"])
def test_a_page_costs_a_fixed_number_of_queries(models: list[str], queries: int) -> None:
    choices: Chosen = {
        "models": models,
        "groups": [],
        "statuses": [Status.SUCCESS] if models else [],
        "types": [],
    }
    selection = select(WHOLE, choices)
    for size in (5, 50):
        with CaptureQueriesContext(connection) as captured:
            page = everyones_records.page(selection, Cursor(), size)
        assert len(page.rows) == size
        assert len(captured) == queries
