"""Spans of one trace: which of them are one call, in whatever order and requests they come."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.utils import timezone

from logs.ingest.calls import span_rows
from logs.ingest.calls.ancestry import Fact, Key, related
from logs.models import KnownSpan, Status, UsageRecord
from tests.sending import Sender, sender
from tests.spans import PATH, request, span
from tests.sums import check_rollups

__all__ = ["sender"]

TRACE = "5" * 32
OUTER, BETWEEN, INNER, THIRD = (f"{number:016x}" for number in (0xA1, 0xA2, 0xA3, 0xA4))
ASKED = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
REFUSED = {
    "code": 2,
    "message": "Error code: 429 - {'error': {'message': 'Slow down.', 'code': 'rate_limit_exceeded'}}",
}


def used(tokens_in: int, tokens_out: int, response: str | None = None, **more: Any) -> dict[str, Any]:
    given = {
        **ASKED,
        "gen_ai.usage.input_tokens": tokens_in,
        "gen_ai.usage.output_tokens": tokens_out,
        **more,
    }
    return {**given, "gen_ai.response.id": response} if response else given


def call(
    given: dict[str, Any], own: str, parent: str = "", *, scope: str = "one", at: float = 0.0,
    lasts: float = 1.0, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    ids = {"traceId": TRACE, "spanId": own, **({"parentSpanId": parent} if parent else {})}
    return request(span(given, at=at, lasts=lasts, **ids, **more), scope=scope)


def orders(bodies: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return every order of some requests, and every order of all of them in one."""
    found = [list(order) for order in itertools.permutations(bodies)]
    return found + [[_one(order)] for order in found]


def _one(bodies: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceSpans": [part for body in bodies for part in body["resourceSpans"]]}


def stored(sender: Sender, number: int, bodies: list[dict[str, Any]]) -> list[Any]:
    """Send requests twice, as a gateway of their own, and return the records that they make."""
    one = Sender(sender.client, f"gateway {number}")
    for body in bodies * 2:
        assert one.post(PATH, body).json() == {}
    return list(UsageRecord.objects.filter(gateway=one.gateway).order_by("created_at", "pk"))


def test_a_call_within_a_call_is_the_same_one_whatever_lies_between(sender: Sender) -> None:
    bodies = [
        call({**used(340, 16), "user.id": "ann"}, OUTER, lasts=2),
        call({"http.request.method": "POST"}, BETWEEN, OUTER, scope="http", at=0.1, lasts=1.8),
        call(
            used(340, 16, "resp-1", **{"gen_ai.usage.reasoning_tokens": 4}),
            INNER,
            BETWEEN,
            scope="two",
            at=0.2,
        ),
    ]
    for number, order in enumerate(orders(bodies)):
        [record] = stored(sender, number, order)
        told = (record.request_id, record.input_tokens, record.output_tokens, record.reasoning_tokens)
        assert told == ("resp-1", 340, 16, 4)
        assert (record.user.name, record.duration_ms) == ("ann", 2000)
    check_rollups()


def test_a_refused_call_within_a_call_is_one(sender: Sender) -> None:
    bodies = [
        call(ASKED, OUTER, status={"code": 2}),
        call(ASKED, INNER, OUTER, scope="two", at=0.1, lasts=0.5, status=REFUSED),
    ]
    for number, order in enumerate(orders(bodies)):
        [record] = stored(sender, number, order)
        assert (record.status, record.http_status, record.error_code) == (
            Status.ERROR,
            429,
            "rate_limit_exceeded",
        )
    check_rollups()


def test_a_call_that_tells_of_no_answer_around_a_refused_one_is_refused(sender: Sender) -> None:
    """Pydantic AI ends the span of a stream that was refused without its failure."""
    bodies = [
        call({**ASKED, "gen_ai.response.model": "gpt-4o"}, OUTER, lasts=2),
        call(ASKED, INNER, OUTER, scope="two", at=0.1, lasts=0.5, status=REFUSED),
        call(ASKED, THIRD, OUTER, scope="two", at=0.7, lasts=0.5, status=REFUSED),
    ]
    for number, order in enumerate(orders(bodies[:2])):
        [record] = stored(sender, number, order)
        assert (record.status, record.http_status) == (Status.ERROR, 429)
    for number, order in enumerate(orders(bodies), 100):
        assert [record.status for record in stored(sender, number, order)] == [Status.ERROR] * 2
    check_rollups()


def test_attempts_within_a_call_stay_attempts(sender: Sender) -> None:
    bodies = [
        call(used(100, 10), OUTER, lasts=3),
        call(ASKED, INNER, OUTER, scope="two", at=0.1, lasts=0.5, status=REFUSED),
        call(used(100, 10, "resp-1"), THIRD, OUTER, scope="two", at=1),
    ]
    for number, order in enumerate(orders(bodies)):
        records = stored(sender, number, order)
        assert sorted((r.status, r.input_tokens) for r in records) == [
            (Status.SUCCESS, 100),
            (Status.ERROR, 0),
        ]
    check_rollups()


def test_attempts_that_all_failed_are_as_many(sender: Sender) -> None:
    bodies = [
        call(ASKED, OUTER, lasts=3, status={"code": 2}),
        call(ASKED, INNER, OUTER, scope="two", at=0.1, lasts=0.5, status=REFUSED),
        call(ASKED, THIRD, OUTER, scope="two", at=1, lasts=1.9, status=REFUSED),
    ]
    for number, order in enumerate(orders(bodies)):
        assert [record.status for record in stored(sender, number, order)] == [Status.ERROR] * 2
    check_rollups()


def test_the_sum_of_several_calls_is_no_call_and_swallows_none(sender: Sender) -> None:
    bodies = [
        call({**used(300, 30), "gen_ai.usage.cost": 0.5}, OUTER, lasts=3),
        call(used(100, 10, "resp-1"), INNER, OUTER, scope="two", at=0.5),
        call(used(200, 20, "resp-2"), THIRD, OUTER, scope="two", at=1.5),
    ]
    for number, order in enumerate(orders(bodies)):
        records = stored(sender, number, order)
        told = sorted((r.request_id, r.input_tokens, r.output_tokens, r.duration_ms) for r in records)
        assert told == [("resp-1", 100, 10, 1000), ("resp-2", 200, 20, 1000)]
        # gpt-4o: 2.50 and 10 USD for a million. What the sum cost is no call's.
        assert sorted(float(r.cost or 0) for r in records) == [0.00035, 0.0007]
    check_rollups()


def test_an_answer_of_its_own_is_a_call_with_others_within(sender: Sender) -> None:
    bodies = [
        call(used(50, 5, "resp-0"), OUTER, lasts=3),
        call(used(100, 10, "resp-1"), INNER, OUTER, scope="two", at=0.5),
        call(used(200, 20, "resp-2"), THIRD, OUTER, scope="two", at=1.5),
    ]
    for number, order in enumerate(orders(bodies)):
        assert [r.request_id for r in stored(sender, number, order)] == ["resp-0", "resp-1", "resp-2"]
    check_rollups()


def test_siblings_are_calls_of_their_own(sender: Sender) -> None:
    around = call({"gen_ai.operation.name": "invoke_agent"}, OUTER)
    bodies = [
        around,
        call(used(1, 1), INNER, OUTER, at=0.1, lasts=0.2),
        call(used(1, 1), THIRD, OUTER, at=0.5),
    ]
    for number, order in enumerate(orders(bodies)):
        assert len(stored(sender, number, order)) == 2


def test_a_stream_of_two_spans_within_a_call_is_one(sender: Sender) -> None:
    asked = {**ASKED, "request_data": '{"model":"gpt-4o"}'}
    usage = {"logfire.span_type": "log", "duration": 0.6, **used(9, 3, "resp-1")}
    bodies = [
        call(used(9, 3), OUTER, lasts=2),
        call({**asked, "logfire.span_type": "span"}, INNER, OUTER, scope="logfire.openai", at=0.1, lasts=0.2),
        call({**asked, **usage}, THIRD, OUTER, scope="logfire.openai", at=0.91, lasts=0),
    ]
    for number, order in enumerate(orders(bodies)):
        [record] = stored(sender, number, order)
        assert (record.request_id, record.input_tokens, record.stream) == ("resp-1", 9, True)
    check_rollups()


def test_twins_of_one_refused_call_in_traces_of_their_own_are_one(sender: Sender) -> None:
    inner = request(span(ASKED, at=0.001, lasts=0.5, status=REFUSED), scope="sdk")
    outer = request(span(ASKED, lasts=0.503, status={"code": 2}), scope="instrumentation")
    again = request(span(ASKED, at=1, lasts=0.5, status=REFUSED), scope="sdk")
    for number, order in enumerate(orders([inner, outer, again])):
        assert len(stored(sender, number, order)) == 2
    check_rollups()


def test_spans_between_calls_expire_and_go(sender: Sender) -> None:
    sender.post(PATH, call({"http.request.method": "POST"}, BETWEEN, OUTER))
    # A trace without a call so far is kept for less long.
    assert KnownSpan.objects.get().expires_at < timezone.now() + span_rows.KEEP_LONE_LINKS
    KnownSpan.objects.update(expires_at="2020-01-01T00:00:00Z")
    sender.post(PATH, call(used(1, 1), INNER, BETWEEN))
    assert [known.span_id for known in KnownSpan.objects.all()] == [int(INNER, 16)]


# --- Without a database ------------------------------------------------------------------------------------


def fact(name: str, **more: Any) -> Fact:
    return Fact(key=("t", name), failed=False, started=0, ended=1, **more)


@pytest.mark.parametrize(
    "parents",
    [
        {("t", "a"): ("t", "a")},
        {("t", "a"): ("t", "b"), ("t", "b"): ("t", "a")},
        {("t", "a"): ("t", "x"), ("t", "x"): ("t", "y"), ("t", "y"): ("t", "x")},
    ],
)
def test_circles_end(parents: dict[Key, Key | None]) -> None:
    calls = {("t", "a"): fact("a"), ("t", "b"): fact("b")}
    related(calls, parents, {key: key for key in calls}, {})


def test_a_gateway_gives_an_answer_another_id_than_its_provider() -> None:
    outer = fact("a", response="1", input=5, output=5)
    calls = {("t", "a"): outer, ("t", "b"): fact("b", response="2", input=5, output=5)}
    parents: dict[Key, Key | None] = {("t", "b"): ("t", "a")}
    assert related(calls, parents, {key: key for key in calls}, {}).same == [(("t", "a"), ("t", "b"))]
    calls["t", "b"] = fact("b", response="2", input=5, output=6)
    assert related(calls, parents, {key: key for key in calls}, {}).same == []
