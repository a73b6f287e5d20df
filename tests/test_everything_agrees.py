"""Header, chart, Compare, sessions, list, export and read API say the same of whatever is filtered for.

Each random set of filters is asked of all seven over one world of records, and each answer is held against
plain Python. Forty sets are asked; ``TEST_AGREEMENTS=200`` asks so many.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from accounts.exports import exporting
from logs.models import REQUEST_TYPES, UsageRecord
from logs.rollups.own_sums import Totals
from logs.usage.views import UsageTab, usage_tab
from routescope.data.scopes import Viewer
from tests.export_cast import folder, made
from tests.filtered_world import Chosen, World, filters, wanted_of, world
from tests.test_agreement import BOUNDS

__all__ = ["folder", "world"]
pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("TEST_AGREEMENTS", "40"))
PAGE = 120


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
    wanted = wanted_of(world, chosen, start, end)
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
