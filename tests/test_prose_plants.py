"""Prose planted into every text of every format: where nothing of content may be kept, a dump holds none.

Names and IDs stay what they are (who called, with which token and model, under which ID). Of errors, the
operator chose here to keep type and code alone.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from accounts.models import ErrorTexts, Gateway
from logs.models import UsageRecord
from tasks.models import AsyncTask
from tests import captures, secret_kinds
from tests.sending import Sender, sender

__all__ = ["sender"]

pytestmark = pytest.mark.django_db

MARK = "velociraptor"
PROSE = f"Dear Doctor Okonkwo, my aunt's purple {MARK} refuses its nutmeg pudding"
ENCODED = PROSE.replace(" ", "%20").replace(",", "%2C")
# Columns of names and IDs, by table; a record's table stands for its partitions.
_NAMES = {
    "usage_record": {"request_id", "upstream_request_id", "task_id"},
    "tasks_asynctask": {"task_id", "provider_task_id", "request_id", "platform"},
    **dict.fromkeys(("tasks_sum_pending", "tasks_sum_hour", "tasks_sum_day"), frozenset(("platform",))),
    **dict.fromkeys(
        (
            "accounts_aimodel", "accounts_apitoken", "accounts_group", "accounts_user",
            "accounts_tokenidentity", "accounts_groupidentity", "accounts_useridentity",
        ),
        frozenset(("name",)),
    ),
}  # fmt: skip
_ERRORS = {f"usage_record.error_{part}" for part in ("type", "code", "message", "param")} | {
    f"tasks_asynctask.failure_{part}" for part in ("code", "message")
}
NOW = time.time() - 600

NATIVE = {
    "request_id": "req",
    "created_at": NOW,
    "user": "alice@example.com",
    "token": "prod",
    "group": "vip",
    "model": "gpt-5",
    "status": "error",
    "http_status": 400,
    "endpoint": "/v1/chat/completions",
    "provider": "openai",
    "channel": "east",
    "user_agent": "python/3.13",
    "input": {"messages": [{"role": "user", "content": "x"}]},
    "output": {"choices": [{"message": {"content": "x"}}]},
    "error": {"type": "t", "code": "c", "message": "m", "param": "p"},
    "parameters": {
        "temperature": 0.5, "stop": ["x"], "deep": {"a": [{"b": "x"}]}, "response_format": {"type": "x"},
        "user": "x",
    },
    "metadata": {"team": "x", "tags": ["x"], "trace": {"id": "x"}, "note": "x", "url": "https://x.example/?q=x"},
    "billing": {"items": [{"name": "x", "unit": "x", "amount": "0.1"}], "source": "x", "note": {"a": "x"}},
    "attempts": [
        {"channel": "x", "status": "error", "error": "x", "note": "x", "more": {"a": ["x"]}},
        {"error": {"message": "x", "type": "x"}, "provider": "x"},
    ],
}  # fmt: skip
LITELLM = {
    "id": "chatcmpl-1",
    "trace_id": "t",
    "call_type": "acompletion",
    "status": "failure",
    "startTime": NOW,
    "endTime": NOW + 1,
    "completionStartTime": NOW + 1,
    "model": "gpt-5",
    "model_group": "g",
    "model_id": "m",
    "api_base": "https://api.example/v1",
    "custom_llm_provider": "openai",
    "request_tags": ["x", "y"],
    "end_user": "x",
    "user_agent": "x",
    "requester_ip_address": "",
    "messages": [{"role": "user", "content": "x"}],
    "response": {"choices": [{"message": {"content": "x"}}]},
    "error_str": "x",
    "error_information": {
        "error_code": "400", "error_class": "x", "llm_provider": "x", "traceback": "x", "error_message": "x"
    },
    "model_parameters": {"temperature": 1, "stop": "x", "extra_body": {"a": "x"}, "tools": [{"name": "x"}]},
    "hidden_params": {"model_id": "x", "cache_key": "x", "api_base": "x", "additional_headers": {"a": "x"}},
    "metadata": {
        "user_api_key_alias": "prod",
        "user_api_key_user_id": "alice@example.com",
        "user_api_key_team_alias": "x",
        "requester_metadata": {"a": "x"},
        "spend_logs_metadata": {"a": {"b": "x"}},
        "requester_custom_headers": {"a": "x"},
        "prompt_management_metadata": {"a": "x"},
        "vector_store_request_metadata": [{"a": "x"}],
        "guardrail_information": {"a": "x"},
        "mcp_tool_call_metadata": {"a": "x", "arguments": {"q": "x"}},
        "applied_guardrails": ["x"],
    },
    "cost_breakdown": {"input_cost": 0.1, "note": "x"},
    "guardrail_information": [{"guardrail_name": "x", "guardrail_response": "x"}],
    "standard_built_in_tools_params": {"a": "x"},
}  # fmt: skip
TASK = {
    "task_id": "task",
    "created_at": NOW,
    "user": "alice@example.com",
    "token": "prod",
    "group": "vip",
    "model": "m",
    "request_id": "r",
    "platform": "somebody",
    "type": "other",
    "status": "failed",
    "provider_status": "x",
    "provider_task_id": "p",
    "result": {"a": "x", "list": [{"b": "x"}], "text": "x"},
    "error": {"type": "x", "code": "c", "message": "x"},
    "poll": {"url": "https://api.example/v1", "parameters": {"a": "x"}},
}


def _span(scope: str = "x", name: str = "chat", **attributes: str) -> dict[str, Any]:
    now = int(NOW * 1e9)
    listed = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    event = {
        "name": "exception",
        "timeUnixNano": str(now),
        "attributes": [
            {"key": f"exception.{key}", "value": {"stringValue": "x"}}
            for key in ("message", "type", "stacktrace")
        ],
    }
    span = {
        "traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "name": name, "kind": 3,
        "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 10**9),
        "attributes": listed, "events": [event], "status": {"code": 2, "message": "x"},
    }  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "x"}}]}
    within = [{"scope": {"name": scope}, "spans": [span]}]
    return {"resourceSpans": [{"resource": resource, "scopeSpans": within}]}


SPANS = _span(**{
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-5", "gen_ai.response.model": "gpt-5", "gen_ai.response.id": "resp",
    "gen_ai.input.messages": "x", "gen_ai.output.messages": "x", "gen_ai.system_instructions": "x",
    "gen_ai.tool.definitions": "x", "gen_ai.prompt": "x", "gen_ai.completion": "x",
    "gen_ai.prompt.0.content": "x", "gen_ai.completion.0.content": "x",
    "llm.request.functions.0.description": "x", "input.value": "x",
    "output.value": "x", "llm.input_messages.0.message.content": "x", "llm.invocation_parameters": "x",
    "metadata": "x", "tag.tags": "x", "session.id": "x", "user.id": "alice@example.com", "error.type": "x",
    "traceloop.entity.input": "x", "traceloop.entity.output": "x", "ai.prompt": "x", "ai.response.text": "x",
    "ai.telemetry.metadata.note": "x", "langfuse.observation.input": "x", "langfuse.trace.metadata.note": "x",
    "url.full": "https://x.example/?q=x", "server.address": "x", "user_agent.original": "x",
    "custom.note": "x",
    "gen_ai.request.stop_sequences": "x", "gen_ai.conversation.id": "x", "gen_ai.agent.name": "x",
    "gen_ai.agent.description": "x", "gen_ai.tool.name": "x", "gen_ai.tool.call.arguments": "x",
})  # fmt: skip

_RESULT = {"generations": [[{"text": "x", "message": {"kwargs": {"content": "x", "response_metadata": {
    "body": {"error": {"message": "x", "type": "x", "code": "x"}}, "finish_reason": "x"}}}}]]}  # fmt: skip
DIALECTS = [
    _span("ai", "ai.generateText.doGenerate", **{
        "ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "gpt-5", "ai.prompt.messages": "x",
        "ai.response.text": "x", "ai.response.toolCalls": "x", "ai.response.reasoning": "x",
        "ai.settings.context": "x", "ai.telemetry.metadata.note": "x", "ai.telemetry.functionId": "x",
        "ai.response.providerMetadata": '{"openai": {"note": "x"}}', "ai.prompt.tools": "x",
        "ai.request.headers.user-agent": "x",
    }),
    _span("langsmith", **{
        "langsmith.span.kind": "llm", "gen_ai.request.model": "gpt-5", "gen_ai.prompt": "x",
        "gen_ai.completion": json.dumps(_RESULT), "langsmith.metadata.note": "x", "langsmith.trace.name": "x",
        "langsmith.metadata.usage_metadata": '{"note": "x"}', "langsmith.span.tags": "x",
    }),
    _span("litellm", "raw_gen_ai_request", **{
        "llm.openai.model": "gpt-5", "llm.openai.messages": "x", "llm.openai.choices": "x",
        "llm.openai.extra_body": "x", "llm.openai.usage": "{'note': 'x'}", "llm.openai.object": "chat",
        "llm.openai.user": "x",
    }),
    _span("openinference.instrumentation.langchain", **{
        "openinference.span.kind": "LLM", "llm.model_name": "gpt-5", "output.value": json.dumps(_RESULT),
        "input.value": '{"messages": ["x"]}', "llm.tools.0.tool.json_schema": "x", "metadata": "x",
        "llm.prompt_template.template": "x", "embedding.embeddings.0.embedding.text": "x",
    }),
    _span("logfire.openai", **{
        "url": "/audio/speech", "request_data": '{"model": "tts-1", "input": "x"}', "logfire.msg": "x",
        "logfire.json_schema": "x", "response_data": '{"message": {"content": "x"}}',
    }),
]  # fmt: skip
EVENTS = {
    "resourceLogs": [{"scopeLogs": [{"scope": {"name": "x"}, "logRecords": [
        {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "eventName": "gen_ai.user.message",
         "body": {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "x"}}]}},
         "attributes": [{"key": "note", "value": {"stringValue": "x"}}]},
        {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "body": {"stringValue": "x"}, "attributes": [
            {"key": "event.name", "value": {"stringValue": "gen_ai.client.inference.operation.details"}},
            {"key": "gen_ai.input.messages", "value": {"stringValue": "x"}}]},
    ]}]}],
}  # fmt: skip


def planted(body: Any, text: str) -> Iterator[Any]:
    """Yield a copy of a body for each text in it, that text replaced; and for each field of free names."""
    for path in _paths(body):
        other = copy.deepcopy(body)
        at = other
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = text
        yield other


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        if isinstance(one, str) and key not in ("key", "traceId", "spanId"):
            yield (*path, key)
        else:
            yield from _paths(one, (*path, key))


def numbered(name: str) -> Callable[[Any, int], None]:
    """Return what gives each body an ID of its own."""

    def number(body: Any, place: int) -> None:
        body[name] = f"{body[name]}-{place}"

    return number


def number_span(body: Any, place: int) -> None:
    span = body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span |= {"spanId": f"{place + 1:016x}", "traceId": f"{place + 1:032x}"}
    for attribute in span["attributes"]:
        if attribute["key"] == "gen_ai.response.id":
            attribute["value"]["stringValue"] += f"-{place}"


def stored() -> Iterator[tuple[str, str, str]]:
    """Yield each value of every table there is: table, column, text."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = 'public'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT to_jsonb(t) FROM "{table}" t')
            for (row,) in cursor.fetchall():
                for column, value in json.loads(row).items():
                    if column == "billing" and value:
                        value = {name: said for name, said in value.items() if name != "model"}
                    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                    yield table, column, said


def survivors() -> set[tuple[str, str]]:
    """Return where the prose is found, but for columns of names and IDs."""
    return {
        (f"{table}.{column}", text)
        for table, column, text in stored()
        if MARK in text and column not in _NAMES.get(table, ())
    }


in_every_format = pytest.mark.parametrize(
    ("path", "body", "number"),
    [
        ("/api/v1/usage", NATIVE, numbered("request_id")),
        ("/api/v1/ingest/litellm", LITELLM, numbered("id")),
        ("/v1/traces", SPANS, number_span),
        ("/api/v1/tasks", TASK, numbered("task_id")),
    ],
    ids=["native", "litellm", "otlp", "task"],
)


@pytest.mark.parametrize("text", [PROSE, ENCODED, json.dumps({"note": PROSE}), f"name={PROSE}"])
@in_every_format
def test_no_prose_is_kept_where_nothing_may_be(
    sender: Sender, path: str, body: Any, number: Callable[[Any, int], None], text: str
) -> None:
    Gateway.objects.filter(pk=sender.gateway.pk).update(error_texts=ErrorTexts.CODES)
    count = 0
    for place, sent in enumerate(planted(body, text)):
        number(sent, place)
        answer = sender.post(path, sent)
        assert answer.status_code < 500
        count += 1
    assert UsageRecord.objects.count() + AsyncTask.objects.count() > count / 2, "most of them arrive"
    assert survivors() == set()


def _less_errors(column: str, text: str) -> str:
    """Return what a column holds besides the errors of attempts."""
    if column != "usage_record.attempts":
        return text
    return json.dumps([{k: v for k, v in attempt.items() if k != "error"} for attempt in json.loads(text)])


@in_every_format
def test_where_errors_are_kept_they_alone_hold_prose(
    sender: Sender, path: str, body: Any, number: Callable[[Any, int], None]
) -> None:
    for place, sent in enumerate(planted(body, PROSE)):
        number(sent, place)
        sender.post(path, sent)
    kept = {column if MARK in _less_errors(column, text) else "" for column, text in survivors()} - {""}
    assert kept <= _ERRORS
    assert kept


@in_every_format
def test_no_key_is_kept_wherever_it_stood(
    sender: Sender, path: str, body: Any, number: Callable[[Any, int], None]
) -> None:
    key = secret_kinds.drawn(secret_kinds.BY_SHAPE["openai project"], "planted")[0]
    for text in (key, f"Bearer {key}", json.dumps({"api_key": key})):
        for place, sent in enumerate(planted(body, text)):
            number(sent, place)
            assert sender.post(path, sent).status_code < 500
    assert [(table, column) for table, column, said in stored() if key[:60] in said] == []


def test_names_of_fields_may_be_prose_too(sender: Sender) -> None:
    fields = {PROSE: 1, "a": {PROSE: "b"}}
    sent = {**NATIVE, "parameters": fields, "metadata": fields, "billing": fields, "attempts": [fields]}
    sender.post("/api/v1/usage", sent)
    assert UsageRecord.objects.count() == 1
    assert survivors() == set()


@captures.needed
def test_recorded_bodies_keep_no_prose_either(sender: Sender) -> None:
    Gateway.objects.filter(pk=sender.gateway.pk).update(error_texts=ErrorTexts.CODES)
    number = numbered("id")
    place = 0
    for body in json.loads(captures.load("litellm/json_array").body):
        for sent in planted(body, PROSE):
            number(sent, place := place + 1)
            assert sender.post("/api/v1/ingest/litellm", sent).status_code < 500
    assert place >= 100
    assert survivors() == set()


@pytest.mark.parametrize("text", [PROSE, json.dumps({"note": PROSE})])
@pytest.mark.parametrize("body", DIALECTS, ids=["ai", "langsmith", "litellm raw", "langchain", "logfire"])
def test_no_dialect_of_spans_keeps_prose(sender: Sender, body: Any, text: str) -> None:
    Gateway.objects.filter(pk=sender.gateway.pk).update(error_texts=ErrorTexts.CODES)
    bodies = [*planted(body, text), *inside(body, text)]
    for place, sent in enumerate(bodies):
        number_span(sent, place)
        assert sender.post("/v1/traces", sent).status_code == 200
    assert UsageRecord.objects.count() > len(bodies) / 2, "most of them arrive"
    assert survivors() == set()


def inside(body: Any, text: str) -> Iterator[Any]:
    """Yield copies of a body with a text planted into what its attributes hold as JSON or as a literal."""
    for number, attribute in enumerate(body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]):
        written = attribute["value"]["stringValue"]
        for mark in ('"x"', "'x'"):
            if written.startswith("{") and mark in written:
                other = copy.deepcopy(body)
                at = other["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"][number]
                at["value"]["stringValue"] = written.replace(mark, json.dumps(text))
                yield other


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_events_keep_no_prose_beside_their_span(sender: Sender, order: tuple[int, int]) -> None:
    for sent in planted(EVENTS, PROSE):
        both = [("/v1/traces", SPANS), ("/v1/logs", sent)]
        for number in order:
            assert sender.post(*both[number]).json() == {}
    assert UsageRecord.objects.count() == 1
    assert survivors() == set()
