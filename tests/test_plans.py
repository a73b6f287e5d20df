"""How PostgreSQL answers the page's queries, at a small scale with the statistics of a large one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models import Q, QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.identities import merging
from accounts.models import AIModel, ApiToken, Gateway, User, UserIdentity
from logs.listing import own_records
from logs.models import UsageRecord
from logs.rollups import own_sums, pending, traffic
from logs.rollups.breakdown import By, breakdown
from logs.selection import lookback
from logs.selection.chosen import Selection
from routescope.data import partitions
from routescope.data.ids import first_id
from routescope.data.keyset import Cursor
from routescope.data.partitions import Month
from routescope.data.ranges import DAY, TimeRange
from routescope.data.scopes import Scope
from tests.cast import NOON, event, store

Node = dict[str, Any]

ALL = TimeRange()
EMPTY_MONTH = Month(2023, 11)
MARCH = TimeRange(NOON - timedelta(days=4, minutes=7), NOON + timedelta(days=4, minutes=7))


@pytest.fixture
def crowd(alice: User, gateway: Gateway) -> User:
    """Alice with a few hundred records among thousands of others', over three months.

    A month of no records stands beside them, as an earlier test may have left one.
    """
    events = [
        *(
            event(minutes=day * 1440 + n * 3, model="rare" if day == 0 and n == 5 else "m")
            for day in range(-45, 45)
            for n in range(8)
        ),
        *(
            event(user=f"u{n % 7}", minutes=day * 1440 + n * 9, token=f"t{n % 3}")
            for day in range(-45, 45)
            for n in range(150)
        ),
    ]
    for start in range(0, len(events), 5000):
        store(gateway, *events[start : start + 5000])
    pending.fold()
    partitions.ensure("usage_record", [EMPTY_MONTH])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return alice


def nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def plans_of(work: Any) -> list[list[Node]]:
    """Run ``work`` and return the plan of each query that it made on records or sums.

    A partition of no rows costs nothing in any way of reading, so the planner chooses freely: left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname LIKE 'usage\\_record\\_%' AND reltuples = 0"
        )
        empty = {name for (name,) in cursor}
    with CaptureQueriesContext(connection) as captured:
        work()
    plans = []
    for query in captured:
        if "usage_" in query["sql"] and query["sql"].startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql']}")
                [explained] = cursor.fetchone()
            explained = json.loads(explained) if isinstance(explained, str) else explained
            plans.append(
                [node for node in nodes(explained[0]["Plan"]) if node.get("Relation Name") not in empty]
            )
    assert plans
    return plans


def assert_no_scan_of_a_partition(plans: list[list[Node]]) -> None:
    for plan in plans:
        for node in plan:
            scanned = node.get("Relation Name", "")
            if scanned.startswith(("usage_record_2", "usage_hour", "usage_day")):
                assert node["Node Type"] != "Seq Scan", plan
            if "Filter" in node and scanned.startswith("usage_record_2"):
                assert "user_id" not in node["Filter"], f"reads others' records: {node}"


def partitions_in(plan: list[Node]) -> set[str]:
    return {
        node["Relation Name"] for node in plan if node.get("Relation Name", "").startswith("usage_record_2")
    }


@pytest.mark.parametrize("cursor", ["top", "older", "newer"])
def test_a_users_page_reads_the_users_own_index_only(crowd: User, cursor: str) -> None:
    middle = UsageRecord.objects.visible_to(Scope.own(crowd)).within(MARCH).order_by("id")[30].id
    at = {"top": Cursor(), "older": Cursor(older=middle), "newer": Cursor(newer=middle)}[cursor]
    for chosen in (Selection(ALL), Selection(MARCH)):
        assert_no_scan_of_a_partition(plans_of(partial(own_records.page, Scope.own(crowd), chosen, at, 20)))


def test_a_range_reads_its_own_partitions_only(crowd: User) -> None:
    [plan] = plans_of(lambda: own_records.page(Scope.own(crowd), Selection(MARCH), Cursor(), 20))
    assert partitions_in(plan) == {"usage_record_2026_03"}


def test_the_header_reads_rollups_and_less_than_an_hour_at_each_edge(crowd: User) -> None:
    [plan] = plans_of(lambda: own_sums.totals(Scope.own(crowd), Selection(MARCH)))
    assert_no_scan_of_a_partition([plan])
    assert {node.get("Relation Name") for node in plan} - {None} == {
        "usage_day_folded",
        "usage_hour_folded",
        "usage_pending",
        "usage_record_2026_03",
    }


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "Asia/Kolkata"])
def test_a_breakdown_reads_rollups_and_the_hours_that_midnight_divides(crowd: User, zone: str) -> None:
    # By tags and metadata records are read: see `tests.test_tags_agreement`.
    for by in set(By) - {By.TAG, By.METADATA}:
        with timezone.override(ZoneInfo(zone)):
            plans = plans_of(partial(breakdown, Scope.own(crowd), Selection(MARCH), by))
        assert_no_scan_of_a_partition(plans)
        raw = [plan for plan in plans if partitions_in(plan)]
        assert len(raw) == 1, "less than an hour at each edge, and where a midnight divides an hour"
        assert len(plans) <= 2


def test_a_rare_model_is_read_from_the_hours_that_hold_it(crowd: User) -> None:
    rare = AIModel.objects.get(name="rare").pk
    selection = Selection(ALL, models=(rare,))
    plans = plans_of(lambda: own_records.page(Scope.own(crowd), selection, Cursor(), 20))
    assert_no_scan_of_a_partition(plans)
    assert partitions_in(plans[1]) == {"usage_record_2026_03"}
    assert len(own_records.page(Scope.own(crowd), selection, Cursor(), 20).rows) == 1


def test_a_filtered_page_finds_its_ids_in_the_index_alone(crowd: User) -> None:
    token = ApiToken.objects.get(owner=crowd).pk
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_bitmapscan = off")
    plans = plans_of(
        lambda: own_records.page(Scope.own(crowd), Selection(MARCH, tokens=(token,)), Cursor(), 20)
    )
    assert {node["Node Type"] for node in plans[1] if "Index Name" in node} == {"Index Only Scan"}


@pytest.mark.parametrize("mine", [True, False])
def test_a_request_id_is_looked_up_in_its_index_over_all_time(crowd: User, mine: bool) -> None:
    identifier = UsageRecord.objects.filter(user=crowd).first().request_id if mine else "nothing"  # type: ignore[union-attr]
    found: QuerySet[UsageRecord] = UsageRecord.objects.visible_to(Scope.own(crowd)).identified_by(identifier)
    for plan in plans_of(lambda: list(found)):
        for node in plan:
            assert node["Node Type"] != "Seq Scan", node


def test_the_admins_lookup_by_id_uses_the_index_on_time(crowd: User) -> None:
    identifier = UsageRecord.objects.within(MARCH)[0].id
    [plan] = plans_of(lambda: list(UsageRecord.objects.by_id(identifier)))
    assert partitions_in(plan) == {"usage_record_2026_03"}
    assert all(node["Node Type"] != "Seq Scan" for node in plan)


@pytest.mark.parametrize("cursor", ["top", "older", "newer"])
def test_users_who_are_one_have_the_first_rows_of_each_read(crowd: User, cursor: str) -> None:
    merging.merge(UserIdentity.objects.get(name="u0").user, crowd)
    one = User.objects.get(pk=crowd.pk)
    middle = UsageRecord.objects.visible_to(Scope.own(crowd)).within(MARCH).order_by("id")[30].id
    at = {"top": Cursor(), "older": Cursor(older=middle), "newer": Cursor(newer=middle)}[cursor]
    plans = plans_of(lambda: own_records.page(Scope.own(one), Selection(MARCH), at, 20))
    assert_no_scan_of_a_partition(plans)
    [explained] = [plan for plan in plans if partitions_in(plan)]
    assert sum(node["Node Type"] == "Limit" for node in explained) == 3, "of each, and of both"
    assert [row.id for row in own_records.page(Scope.own(one), Selection(MARCH), at, 20).rows] == [
        row.id for row in own_records.listed(Scope.own(one), Selection(MARCH), at, 20).rows
    ]


# --- Filters that no rollup knows ------------------------------------------------------------------------


def most_examined(work: Any) -> tuple[int, int]:
    """Run ``work``; return how many rows, and entries of an index, its costliest query read of records."""
    with CaptureQueriesContext(connection) as captured:
        work()
    rows = entries = 0
    for query in captured:
        if "usage_record" not in query["sql"] or not query["sql"].startswith("SELECT"):
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
            [explained] = cursor.fetchone()
        explained = json.loads(explained) if isinstance(explained, str) else explained
        of_table: list[float] = [0]
        of_index: list[float] = [0]
        for node in nodes(explained[0]["Plan"]):
            if node.get("Relation Name", "").startswith("usage_record"):
                assert node["Node Type"] != "Seq Scan" or not node["Relation Name"].startswith(
                    "usage_record_2"
                )
                removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
                read = (node["Actual Rows"] + removed) * node["Actual Loops"]
                (of_index if node["Node Type"] == "Index Only Scan" else of_table).append(read)
        rows, entries = max(rows, round(sum(of_table))), max(entries, round(sum(of_index)))
    return rows, entries


@pytest.mark.parametrize("merged", [False, True], ids=["one user", "two that are one"])
def test_what_no_rollup_knows_is_looked_for_among_a_bounded_number_of_rows(
    crowd: User, monkeypatch: pytest.MonkeyPatch, merged: bool
) -> None:
    monkeypatch.setattr(lookback, "MOST_RECORDS", 100)
    monkeypatch.setattr(lookback, "MOST_ENTRIES", 120)
    if merged:
        merging.merge(UserIdentity.objects.get(name="u0").user, crowd)
        crowd = User.objects.get(pk=crowd.pk)
    with connection.cursor() as cursor:
        # Indexes as at the real size: a partition of some thousand rows is scanned as fast.
        cursor.execute("SET LOCAL enable_seqscan = off")
    middle = UsageRecord.objects.visible_to(Scope.own(crowd)).within(MARCH).order_by("id")[30].id
    users = len(crowd.ids)
    for bounds in (Q(cost__gte=10**6), Q(input_tokens__gte=0), Q(endpoint__icontains="x")):
        for choices in ({}, {"models": _models("m")}, {"models": _models("rare")}, {"statuses": (1,)}):
            selection = Selection(ALL, bounds=bounds, **choices)
            looked = lookback.newest(Scope.own(crowd), selection)
            works = {
                "header": partial(own_sums.totals, Scope.own(crowd), selection),
                "chart": partial(traffic.traffic, Scope.own(crowd), looked, NOON),
                "breakdown": partial(breakdown, Scope.own(crowd), selection, By.MODEL),
                "list": partial(own_records.listed, Scope.own(crowd), selection, Cursor(), 20),
                "further": partial(own_records.page, Scope.own(crowd), selection, Cursor(older=middle), 20),
                "back": partial(own_records.page, Scope.own(crowd), selection, Cursor(newer=middle), 20),
                "news": partial(
                    own_records.count_since, Scope.own(crowd), selection, first_id(NOON - 40 * DAY), 20
                ),
            }
            for name, work in works.items():
                rows, entries = most_examined(work)
                assert rows <= 3 * 100 * users, f"{name}: {rows} rows"
                assert entries <= (120 + 1) * users, f"{name}: {entries} entries"


def _models(*names: str) -> tuple[int, ...]:
    return tuple(AIModel.objects.filter(name__in=names).values_list("pk", flat=True))


def test_a_rare_value_and_a_threshold_skip_the_hours_between(
    crowd: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookback, "MOST_ENTRIES", 20)
    rare = AIModel.objects.get(name="rare").pk
    selection = Selection(ALL, models=(rare,), bounds=Q(input_tokens__gte=0))
    page = own_records.listed(Scope.own(crowd), selection, Cursor(), 20)
    assert len(page.rows) == 1
    assert page.older is None, "one look, however many records lie between"
