"""A call is found by any ID that people come by: of its trace, its span, the provider, in whatever text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from accounts.models import User, UserIdentity
from logs.models import FurtherId, UsageRecord
from logs.models.further_ids import MOST_FOUND, digest_of, records_of
from routescope.text import pasted
from tests.cast import signed_in
from tests.sending import Sender, sender
from tests.spans import CHAT, PATH, request, span

__all__ = ["sender"]

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PROVIDERS = "req_0a1b2c3d4e5f60718293a4b5c6d7e8f9"
PAGE = "/records/usage/"

HEADERS = f"""HTTP/2 429
date: Fri, 27 Nov 2026 08:00:00 GMT
authorization: Bearer sk-proj-abcdefghijklmnopqrstuvwx1234
x-ratelimit-remaining-requests: 0
x-request-id: {PROVIDERS}
cf-ray: 7d1a2b3c4d5e6f70-FRA
"""
TRACEBACK = f"""Traceback (most recent call last):
  File "/srv/app/main.py", line 12, in <module>
    client.chat.completions.create(model="gpt-4o", messages=messages)
  File "/srv/app/lib/openai/_base_client.py", line 1047, in request
    raise self._make_status_error_from_response(err.response) from None
openai.RateLimitError: Error code: 429 - {{'error': {{'message': 'Slow down.', 'type': 'requests',
 'param': None, 'code': 'rate_limit_exceeded'}}, 'request_id': '{PROVIDERS}'}}
"""
BODY = json.dumps(
    {"type": "error", "error": {"type": "api_error", "message": "No."}, "request_id": PROVIDERS}
)
ANSWER = json.dumps(
    {
        "id": "chatcmpl-found",
        "object": "chat.completion",
        "model": "gpt-4o",
        "choices": [
            {"message": {"tool_calls": [{"id": "call_zzzzzzzzzzzzzzzz", "type": "function"}]}, "index": 0}
        ],
    },
    indent=2,
)


@pytest.fixture
def reader(sender: Sender, alice: User) -> Client:
    UserIdentity.objects.create(gateway=sender.gateway, name="agent-7", user=alice)
    return signed_in(alice)


def call(**more: Any) -> dict[str, Any]:
    given = {
        **CHAT,
        "gen_ai.response.id": "chatcmpl-found",
        "user.id": "agent-7",
        "aws.request_id": PROVIDERS,
    }
    return request(span({**given, **more}, traceId=TRACE, spanId=SPAN))


def found(client: Client, typed: str) -> list[str]:
    """Return the IDs of the records that a search lists."""
    answer = client.get(client.post(PAGE, {"request_id": typed})["Location"])
    records = UsageRecord.objects.values_list("request_id", flat=True)
    return [one for one in records if one in answer.content.decode()]


@pytest.mark.parametrize(
    "typed",
    [
        "chatcmpl-found", TRACE, SPAN, PROVIDERS, f"trace_id={TRACE}", f"00-{TRACE}-{SPAN}-01",
        f"traceparent: 00-{TRACE}-{SPAN}-01", HEADERS, TRACEBACK, BODY, ANSWER,
        f"[2026-11-27 08:00:00] ERROR app: upstream said 429 (x-request-id: {PROVIDERS}) in 812 ms",
    ],
)  # fmt: skip
def test_a_call_is_found(sender: Sender, reader: Client, typed: str) -> None:
    sender.post(PATH, call())
    sender.post(PATH, request(span({**CHAT, "gen_ai.response.id": "chatcmpl-other", "user.id": "agent-7"})))
    assert found(reader, typed) == ["chatcmpl-found"]


def test_a_trace_leads_to_all_its_calls_and_to_nobody_elses(
    sender: Sender, reader: Client, charlie: User
) -> None:
    for number in range(3):
        given = {**CHAT, "gen_ai.response.id": f"chatcmpl-of-{number}", "user.id": "agent-7"}
        sender.post(PATH, request(span(given, traceId=TRACE)))
    UserIdentity.objects.create(gateway=sender.gateway, name="agent-8", user=charlie)
    given = {**CHAT, "gen_ai.response.id": "chatcmpl-of-charlie", "user.id": "agent-8"}
    sender.post(PATH, request(span(given, traceId=TRACE)))
    assert sorted(found(reader, TRACE)) == ["chatcmpl-of-0", "chatcmpl-of-1", "chatcmpl-of-2"]
    assert found(signed_in(charlie), TRACE) == ["chatcmpl-of-charlie"]


def test_a_call_of_two_spans_is_found_by_either(sender: Sender, reader: Client) -> None:
    inner = span(
        {**CHAT, "gen_ai.response.id": "chatcmpl-found", "user.id": "agent-7"},
        traceId=TRACE, spanId="b" * 16, parentSpanId=SPAN,
    )  # fmt: skip
    sender.post(PATH, request(inner))
    sender.post(PATH, request(span({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m",
                                    "user.id": "agent-7"}, traceId=TRACE, spanId=SPAN)))  # fmt: skip
    assert UsageRecord.objects.count() == 1
    assert found(reader, SPAN) == found(reader, "b" * 16) == ["chatcmpl-found"]


def test_an_id_of_before_still_leads_to_the_call(sender: Sender, reader: Client) -> None:
    """A span without a response's ID is known by its own, until another span tells the response's."""
    outer = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "user.id": "agent-7"}
    sender.post(PATH, request(span(outer, traceId=TRACE, spanId=SPAN)))
    assert UsageRecord.objects.get().request_id == SPAN
    inner = span({**CHAT, "gen_ai.response.id": "chatcmpl-found"}, traceId=TRACE, parentSpanId=SPAN)
    sender.post(PATH, request(inner))
    assert UsageRecord.objects.get().request_id == "chatcmpl-found"
    assert found(reader, SPAN) == ["chatcmpl-found"]


def test_a_records_own_ids_take_no_further_room(sender: Sender) -> None:
    given = {name: value for name, value in CHAT.items() if name != "gen_ai.response.id"}
    sender.post(PATH, request(span(given, traceId=TRACE, spanId=SPAN)))
    assert set(FurtherId.objects.values_list("digest", flat=True)) == {digest_of(TRACE)}


def test_a_trace_that_goes_on_for_ever_leads_to_a_bounded_number(sender: Sender) -> None:
    for start in range(0, MOST_FOUND + 50, 350):
        spans = [span({**CHAT, "gen_ai.response.id": f"r{start + n}"}, traceId=TRACE) for n in range(350)]
        sender.post(PATH, request(*spans))
    assert len(records_of(TRACE)) == MOST_FOUND


def test_native_records_are_found_by_the_trace_in_their_metadata(sender: Sender) -> None:
    record = {"request_id": "req_native_1", "created_at": "2026-11-27T08:00:00Z", "type": "request",
              "status": "success", "model": "m", "metadata": {"trace_id": TRACE}}  # fmt: skip
    assert sender.post("/api/v1/usage", record).status_code == 200
    assert len(records_of(TRACE)) == 1


@pytest.mark.parametrize(
    ("text", "known", "right"),
    [
        # Of several IDs it is the one that something has.
        (HEADERS, PROVIDERS, PROVIDERS),
        (TRACEBACK, PROVIDERS, PROVIDERS),
        (ANSWER, "chatcmpl-found", "chatcmpl-found"),
        (ANSWER, "call_zzzzzzzzzzzzzzzz", "call_zzzzzzzzzzzzzzzz"),
        (f"a: {{'call_id': '{SPAN}', 'response_id': 'resp_77777777'}}", "resp_77777777", "resp_77777777"),
        # Nothing is known of any: what is likely is shown.
        (f"x-request-id: {PROVIDERS}", "", PROVIDERS),
    ],
)
def test_the_id_that_is_known_is_taken_out_of_a_text(text: str, known: str, right: str) -> None:
    assert pasted.found_in(text, lambda one: one == known) == right


def test_a_key_in_a_block_of_headers_is_never_looked_for() -> None:
    tried: list[str] = []

    def is_known(one: str) -> bool:
        tried.append(one)
        return False

    pasted.found_in(HEADERS, is_known)
    assert not [one for one in tried if "abcdefghijklmnop" in one and one.strip() != HEADERS.strip()]
    assert len(tried) < 20


def test_a_record_of_two_users_and_one_that_comes_again_are_kept(sender: Sender) -> None:
    """One gateway may say of an ID that it was somebody else's; and what went may come once more."""
    record = {"request_id": "req_native_1", "created_at": "2026-11-27T08:00:00Z", "type": "request",
              "status": "success", "model": "m", "metadata": {"trace_id": TRACE}}  # fmt: skip
    for name in ("agent-1", "agent-2"):
        assert sender.post("/api/v1/usage", {**record, "user": name}).json()["accepted"] == 1
    assert len({user for user, _ in records_of(TRACE)}) == 2
    UsageRecord.objects.all()._raw_delete("default")
    assert sender.post("/api/v1/usage", {**record, "user": "agent-1"}).json()["accepted"] == 1
    assert len(records_of(TRACE)) == 2
