"""Logs and metrics over OTLP: a wholly configured SDK has no error to tell; content finds its call."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from logs.content import contents
from logs.ingest import span_contents
from logs.maintenance.jobs import forget_spans
from logs.models import ContentPolicy, Level, SpanContent, UsageContent, UsageRecord
from tests.sending import Sender, sender
from tests.spans import CHAT, PATH, attributes, request, span, value

__all__ = ["sender"]

LOGS, METRICS = "/v1/logs", "/v1/metrics"
PROTOBUF = "application/x-protobuf"
TRACE, SPAN = "a" * 32, "b" * 16
ASKED, SAID = "Where is parcel 2210?", "In the depot at Lindau."


def call() -> dict[str, Any]:
    return request(span(CHAT, traceId=TRACE, spanId=SPAN))


def message(name: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    kept = {"kvlistValue": {"values": [{"key": key, "value": value(part)} for key, part in body.items()]}}
    return {"traceId": TRACE, "spanId": SPAN, "eventName": name, "body": kept, **more}


def logs(*records: dict[str, Any]) -> dict[str, Any]:
    return {"resourceLogs": [{"scopeLogs": [{"scope": {"name": "app"}, "logRecords": list(records)}]}]}


def said() -> list[dict[str, Any]]:
    return [
        logs({"body": value("An ordinary line.")}, message("gen_ai.user.message", {"content": ASKED})),
        logs(message("gen_ai.choice", {"message": SAID, "finish_reason": "stop"})),
    ]


def kept() -> tuple[Any, Any]:
    record = UsageRecord.objects.get()
    [content] = contents.load(record.user_id, [record.pk]).values()
    assert content is not None
    return content.input, content.output


@pytest.mark.parametrize("path", [LOGS, METRICS])
@pytest.mark.parametrize("body", [b"{}", b'{"resourceLogs":[],"resourceMetrics":[]}'])
def test_what_is_not_kept_is_taken_without_an_error(sender: Sender, path: str, body: bytes) -> None:
    answer = sender.post(path, body)
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "application/json", b"{}")


def test_protobuf_is_answered_in_protobuf(sender: Sender) -> None:
    metrics = ExportMetricsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="gen_ai.client.token.usage")
    answer = sender.post(METRICS, metrics.SerializeToString(), content_type=PROTOBUF)
    assert (answer.status_code, answer["Content-Type"]) == (200, PROTOBUF)
    assert ExportMetricsServiceResponse.FromString(answer.content) == ExportMetricsServiceResponse()
    sent = ExportLogsServiceRequest()
    record = sent.resource_logs.add().scope_logs.add().log_records.add()
    record.body.string_value = "An ordinary line."
    packed = gzip.compress(sent.SerializeToString())
    answer = sender.post(LOGS, packed, content_type=PROTOBUF, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 200
    assert ExportLogsServiceResponse.FromString(answer.content) == ExportLogsServiceResponse()


@pytest.mark.parametrize("path", [LOGS, METRICS])
@pytest.mark.parametrize(
    ("body", "content_type", "headers", "status"),
    [
        (b"\xff\xff\xff", PROTOBUF, {}, 400),
        (b"{", "application/json", {}, 400),
        (b"[]", "application/json", {}, 400),
        (b"{}", "application/json", {"Authorization": "Bearer wrong"}, 401),
        (b"x", "text/plain", {}, 415),
        (b"not gzip", PROTOBUF, {"Content-Encoding": "gzip"}, 400),
    ],
)
def test_errors_are_those_of_traces(
    sender: Sender, path: str, body: bytes, content_type: str, headers: dict[str, str], status: int
) -> None:
    assert sender.post(path, body, content_type=content_type, **headers).status_code == status


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0), (2, 1, 0)])
def test_content_joins_the_record_of_its_span_whatever_comes_first(
    sender: Sender, order: tuple[int, ...]
) -> None:
    ContentPolicy.objects.create(level=Level.FULL, gateway=sender.gateway)
    bodies = [(PATH, call()), *((LOGS, body) for body in said())]
    for number in order:
        path, body = bodies[number]
        assert sender.post(path, body).content == b"{}"
    given, answered = kept()
    assert (given[0]["content"], answered[0]["message"]) == (ASKED, SAID)
    assert not SpanContent.objects.exists()


def test_the_details_of_an_operation_are_content(sender: Sender) -> None:
    ContentPolicy.objects.create(level=Level.FULL, gateway=sender.gateway)
    sender.post(PATH, call())
    told = {
        "gen_ai.input.messages": json.dumps([{"role": "user", "content": ASKED}]),
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "content": SAID}]),
    }
    named = {**told, "event.name": "gen_ai.client.inference.operation.details"}
    record = {"traceId": TRACE, "spanId": SPAN, "attributes": attributes(named)}
    sender.post(LOGS, logs(record))
    given, answered = kept()
    assert (given[0]["content"], answered[0]["content"]) == (ASKED, SAID)


def test_protobuf_tells_content_too(sender: Sender) -> None:
    ContentPolicy.objects.create(level=Level.FULL, gateway=sender.gateway)
    sender.post(PATH, call())
    sent = ExportLogsServiceRequest()
    record = (
        sent.resource_logs.add()
        .scope_logs.add()
        .log_records.add(
            trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex(SPAN), event_name="gen_ai.user.message"
        )
    )
    record.body.kvlist_value.values.add(key="content").value.string_value = ASKED
    sender.post(LOGS, sent.SerializeToString(), content_type=PROTOBUF)
    assert kept()[0][0]["content"] == ASKED


def test_without_a_policy_nothing_is_kept_and_nothing_waits(sender: Sender) -> None:
    for path, body in [(LOGS, said()[0]), (PATH, call()), (LOGS, said()[1])]:
        sender.post(path, body)
    assert not UsageContent.objects.exists()
    assert not SpanContent.objects.exists()


def test_content_waits_encrypted_and_not_for_long(sender: Sender) -> None:
    ContentPolicy.objects.create(level=Level.FULL, gateway=sender.gateway)
    sender.post(LOGS, said()[0])
    assert ASKED.encode() not in bytes(SpanContent.objects.get().body)
    SpanContent.objects.update(received_at=timezone.now() - span_contents.KEEP - timedelta(seconds=1))
    forget_spans()
    assert not SpanContent.objects.exists()


def test_only_so_much_content_waits(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_contents, "MOST_WAITING", 2)
    ContentPolicy.objects.create(level=Level.FULL, gateway=sender.gateway)
    for number in range(4):
        sender.post(LOGS, logs(message("gen_ai.choice", {"message": SAID}, spanId=f"{number + 1:016x}")))
    assert sorted(row.span_id for row in SpanContent.objects.all()) == [3, 4]
