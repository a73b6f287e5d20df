"""A fault of ours is logged, and answered so that the gateway sends again: never told as a record's fault."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Gateway, User
from logs.causes import judging
from logs.ingest import batches
from logs.ingest.formats import litellm, native
from logs.ingest.formats.spans import reading
from logs.models import UsageRecord
from logs.models.events import UsageEvent
from tests.cast import event, store
from tests.sending import Sender, sender
from tests.sums import check_rollups

__all__ = ["sender"]

AT = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
IDS = [f"req_{number}" for number in range(9)]
BAD = "req_5"
ERRORS = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, OverflowError, RecursionError)


def _native() -> bytes:
    return json.dumps(
        [{"request_id": one, "created_at": AT.isoformat(), "user": "alice@example.com"} for one in IDS]
    ).encode()


def _litellm() -> bytes:
    return json.dumps(
        [{"id": one, "startTime": AT.timestamp(), "metadata": {"user_api_key_user_id": "u"}} for one in IDS]
    ).encode()


def _otlp() -> bytes:
    spans = [
        {
            "traceId": f"{number:032x}",
            "spanId": f"{number:016x}",
            "startTimeUnixNano": str(int(AT.timestamp()) * 10**9),
            "endTimeUnixNano": str(int(AT.timestamp()) * 10**9),
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                {"key": "gen_ai.response.id", "value": {"stringValue": one}},
            ],
        }
        for number, one in enumerate(IDS, 1)
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


SENT = {
    "/api/v1/usage": (_native, (native, "kept")),
    "/api/v1/ingest/litellm": (_litellm, (litellm, "kept")),
    "/v1/traces": (_otlp, (reading, "kept")),
}


def _check(sender: Sender, path: str, caplog: pytest.LogCaptureFixture, undo: Any) -> None:
    body = SENT[path][0]()
    with caplog.at_level(logging.ERROR):
        answer = sender.post(path, body)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert any(record.exc_info for record in caplog.records), "no traceback"
    kept = set(UsageRecord.objects.values_list("request_id", flat=True))
    assert kept == set(IDS) - {BAD}, "the neighbours are kept meanwhile"
    undo()
    answer = sender.post(path, body)
    assert answer.status_code == 200
    if path != "/v1/traces":
        assert answer.json() == {"accepted": 1, "duplicates": len(IDS) - 1, "rejected": []}
    assert UsageRecord.objects.count() == len(IDS)
    check_rollups()


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("path", SENT)
def test_in_storing(
    sender: Sender,
    path: str,
    kind: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    judge = judging.judge

    def broken(event: UsageEvent) -> Any:
        if event.request_id == BAD:
            raise kind("a mistake in the code")
        return judge(event)

    monkeypatch.setattr(batches, "judge", broken)
    _check(sender, path, caplog, monkeypatch.undo)


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if kind is not RecursionError])
@pytest.mark.parametrize("path", SENT)
def test_in_reading(
    sender: Sender,
    path: str,
    kind: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    module, name = SENT[path][1]
    whole = getattr(module, name)

    def broken(text: str) -> str:
        if text == BAD:
            raise kind("a mistake in the code")
        return str(whole(text))

    monkeypatch.setattr(module, name, broken)
    _check(sender, path, caplog, monkeypatch.undo)


@pytest.mark.parametrize("path", SENT)
def test_in_everything(
    sender: Sender, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What fails for every record ends soon, and keeps nothing."""

    def broken(*_: object) -> None:
        raise TypeError("a mistake in the code")

    monkeypatch.setattr(batches, "price_events", broken)
    body = SENT[path][0]()
    assert sender.post(path, body).status_code == 503
    assert not UsageRecord.objects.exists()
    monkeypatch.undo()
    assert sender.post(path, body).status_code == 200
    assert UsageRecord.objects.count() == len(IDS)


BROKEN: dict[str, dict[str, Any]] = {
    "an HTTP status": {"http_status": 70_000},
    "a count": {"input_tokens": 2**31},
    "a duration": {"duration_ms": -(2**31) - 1},
    "an address": {"ip": "none"},
    "a long number": {"metadata": {"n": 10**50}},
    "a deep one": {"parameters": {"x": json.loads("[" * 300 + "]" * 300)}},
    "a long name": {"token": "t" * 300},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_many_bad_records_cost_no_transaction_each(
    alice: User, gateway: Gateway, broken: dict[str, Any]
) -> None:
    store(gateway, event())
    events = [event(minutes=number, **(broken if number % 10 else {})) for number in range(400)]
    with CaptureQueriesContext(connection) as asked:
        outcome = store(gateway, *events)
    assert (outcome.accepted, len(outcome.rejected)) == (40, 360)
    assert len(asked) < 40
    assert {rejection.request_id for rejection in outcome.rejected} == {
        one.request_id for number, one in enumerate(events) if number % 10
    }
    check_rollups()


def test_what_the_checks_let_through_is_found_in_a_bounded_number_of_tries(
    alice: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the checks PostgreSQL refuses: one such record is named, and a batch of them ends soon."""
    monkeypatch.setattr("logs.ingest.storable.check", lambda event: None)
    events = [event(minutes=number) for number in range(300)]
    events[77] = event(user_agent="a\0")
    outcome = store(gateway, *events)
    assert (outcome.accepted, [one.index for one in outcome.rejected]) == (299, [77])
    with CaptureQueriesContext(connection) as asked, pytest.raises(Exception, match="0x00"):
        store(gateway, *(event(minutes=n, user_agent="a\0") for n in range(3_000)))
    assert len(asked) < 2_000
