"""Counts of one call that several told: never added, and of those that differ the sound ones."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from logs.ingest.calls import merging
from logs.models import Status, UsageRecord
from logs.models.events import COUNTS_READ, UsageEvent
from tests.sending import Sender, sender
from tests.spans import CHAT, PATH, request, span

__all__ = ["sender"]

AT = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
BROKEN = {"sent": {"input": 7, "output": 1, "total": 3}, "contradiction": True}
BESIDE = {"sent": {"input": 5, "output": 20}, "by": "dialect", "beside": ["cached"]}


def told(depth: int = 0, read: dict[str, Any] | None = None, **counts: Any) -> tuple[int, merging.Counted]:
    event = UsageEvent(request_id="r", created_at=AT, status=Status.SUCCESS, **counts)
    event.metadata = {COUNTS_READ: read} if read else None
    return depth, merging.counted(event, "scope", None)


@pytest.mark.parametrize(
    ("several", "right"),
    [
        # What the one lacks the other tells.
        ([told(input_tokens=100, output_tokens=20), told(input_tokens=100, output_tokens=20, cached_tokens=60,
          reasoning_tokens=5)],
         {"input_tokens": 100, "output_tokens": 20, "cached_tokens": 60, "reasoning_tokens": 5}),
        ([told(), told(input_tokens=100, output_tokens=20)], {"input_tokens": 100, "output_tokens": 20}),
        # Of equals the larger was complete: the other saw a part of the stream.
        ([told(input_tokens=100, output_tokens=3), told(input_tokens=100, output_tokens=20)],
         {"input_tokens": 100, "output_tokens": 20}),
        # The innermost is nearest to the provider.
        ([told(0, input_tokens=900, output_tokens=90), told(2, input_tokens=100, output_tokens=20)],
         {"input_tokens": 100, "output_tokens": 20}),
        # What contradicts itself comes last, however deep or large.
        ([told(2, BROKEN, input_tokens=900, output_tokens=90), told(0, input_tokens=100, output_tokens=20)],
         {"input_tokens": 100, "output_tokens": 20}),
        # The rest of an input, and the whole of it.
        ([told(1, input_tokens=40, output_tokens=20), told(0, input_tokens=100, output_tokens=20,
          cached_tokens=50, cache_write_tokens=10)],
         {"input_tokens": 100, "cached_tokens": 50, "cache_write_tokens": 10}),
        # A part that does not fit into the whole is not of it.
        ([told(1, input_tokens=40, output_tokens=20), told(0, input_tokens=300, output_tokens=20,
          cached_tokens=50)], {"input_tokens": 40, "cached_tokens": 0}),
        # Other quantities by their kind, the largest of each.
        ([told(input_tokens=9, quantities={"web_search_count": 2, "audio_seconds": 1.5}),
          told(input_tokens=9, quantities={"web_search_count": 3, "cache_write_1h_tokens": 4})],
         {"quantities": {"web_search_count": 3, "audio_seconds": 1.5, "cache_write_1h_tokens": 4}}),
        ([told(cost=Decimal("0.5")), told(input_tokens=1)], {"cost": Decimal("0.5")}),
    ],
)  # fmt: skip
def test_counts_are_put_together(several: list[tuple[int, merging.Counted]], right: dict[str, Any]) -> None:
    for order in itertools.permutations(several):
        event = UsageEvent(request_id="r", created_at=AT, status=Status.SUCCESS)
        merging.count(event, order)
        assert {name: getattr(event, name) for name in right} == right


def test_how_the_counts_were_read_is_that_of_those_that_are_taken() -> None:
    sound = told(0, BESIDE, input_tokens=100, output_tokens=20, cached_tokens=95)
    event = UsageEvent(request_id="r", created_at=AT, status=Status.SUCCESS)
    event.metadata = {COUNTS_READ: BROKEN, "scope": "x"}
    merging.count(event, [told(1, BROKEN, input_tokens=7, output_tokens=1), sound])
    assert event.metadata == {COUNTS_READ: BESIDE, "scope": "x"}
    merging.count(event, [told(input_tokens=7)])
    assert event.metadata == {"scope": "x"}


def test_what_is_kept_of_counts_comes_back() -> None:
    _, one = told(
        0,
        BESIDE,
        input_tokens=5,
        output_tokens=2**40,
        quantities={"pages": 2},
        cost=Decimal("0.000000012345"),
    )
    assert merging.decode(merging.encode(one)) == one
    assert msgspec.msgpack.decode(merging.encode(one))[0] is False


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_spans_that_contradict_themselves_give_way_in_any_order(
    sender: Sender, order: tuple[int, int]
) -> None:
    broken = {**CHAT, "gen_ai.usage.total_tokens": 77}
    sound = {**CHAT, "gen_ai.usage.input_tokens": 50, "gen_ai.usage.output_tokens": 6}
    bodies = [request(span(broken), scope="one"), request(span(sound), scope="two")]
    for number in order:
        sender.post(PATH, bodies[number])
    record = UsageRecord.objects.get()
    assert (record.input_tokens, record.output_tokens) == (50, 6)
    assert COUNTS_READ not in (record.metadata or {})
