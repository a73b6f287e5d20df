"""LiteLLM's callback and its OpenTelemetry from one proxy: one record a call, whichever comes first."""

from __future__ import annotations

import random
import threading
import time
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from logs.models import KnownSpan, Status, UsageRecord
from tests import captures
from tests.sending import Sender, sender
from tests.spans import PATH, request, span
from tests.sums import check_rollups

__all__ = ["sender"]

CALLBACK = "/api/v1/ingest/litellm"
START = time.time() - 600
BOTH = captures.FOLDER.parent / "cases" / "clients" / "03-both-order"


class Attempt:
    """One attempt at a call, as the proxy tells of it twice."""

    def __init__(
        self,
        at: float,
        *,
        call_id: str = "",
        response: str | None = None,
        failed: bool = False,
        lasts: float = 0.5,
        closed: bool = False,
        kind: str = "acompletion",
    ) -> None:
        self.call_id = call_id or str(uuid.uuid4())
        self.response, self.failed, self.closed, self.kind = response, failed, closed, kind
        self.at, self.ended = START + at, START + at + lasts
        self.ids = {"traceId": uuid.uuid4().hex, "spanId": uuid.uuid4().hex[:16]}

    def payload(self) -> dict[str, Any]:
        error = {
            "error_code": "503",
            "error_class": "ServiceUnavailableError",
            "error_message": "Busy.",
        }
        gone = {"error_code": "499", "error_class": "ClientDisconnected", "error_message": "Gone."}
        return {
            "id": self.response or self.call_id,
            "litellm_call_id": self.call_id,
            "call_type": self.kind,
            "status": "failure" if self.failed else "success",
            "startTime": self.at,
            "endTime": self.ended,
            "model": "openai/gpt-4o",
            "model_group": "gpt-4o",
            "prompt_tokens": 0 if self.failed else 100,
            "completion_tokens": 0 if self.failed else 10,
            "response_cost": 0 if self.failed else 0.001,
            "error_information": error if self.failed else gone if self.closed else {},
            "metadata": {"user_api_key_alias": "k", "user_api_key_user_id": "u"},
        }

    def span(self) -> dict[str, Any]:
        given: dict[str, Any] = {
            "gen_ai.operation.name": "embeddings" if "embed" in self.kind else "chat",
            "gen_ai.request.model": "gpt-4o",
            "litellm.call_id": self.call_id,
            "litellm.call_type": self.kind,
            "litellm.metadata.user_api_key_user_id": "u",
            "litellm.request.route": "/v1/chat/completions",
        }
        if self.response:
            given["gen_ai.response.id"] = self.response
        if self.failed:
            given |= {"error.type": "ServiceUnavailableError", "litellm.provider.error.code": "503"}
        else:
            given |= {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
            given["litellm.cost.total"] = 0.001
        # Its span begins when routing has chosen: a fallback's may be far behind the call's.
        start = self.at + (self.ended - self.at) / 3
        more: dict[str, Any] = {
            **self.ids,
            "startTimeUnixNano": str(round(start * 1e9)),
            "endTimeUnixNano": str(round(self.ended * 1e9)),
        }
        if self.failed:
            more["status"] = {"code": 2, "message": "Busy."}
        return span(given, **more)


def attempts() -> list[Attempt]:
    retried, twice = str(uuid.uuid4()), str(uuid.uuid4())
    return [
        Attempt(0, response="chatcmpl-a"),
        Attempt(1, failed=True),
        # Three attempts at one call, of which the last comes to an answer.
        Attempt(2, call_id=retried, failed=True, lasts=0.2),
        Attempt(3, call_id=retried, failed=True, lasts=0.2),
        Attempt(4, call_id=retried, response="chatcmpl-b"),
        Attempt(5, call_id=twice, failed=True, lasts=3),
        Attempt(9, call_id=twice, failed=True, lasts=3),
        Attempt(13, kind="aembedding"),
        Attempt(14, response="chatcmpl-c", closed=True),
        # An answer out of the cache, and the call that it was first.
        Attempt(15, response="chatcmpl-d"),
        Attempt(16, response="chatcmpl-d"),
    ]


def send(one: Sender, kind: str, some: list[Attempt]) -> None:
    if kind == "span":
        assert one.post(PATH, request(*(each.span() for each in some), scope="litellm")).json() == {}
    else:
        assert one.post(CALLBACK, [each.payload() for each in some]).json()["rejected"] == []


def check(one: Sender, made: list[Attempt]) -> None:
    records = UsageRecord.objects.filter(gateway=one.gateway)
    assert records.count() == len(made)
    assert sum(record.cost or 0 for record in records) == Decimal("0.001") * sum(not a.failed for a in made)
    failed = records.filter(status=Status.ERROR)
    assert failed.count() == sum(each.failed or each.closed for each in made)
    for record in records:
        ids = {record.request_id, record.upstream_request_id}
        assert any(each.call_id in ids for each in made)
        # What only the one tells, and what only the other does.
        told: Any = record.metadata
        assert told["trace_id"]
        assert told["call_type"]
        assert len(told["merged_spans"]) == 1
    assert KnownSpan.objects.filter(gateway_id=one.gateway.pk).values("record_id").distinct().count() == len(
        made
    )


@pytest.mark.parametrize("seed", range(6))
def test_both_of_a_proxy_are_one_record_in_any_order(sender: Sender, seed: int) -> None:
    chance = random.Random(seed)
    made = attempts()
    parts = [("span", [each]) for each in made] + [("callback", [each]) for each in made]
    chance.shuffle(parts)
    if seed % 2:
        # In batches, as both send.
        parts = [
            (kind, [each for k, some in parts if k == kind for each in some])
            for kind in (("span", "callback") if seed % 4 == 1 else ("callback", "span"))
        ]
    for kind, some in parts:
        send(sender, kind, some)
    check(sender, made)
    # The callback sends its queue again with each further record, the exporter what was not answered in time.
    for kind, some in parts:
        send(sender, kind, some)
    check(sender, made)
    check_rollups()


def test_the_record_is_the_callbacks_and_keeps_its_time(sender: Sender) -> None:
    made = Attempt(0, response="chatcmpl-a")
    for kind in ("span", "callback", "span"):
        send(sender, kind, [made])
    record = sender.record("chatcmpl-a")
    assert abs(record.created_at.timestamp() - made.at) < 1e-3
    assert (record.duration_ms, record.upstream_request_id, record.user.name) == (500, made.call_id, "u")


def test_a_gateway_that_sends_no_spans_is_not_looked_at(sender: Sender) -> None:
    send(sender, "callback", [Attempt(0, response="chatcmpl-a")])
    with CaptureQueriesContext(connection) as queries:
        send(sender, "callback", [Attempt(1, response="chatcmpl-b")])
    assert sum("usage_span" in query["sql"] for query in queries.captured_queries) == 1


@pytest.mark.django_db(transaction=True)
def test_both_at_the_same_moment_are_one_record(client: Client) -> None:
    one = Sender(client)
    made = [attempt for number in range(4) for attempt in attempts_from(number)]
    parts = [("span", made[n::4]) for n in range(4)] + [("callback", made[n::4]) for n in range(4)]
    random.Random(7).shuffle(parts)
    ready = threading.Barrier(len(parts))
    problems: list[BaseException] = []

    def run(kind: str, some: list[Attempt]) -> None:
        try:
            ready.wait(30)
            for _ in range(2):
                send(one, kind, some)
        except BaseException as problem:
            problems.append(problem)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=part) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    check(one, made)
    check_rollups()


def attempts_from(number: int) -> list[Attempt]:
    """Return attempts of their own, a minute later each time."""
    made = attempts()
    for each in made:
        each.at, each.ended = each.at + 60 * number, each.ended + 60 * number
        each.response = each.response and f"{each.response}-{number}"
    return made


@pytest.mark.skipif(
    not BOTH.is_dir(), reason="The recorded requests (../shared/cases) are not on this machine."
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_a_proxy_sent_is_one_record_an_attempt(sender: Sender, seed: int) -> None:
    paths = sorted(BOTH.iterdir())
    random.Random(seed).shuffle(paths)
    for path in paths:
        is_span = path.suffix == ".pb"
        kind = {"content_type": "application/x-protobuf"} if is_span else {}
        assert sender.post(PATH if is_span else CALLBACK, path.read_bytes(), **kind).status_code == 200
    records = UsageRecord.objects.all()
    assert records.count() == 83
    # What LiteLLM says of them, added up: one of them only a span tells of.
    assert sum(record.cost or 0 for record in records) == Decimal("0.03886712")
    check_rollups()
