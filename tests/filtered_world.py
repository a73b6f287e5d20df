"""A world of records with all that can be filtered for, random filters, and Python that applies them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

import pytest
from django.test import Client
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from accounts.access import personal_tokens
from accounts.models import Gateway, User
from logs.models import RecordType, Status, UsageRecord
from logs.models.events import UsageEvent
from logs.models.marks import facets_of
from logs.rollups import latencies, pending
from routescope.data.ranges import DAY
from tests.cast import NOON, event, store
from tests.test_agreement import GROUPS, MODELS, SPAN, TOKENS

TAGS, CUSTOMERS = ("search", "nightly", "rare"), ("northwind", "contoso")
SESSIONS = ("s0", "s1", "s2")
CALLED = (*MODELS[:2], "gpt-5", "gpt-5-mini")
Chosen = dict[str, Any]


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


def wanted_of(
    world: World, chosen: Chosen, start: datetime | None, end: datetime | None
) -> list[UsageRecord]:
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
