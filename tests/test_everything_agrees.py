"""Header, chart, Compare, sessions, list, export and read API say the same of whatever is filtered for.

Each random set of filters is asked of all seven over one world of records, and each answer is held against
plain Python. Forty sets are asked; ``TEST_AGREEMENTS=200`` asks so many.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from django.test import Client
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from accounts.access import personal_tokens
from accounts.exports import exporting
from accounts.models import Gateway, User
from logs.models import REQUEST_TYPES, RecordType, Status, UsageRecord
from logs.models.events import UsageEvent
from logs.models.marks import facets_of
from logs.rollups import latencies, pending
from logs.rollups.own_sums import Totals
from logs.usage.views import UsageTab, usage_tab
from routescope.data.ranges import DAY
from routescope.data.scopes import Viewer
from tests.cast import NOON, event, store
from tests.export_cast import folder, made
from tests.test_agreement import BOUNDS, GROUPS, MODELS, SPAN, TOKENS

__all__ = ["folder"]
pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("TEST_AGREEMENTS", "40"))
TAGS, CUSTOMERS = ("search", "nightly", "rare"), ("northwind", "contoso")
SESSIONS = ("s0", "s1", "s2")
CALLED = (*MODELS[:2], "gpt-5", "gpt-5-mini")
PAGE = 120
Chosen = dict[str, Any]


class Sums(NamedTuple):
    """What all of them say: of records, and of those that were calls."""

    records: int
    requests: int
    errors: int
    tokens: int
    cost: Decimal

    @classmethod
    def of(cls, totals: Totals) -> Sums:
        tokens = totals.input_tokens + totals.output_tokens
        return cls(totals.records, totals.requests, totals.errors, tokens, totals.cost)

    @classmethod
    def added(cls, several: Iterable[Totals]) -> Sums:
        return cls(
            *(sum(column, start=type(column[0])()) for column in zip(*map(cls.of, several), strict=True))
        )


NOTHING = Sums(0, 0, 0, 0, Decimal(0))


# --- Some months of everything -----------------------------------------------------------------------------


def _metadata(random: Random, model: str) -> dict[str, Any] | None:
    made: dict[str, Any] = {}
    if tags := [tag for tag in TAGS if random.random() < (0.04 if tag == "rare" else 0.35)]:
        made["tags"] = tags
    if random.random() < 0.4:
        made["requester_metadata"] = {"customer": random.choice(CUSTOMERS)}
    if random.random() < 0.4:
        made["session_id"] = random.choice(SESSIONS)
    if model == "gpt-5" and random.random() < 0.4:
        made["answered_model"] = random.choice(["gpt-5-mini", "gpt-5-2025-08-07"])
    return made or None


def _record(random: Random, user: str) -> UsageEvent:
    kind = random.choices(list(RecordType), [88, 4, 5, 3])[0]
    cost = random.choice([None, Decimal(0), Decimal(random.randrange(10**9)).scaleb(-12)])
    tokens = random.randrange(5_000)
    model = random.choice(["", *CALLED])
    return event(
        user,
        # Crowded round a few moments, and on their exact boundaries.
        created_at=NOON
        + timedelta(seconds=random.choice([0, 3600, 86400, random.randrange(int(SPAN.total_seconds()))])),
        token=random.choice(["", *TOKENS]),
        model=model,
        group=random.choice(["", *GROUPS]),
        type=kind,
        status=random.choices(list(Status), [8, 2])[0],
        http_status=random.choice([None, 400, 429, 500]),
        cost=-cost if cost and kind is RecordType.REFUND else cost,
        input_tokens=tokens,
        output_tokens=random.randrange(500),
        cached_tokens=random.randrange(tokens + 1),
        duration_ms=random.choice([None, 0, 250, random.randrange(20_000)]),
        ttft_ms=random.choice([None, 40]),
        stream=random.choice([None, True, False]),
        endpoint=random.choice([None, "/v1/chat/completions", "/v1/embeddings"]),
        metadata=_metadata(random, model),
    )


class World(NamedTuple):
    """Alice with her records, newest first, and who reads them by API."""

    alice: User
    records: list[UsageRecord]
    reader: Client


@pytest.fixture
def world(
    alice: User, bob: User, gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> World:
    """Records of two people: some sums folded in, some waiting; some latencies kept, the others read."""
    monkeypatch.setattr(latencies, "BUSY", 8)
    settings.READ_API_REQUESTS_PER_MINUTE = 1_000_000
    random = Random(23)
    store(
        gateway,
        *(_record(random, "alice@example.com") for _ in range(420)),
        *(_record(random, "bob@example.com") for _ in range(90)),
        ties=True,
    )
    pending.fold()
    latencies.count(timedelta(hours=1), NOON + SPAN + DAY)
    store(gateway, *(_record(random, "alice@example.com") for _ in range(30)), ties=True)
    records = list(
        UsageRecord.objects.filter(user=alice).select_related("token", "model", "group").order_by("-id")
    )
    assert len(records) == 450
    token = personal_tokens.issue(alice, "t", 30)[1]
    return World(alice, records, Client(headers={"Authorization": f"Bearer {token}"}))


# --- What is filtered for ----------------------------------------------------------------------------------


def _several(values: Iterable[str], most: int = 2) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(list(values)), min_size=1, max_size=most, unique=True)


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "token": _several(TOKENS),
        "model": _several(CALLED),
        "group": _several(GROUPS, 1),
        "without": _several(["token", "model", "group"], 1),
        "status": _several(["success", "error"], 1),
        "errors": st.just("each"),
        "type": _several(["request", "task", "refund", "adjustment"]),
        "stream": st.sampled_from(["yes", "no"]),
        "endpoint": st.sampled_from(["chat", "embeddings"]),
        "cost_min": st.sampled_from(["-0.0002", "0", "0.0003"]),
        "cost_max": st.sampled_from(["0", "0.0007"]),
        "duration_min": st.sampled_from(["0", "0.25", "5"]),
        "duration_max": st.sampled_from(["0.25", "12.5"]),
        "tokens_min": st.sampled_from(["1", "2500"]),
        "tokens_max": st.sampled_from(["0", "4000"]),
        "tag": _several(TAGS),
        "tag_not": _several(TAGS, 1),
        "meta": _several([f"customer={one}" for one in CUSTOMERS]),
        "has": _several(["tags", "customer"], 1),
        "has_not": _several(["tags", "customer"], 1),
        "session": st.sampled_from(SESSIONS),
        "answered": st.just("other"),
    },
)


@st.composite
def filters(draw: st.DrawFn) -> Chosen:
    """Draw filters: few of them at a time, or nothing is left to agree on."""
    drawn = draw(FILTERS)
    kept = draw(st.lists(st.sampled_from(sorted(drawn)), max_size=3, unique=True)) if drawn else []
    return {name: drawn[name] for name in kept}


def _wanted(world: World, chosen: Chosen, start: datetime | None, end: datetime | None) -> list[UsageRecord]:
    return [
        record
        for record in world.records
        if (start is None or record.created_at >= start)
        and (end is None or record.created_at < end)
        and all(_MEETS[name](record, chosen[name], chosen) for name in chosen)
    ]


def _named(column: str) -> Callable[[UsageRecord, Any, Chosen], bool]:
    def meets(record: UsageRecord, names: list[str], chosen: Chosen) -> bool:
        named = getattr(record, column)
        if named is None:
            return column in chosen.get("without", ())
        return named.name in names

    return meets


def _lacks(record: UsageRecord, names: list[str], chosen: Chosen) -> bool:
    """With a name of the same kind, either is meant: that is looked at there."""
    return all(name in chosen or getattr(record, name) is None for name in names)


def _held(record: UsageRecord) -> set[tuple[str, str]]:
    return set(facets_of(record.metadata))


def _compares(column: str, unit: int, is_least: bool) -> Callable[[UsageRecord, Any, Chosen], bool]:
    def meets(record: UsageRecord, bound: str, chosen: Chosen) -> bool:
        value = record.input_tokens + record.output_tokens if column == "tokens" else getattr(record, column)
        if value is None:
            return False
        return bool(value >= Decimal(bound) * unit if is_least else value <= Decimal(bound) * unit)

    return meets


_MEETS: dict[str, Callable[[UsageRecord, Any, Chosen], bool]] = {
    "token": _named("token"),
    "model": _named("model"),
    "group": _named("group"),
    "without": _lacks,
    # Asked for errors, the page leaves all else out.
    "status": lambda record, words, chosen: "errors" in chosen or Status(record.status).name.lower() in words,
    "errors": lambda record, _word, chosen: record.status == Status.ERROR,
    "type": lambda record, words, chosen: RecordType(record.type).name.lower() in words,
    "stream": lambda record, word, chosen: record.stream is (word == "yes"),
    "endpoint": lambda record, part, chosen: part in (record.endpoint or ""),
    "cost_min": _compares("cost", 1, True),
    "cost_max": _compares("cost", 1, False),
    "duration_min": _compares("duration_ms", 1000, True),
    "duration_max": _compares("duration_ms", 1000, False),
    "tokens_min": _compares("tokens", 1, True),
    "tokens_max": _compares("tokens", 1, False),
    "tag": lambda record, tags, chosen: {("tags", tag) for tag in tags} <= _held(record),
    "tag_not": lambda record, tags, chosen: not {("tags", tag) for tag in tags} & _held(record),
    "meta": lambda record, pairs, chosen: bool({tuple(one.split("=")) for one in pairs} & _held(record)),
    "has": lambda record, keys, chosen: set(keys) <= {key for key, _value in _held(record)},
    "has_not": lambda record, keys, chosen: not set(keys) & {key for key, _value in _held(record)},
    "session": lambda record, session, chosen: (record.metadata or {}).get("session") == session,
    "answered": lambda record, _word, chosen: "answered_by_model" in (record.metadata or {}),
}


# --- What each says ----------------------------------------------------------------------------------------


def _tab(world: World, query: str) -> UsageTab:
    return usage_tab(Viewer.of(world.alice), QueryDict(query))


def _header_list_and_chart(world: World, query: str, wanted: list[UsageRecord], sums: Sums) -> None:
    metrics = {"requests": sums.requests, "tokens": sums.tokens, "cost": sums.cost}
    for metric, whole in metrics.items():
        tab = _tab(world, f"{query}&chart={metric}")
        assert Sums.of(tab.totals) == sums
        assert tab.chart is not None
        layers = tab.chart.plotted.layers
        assert sum((layer.total for layer in layers), start=Decimal(0)) == whole, metric
        if metric == "requests":
            failed = [layer.total for layer in layers if layer.look in ("limited", "error")]
            assert sum(failed) == sums.errors
    assert [row.id for row in tab.page.rows] == [record.pk for record in wanted[: len(tab.page.rows)]]
    assert len(tab.page.rows) == min(len(wanted), 50)


def _compared(world: World, query: str, by: str, sums: Sums) -> None:
    comparison = _tab(world, f"{query}&compare={by}").comparison
    assert (comparison is None) == (sums == NOTHING)
    if comparison is None or comparison.overlaps:
        return
    assert Sums.of(comparison.total.totals) == sums
    lines = [*comparison.rows, *([comparison.others] if comparison.others else [])]
    assert (Sums.added(line.totals for line in lines) if lines else NOTHING) == sums


def _in_sessions(world: World, query: str, sums: Sums) -> None:
    found = _tab(world, f"{query}&sessions=on").sessions
    lines = [*found.lines, *filter(None, (found.others, found.without))] if found else []
    assert (Sums.added(line.totals for line in lines) if lines else NOTHING) == sums


def _exported(world: World, query: str, wanted: list[UsageRecord], sums: Sums) -> None:
    columns = ["id", "type", "status", "input_tokens", "output_tokens", "cost"]
    export = made(world.alice, "jsonl", query=query, columns=columns)
    rows = [json.loads(line) for line in export.path.read_text().splitlines()]
    assert [row["id"] for row in rows] == [str(record.pk) for record in wanted]
    assert _sums_of(rows) == sums
    told = exporting.manifest(export)
    assert told["agrees_with_header"] and (told["rows"], Decimal(str(told["cost_usd"]))) == (
        sums.records,
        sums.cost,
    )
    percentiles: Any = told["percentiles"]
    timed = [one for one in wanted if one.type in REQUEST_TYPES and one.duration_ms is not None]
    assert (percentiles["duration_ms"] or {"calls": 0})["calls"] == len(timed)


def _read(world: World, query: str, by: str, wanted: list[UsageRecord], sums: Sums) -> None:
    found: list[dict[str, Any]] = []
    url = f"/api/v1/usage?{query}&limit={PAGE}"
    while url:
        answer = world.reader.get(url).json()
        found += answer["data"]
        url = answer["next"]
    assert [one["id"] for one in found] == [str(record.pk) for record in wanted]
    assert _sums_of(found) == sums
    said = world.reader.get(f"/api/v1/usage/statistics?{query}").json()["totals"]
    assert _of_body(said) == sums
    lines = world.reader.get(f"/api/v1/usage/breakdown?{query}&by={by}").json()["lines"]
    if by != "tag":
        parts = [_of_body(line["totals"]) for line in lines]
        added = (
            Sums(*(sum(column, start=type(column[0])()) for column in zip(*parts, strict=True)))
            if parts
            else NOTHING
        )
        assert added == sums


def _sums_of(rows: list[dict[str, Any]]) -> Sums:
    calls = [row for row in rows if row["type"] in ("request", "task")]
    return Sums(
        len(rows),
        len(calls),
        sum(row["status"] == "error" for row in calls),
        sum(row["input_tokens"] + row["output_tokens"] for row in rows),
        sum((Decimal(row["cost"]) for row in rows if row["cost"] is not None), Decimal(0)),
    )


def _of_body(said: dict[str, Any]) -> Sums:
    tokens = said["input_tokens"] + said["output_tokens"]
    return Sums(said["records"], said["requests"], said["errors"], tokens, Decimal(said["cost"]))


@contextmanager
def _about(query: str) -> Iterator[None]:
    """Say what was asked where they do not agree."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"?{query}")
        raise


@examples(
    max_examples=EXAMPLES,
    # A set of filters is small as it is; to look for a smaller one takes minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    chosen=filters(),
    start=BOUNDS,
    end=BOUNDS,
    by=st.sampled_from(["model", "token", "group", "day", "cause", "tag"]),
)
def test_everything_says_the_same_of_what_is_filtered_for(
    world: World, chosen: Chosen, start: datetime | None, end: datetime | None, by: str
) -> None:
    if start and end and start > end:
        start, end = end, start
    bounds = {
        name: moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for name, moment in (("start", start), ("end", end))
        if moment is not None
    }
    query = urlencode({**chosen, **(bounds or {"range": "all"})}, doseq=True)
    wanted = _wanted(world, chosen, start, end)
    sums = Sums.of(Totals.of(wanted))
    plain = urlencode(
        {**{name: chosen[name] for name in chosen if name != "errors"}, **(bounds or {"range": "all"})},
        doseq=True,
    )
    with _about(query):
        _header_list_and_chart(world, query, wanted, sums)
        _exported(world, query, wanted, sums)
        if "errors" in chosen:
            # Compare and sessions are views of their own, as errors are.
            return
        _compared(world, plain, by, sums)
        _in_sessions(world, plain, sums)
        _read(world, plain, by, wanted, sums)
