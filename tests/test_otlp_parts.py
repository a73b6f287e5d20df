"""Calls that come in several spans: one record, in whatever order they come."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from logs.models import Cause, Status, UsageRecord
from routescope.data.ids import moment_of
from tests.sending import Sender, sender
from tests.spans import CHAT, NOW, PATH, request, span
from tests.sums import check_rollups

__all__ = ["sender"]


def parts(of: list[dict[str, Any]], scope: str = "app") -> Iterator[list[dict[str, Any]]]:
    """Yield every order of the spans, in requests of their own and in one."""
    for order in itertools.permutations(of):
        yield [request(one, scope=scope) for one in order]
        yield [request(*order, scope=scope)]


def state(record: UsageRecord) -> tuple[Any, ...]:
    return (record.status, record.input_tokens, record.output_tokens, record.cached_tokens, record.stream)


def test_a_record_is_completed_by_a_later_span_of_the_same_response(sender: Sender) -> None:
    start = {name: part for name, part in CHAT.items() if "usage" not in name}
    for number, requests in enumerate(
        parts([span(start, at=0, lasts=0.2), span({**CHAT, "gen_ai.usage.cost": 0.5}, at=0.2, lasts=1)])
    ):
        one = Sender(sender.client, f"gateway {number}")
        for body in requests * 2:
            assert one.post(PATH, body).json() == {}
            check_rollups()
        record = UsageRecord.objects.get(gateway=one.gateway)
        assert (record.input_tokens, record.output_tokens, record.cost) == (100, 10, Decimal("0.5"))
        assert record.duration_ms == 1200
        assert record.created_at == datetime.fromtimestamp(NOW, UTC)
        assert moment_of(record.pk) == record.created_at


def test_a_later_failure_moves_the_record_to_the_errors(sender: Sender) -> None:
    sender.post(PATH, request(span(CHAT)))
    failed = {"code": 2, "message": "Error code: 500 - {'error': {'message': 'Broken.'}}"}
    sender.post(PATH, request(span(CHAT, status=failed), scope="another"))
    record = sender.record("chatcmpl-1")
    assert (record.status, record.cause, record.http_status) == (Status.ERROR, Cause.MODEL_RESPONSE, 500)
    check_rollups()


def test_what_the_catalogue_priced_is_priced_anew_when_completed(sender: Sender) -> None:
    start = {name: part for name, part in CHAT.items() if "usage" not in name}
    for body in (request(span(start)), request(span(CHAT, at=1)), request(span(CHAT))):
        sender.post(PATH, body)
    record = sender.record("chatcmpl-1")
    # gpt-4o in the catalogue: 100 tokens in at 2.50 USD and 10 out at 10 USD for a million.
    assert record.cost == Decimal("0.00035")
    check_rollups()


def test_a_completion_keeps_the_names_that_it_does_not_tell(sender: Sender) -> None:
    sender.post(PATH, request(span({**CHAT, "litellm.team.alias": "vip", "user.id": "ann"})))
    sender.post(PATH, request(span({"gen_ai.operation.name": "chat", "gen_ai.response.id": "chatcmpl-1",
                                    "gen_ai.usage.reasoning_tokens": 4}), scope="two"))  # fmt: skip
    record = sender.record("chatcmpl-1")
    assert (record.group.name, record.user.name, record.model.name) == ("vip", "ann", "gpt-4o")
    assert record.reasoning_tokens == 4
    check_rollups()


def test_two_instrumentations_of_one_call_are_one_record(sender: Sender) -> None:
    sender.post(PATH, request(span(CHAT), scope="one"))
    sender.post(PATH, request(span({**CHAT, "gen_ai.usage.reasoning_tokens": 4}), scope="two"))
    record = sender.record("chatcmpl-1")
    assert (record.input_tokens, record.reasoning_tokens) == (100, 4)
    check_rollups()


def test_a_cached_answer_with_the_same_response_id_is_another_call(sender: Sender) -> None:
    first, second = span(CHAT), span(CHAT, at=5)
    for body in (request(first), request(second), request(second), request(first, second)):
        sender.post(PATH, body)
    assert UsageRecord.objects.filter(request_id="chatcmpl-1").count() == 2
    check_rollups()


def _halves(at: float = 0.0, prompt: str = "hello", lasts: float = 2.0) -> list[dict[str, Any]]:
    asked = {
        "request_data": '{"model":"gpt-4o"}',
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.input.messages": prompt,
    }
    usage = {
        "logfire.span_type": "log", "duration": lasts, "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.raw": '{"prompt_tokens_details":{"cached_tokens":60}}',
    }  # fmt: skip
    return [
        span({**asked, "logfire.span_type": "span"}, at=at, lasts=0.3),
        span({**asked, **usage}, at=at + 0.301 + lasts, lasts=0),
    ]


def test_both_halves_of_a_stream_of_logfire_are_one_record_in_any_order(sender: Sender) -> None:
    for number, requests in enumerate(parts(_halves(), scope="logfire.openai")):
        one = Sender(sender.client, f"gateway {number}")
        for body in requests * 2:
            assert one.post(PATH, body).json() == {}
            check_rollups()
        record = UsageRecord.objects.get(gateway=one.gateway)
        assert state(record) == (Status.SUCCESS, 100, 10, 60, True)
        assert record.duration_ms == 2301
        assert record.created_at == datetime.fromtimestamp(NOW, UTC)


def test_equal_streams_at_once_are_told_apart_by_time(sender: Sender) -> None:
    first, second = _halves(at=0, lasts=2), _halves(at=0.5, lasts=2)
    for body in (
        request(first[0], second[0], scope="logfire.openai"),
        request(second[1], first[1], scope="logfire.openai"),
    ):
        sender.post(PATH, body)
    records = list(UsageRecord.objects.order_by("created_at"))
    assert [state(record) for record in records] == [(Status.SUCCESS, 100, 10, 60, True)] * 2
    assert [record.duration_ms for record in records] == [2301, 2301]
    check_rollups()


def test_a_stream_that_never_ends_is_a_record_all_the_same(sender: Sender) -> None:
    sender.post(PATH, request(_halves()[0], scope="logfire.openai"))
    assert state(UsageRecord.objects.get()) == (Status.SUCCESS, 0, 0, 0, True)
