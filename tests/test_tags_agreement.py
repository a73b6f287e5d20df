"""Header, chart, list, Compare, export and read API say the same under filters by tags and metadata."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.access import personal_tokens
from accounts.models import AIModel, Gateway, Membership, Team, User, UserIdentity
from accounts.scopes.deciding import decided
from logs.filters.asked import VIEW_ALL
from logs.listing import own_records
from logs.models import UsageRecord
from logs.models.marks import digest_of, facets_of
from logs.rollups import own_sums
from logs.selection import by_marks, lookback
from logs.selection.chosen import Selection
from routescope.data.keyset import Cursor
from routescope.data.ranges import TimeRange
from routescope.data.scopes import Scope, Viewer, of_users
from tests.cast import event, signed_in, store
from tests.export_cast import folder, made

__all__ = ["folder"]
pytestmark = pytest.mark.django_db
TAGS, PROJECTS = ("search", "nightly", "rare"), ("atlas", "hermes")
Meets = Callable[[set[tuple[str, str]]], bool]


def _metadata(random: Random) -> dict[str, Any] | None:
    made: dict[str, Any] = {}
    if tags := [tag for tag in TAGS if random.random() < (0.03 if tag == "rare" else 0.4)]:
        made["tags"] = tags
    if random.random() < 0.5:
        made["requester_metadata"] = {"project": random.choice(PROJECTS)}
    if random.random() < 0.3:
        made["attempt"] = random.randrange(3)
    return made or None


def _fill(gateway: Gateway, *owners: str, count: int = 150) -> None:
    random = Random(11)
    now = timezone.now() - timedelta(minutes=1)
    store(
        gateway,
        *(
            event(
                random.choice(owners),
                created_at=now - timedelta(seconds=7 * number + random.random()),
                model=random.choice(["m0", "m1"]),
                metadata=_metadata(random),
                input_tokens=random.randrange(1000),
            )
            for number in range(count)
        ),
        ties=True,
    )


@pytest.fixture(params=["own", "everyone", "person", "team"])
def reader(request: pytest.FixtureRequest, gateway: Gateway, alice: User, bob: User, admin: User) -> Any:
    """Who reads, whose records they are, and what the address says of that."""
    _fill(gateway, "alice@example.com", "bob@example.com")
    team = Team.objects.create(name="both")
    for person in (alice, bob):
        Membership.objects.create(team=team, user=person, since=timezone.now() - timedelta(days=9))
    whose: dict[str, tuple[User, str, Sequence[int]]] = {
        "own": (alice, "", [alice.pk]),
        "everyone": (admin, "everyone", [alice.pk, bob.pk]),
        "person": (admin, f"person:{bob.pk}", [bob.pk]),
        "team": (admin, f"team:{team.pk}", [alice.pk, bob.pk]),
    }
    return whose[request.param]


CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "tag": st.lists(st.sampled_from(TAGS), max_size=2, unique=True),
        "tag_not": st.lists(st.sampled_from(TAGS), max_size=2, unique=True),
        "meta": st.lists(
            st.sampled_from(["project=atlas", "project=hermes", "attempt=1"]), max_size=3, unique=True
        ),
        "meta_not": st.lists(st.sampled_from(["project=atlas", "attempt=0"]), max_size=2, unique=True),
        "has": st.lists(st.sampled_from(["tags", "project", "attempt"]), max_size=2, unique=True),
        "has_not": st.lists(st.sampled_from(["tags", "attempt"]), max_size=1, unique=True),
        "model": st.just(["m0"]),
    },
)


def _meets(chosen: dict[str, list[str]], record: UsageRecord) -> bool:
    held = {(key, value) for key, value in facets_of(record.metadata)}
    keys = {key for key, _value in held}
    wanted: dict[str, set[str]] = {}
    for one in chosen.get("meta", ()):
        key, _sign, value = one.partition("=")
        wanted.setdefault(key, set()).add(value)
    return (
        all(("tags", tag) in held for tag in chosen.get("tag", ()))
        and not any(("tags", tag) in held for tag in chosen.get("tag_not", ()))
        and all(any((key, value) in held for value in values) for key, values in wanted.items())
        and not any(tuple(one.split("=")) in held for one in chosen.get("meta_not", ()))
        and keys.issuperset(chosen.get("has", ()))
        and keys.isdisjoint(chosen.get("has_not", ()))
        and (not chosen.get("model") or record.model_id == _m0())
    )


def _m0() -> int:
    return AIModel.objects.get(name="m0").pk


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=CHOICES)
def test_everything_says_the_same(reader: Any, chosen: dict[str, list[str]]) -> None:
    person, of, owners = reader
    wanted = [
        row for row in UsageRecord.objects.filter(user_id__in=owners).order_by("-id") if _meets(chosen, row)
    ]
    query = urlencode({**({"of": of} if of else {}), **chosen, "range": "24h"}, doseq=True)
    client = signed_in(person)
    page = client.get(f"/records/usage/?{query}")
    totals = page.context["totals"]
    assert totals == own_sums.Totals.of(wanted)
    assert [row.request_id for row in page.context["rows"]] == [row.request_id for row in wanted[:50]]
    if wanted:
        chart = page.context["chart"]
        assert sum(one.requests for one in chart.traffic.buckets) == len(wanted)
        _compared(client, query, wanted)
    api = _api(person, query)
    assert [one["request_id"] for one in api] == [row.request_id for row in wanted]
    export = made(person, query=query, columns=["request_id", "tags"])
    read = list(csv.DictReader(io.StringIO(export.path.read_text("utf-8-sig"), newline="")))
    assert [one["request_id"] for one in read] == [row.request_id for row in wanted]
    tags = [", ".join(sorted((row.metadata or {}).get("tags", ()))) for row in wanted]
    assert [one["tags"] for one in read] == tags


def _compared(client: Client, query: str, wanted: list[UsageRecord]) -> None:
    for asked, key in (("compare=tag", "tags"), ("compare=meta&key=project", "project")):
        comparison = client.get(f"/records/usage/?{query}&{asked}").context["comparison"]
        assert comparison.total.totals == own_sums.Totals.of(wanted)
        expected: Counter[str] = Counter()
        for row in wanted:
            values = [value for one, value in facets_of(row.metadata) if one == key]
            expected.update(values or [""])
        named = {row.label if not row.label.startswith("Without") else "": row for row in comparison.rows}
        assert {name: row.totals.records for name, row in named.items()} == expected
        for row in named.values():
            # Each line leads to its records, and to no others.
            there = client.get(f"/records/usage/{row.query}")
            assert there.context["totals"] == row.totals


def _api(person: User, query: str) -> list[dict[str, Any]]:
    token = personal_tokens.issue(person, "t", 30)[1]
    reader = Client(headers={"Authorization": f"Bearer {token}"})
    found: list[dict[str, Any]] = []
    url = f"/api/v1/usage?{query}&limit=40"
    while url:
        answer = reader.get(url).json()
        found += answer["data"]
        url = answer["next"]
    return found


# --- What it costs -----------------------------------------------------------------------------------------


@pytest.fixture
def crowd(alice: User, gateway: Gateway) -> User:
    """Alice with thousands of records, of which a handful have a rare tag."""
    now = timezone.now()
    store(
        gateway,
        *(
            event(
                created_at=now - timedelta(minutes=number),
                metadata={"tags": ["common", *(["rare"] if number % 500 == 499 else [])]},
            )
            for number in range(2_500)
        ),
        ties=True,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE usage_record")
        cursor.execute("ANALYZE usage_mark")
        # Indexes as at the real size: a partition of some thousand rows is scanned as fast.
        cursor.execute("SET LOCAL enable_seqscan = off")
    return alice


def _nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(inner for child in node.get("Plans", ()) for inner in _nodes(child))]


def _read(work: Callable[[], Any]) -> tuple[float, float]:
    """Return how many rows of records, and entries of marks, the queries of some work read at most."""
    rows = entries = 0.0
    with CaptureQueriesContext(connection) as captured:
        work()
    for query in captured:
        if "usage_mark" not in query["sql"]:
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
            [explained] = cursor.fetchone()
        explained = json.loads(explained) if isinstance(explained, str) else explained
        of_records = of_marks = 0.0
        for node in _nodes(explained[0]["Plan"]):
            table = node.get("Relation Name", "")
            removed = node.get("Rows Removed by Filter", 0)
            read = (node.get("Actual Rows", 0) + removed) * node.get("Actual Loops", 1)
            if table.startswith("usage_record"):
                of_records += read
            elif table.startswith("usage_mark"):
                assert node["Node Type"] == "Index Only Scan", node
                of_marks += read
        rows, entries = max(rows, of_records), max(entries, of_marks)
    return rows, entries


@pytest.mark.parametrize("whose", ["own", "everyone"])
def test_a_rare_tag_is_found_from_the_index_alone(crowd: User, admin: User, whose: str) -> None:
    scope = Scope.own(crowd)
    if whose == "everyone":
        scope = decided(Viewer.of(admin), "everyone", VIEW_ALL)
    selection = Selection(
        TimeRange(timezone.now() - timedelta(days=30)), marks=((digest_of("tags", "rare"),),)
    )
    for work in (
        lambda: lookback.look(scope, selection),
        lambda: own_sums.totals(scope, selection),
        lambda: own_records.listed(scope, selection, Cursor(), 50),
    ):
        rows, entries = _read(work)
        assert rows <= 10 and entries <= 10, f"{rows} records and {entries} marks for 5 records"
    both = Selection(selection.chosen, marks=((digest_of("tags", "common"),), *selection.marks))
    rows, _entries = _read(lambda: own_sums.totals(scope, both))
    assert rows <= 10, "the rarest condition leads"


def test_a_common_tag_is_looked_for_among_a_bounded_number(
    crowd: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookback, "MOST_RECORDS", 100)
    selection = Selection(marks=((digest_of("tags", "common"),),))
    looked = lookback.newest(Scope.own(crowd), selection).looked
    assert looked is not None and looked.records == 100 and looked.reached
    newest = list(UsageRecord.objects.order_by("-id").values_list("id", flat=True)[:100])
    assert looked.reached == newest[-1]
    assert own_sums.totals(Scope.own(crowd), selection).records == 100
    seen: list[Any] = []
    for step in lookback.steps(Scope.own(crowd), selection, Cursor()):
        seen += lookback.keys(Scope.own(crowd), selection, step, newest_first=True, limit=1000)
    assert [one for _user, one in seen] == list(
        UsageRecord.objects.order_by("-id").values_list("id", flat=True)
    )
    rows, entries = _read(lambda: own_sums.totals(Scope.own(crowd), selection))
    assert rows <= 110 and entries <= 110


def test_of_many_people_each_is_read_as_far_as_it_takes(
    gateway: Gateway, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_marks, "_MOST_OF_PARTS", 60)
    monkeypatch.setattr(lookback, "MOST_RECORDS", 50)
    owners = [f"u{number}" for number in range(10)]
    _fill(gateway, *owners, count=400)
    ids = list(UserIdentity.objects.filter(name__in=owners).values_list("user_id", flat=True))
    scope = Scope(Scope.own(alice).viewer, of_users(ids))
    selection = Selection(marks=((digest_of("tags"),),))
    wanted = [row.id for row in UsageRecord.objects.order_by("-id") if (row.metadata or {}).get("tags")]
    for forwards in (False, True):
        expected = wanted[::-1] if forwards else wanted
        cursor = Cursor(newer=expected[0]) if forwards else Cursor()
        expected = expected[1:] if forwards else expected
        seen: list[Any] = []
        looks = 0
        for step in lookback.steps(scope, selection, cursor):
            looks += 1
            seen += lookback.keys(scope, selection, step, newest_first=not forwards, limit=1000)
        assert [one for _user, one in seen] == expected
        assert 1 < looks < 30
