"""What a span says about a model call, in all the names that instrumentations give it.

Source: the GenAI semantic conventions old and new, OpenLLMetry, OpenInference, logfire and LiteLLM, as their
releases of 2026 send them. Where old and new names come together they say the same thing: the first one found
counts, and nothing is ever added up. ``gen_ai.aggregated_usage.*`` of agent spans is not read at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from logs.ingest.formats import parameters, span_content, span_errors
from logs.ingest.formats.span import Half, Reading, Span
from logs.models import Status
from logs.models.events import JSONObject, UsageEvent
from routescope.data.ids import EPOCH
from routescope.text.identifiers import kept, shown
from routescope.wire.reading import MAX_COUNT, MAX_NAME, MAX_TEXT, RecordError, address, amount, built

MODEL_OPERATIONS = frozenset({
    "chat", "completion", "text_completion", "generate_content", "generate", "embedding", "embeddings", "llm",
    "message", "messages", "response", "responses", "image_generation", "image_edit", "speech",
    "transcription", "translation", "moderation", "rerank", "reranker", "anthropic_messages",
})  # fmt: skip
_OTHER_OPERATIONS = frozenset({
    "agent", "chain", "create_agent", "evaluator", "execute_tool", "fetch_response", "guardrail",
    "invoke_agent", "invoke_workflow", "retrieval", "retriever", "task", "tool", "workflow", "prompt",
})  # fmt: skip
_OTHER_SPANS = frozenset({"raw_gen_ai_request", "fetch_response"})

_OPERATION = ("gen_ai.operation.name", "llm.request.type", "openinference.span.kind")
_RESPONSE_MODEL = ("gen_ai.response.model",)
_REQUEST_MODEL = ("gen_ai.request.model", "llm.model_name", "embedding.model_name", "llm.request.model")
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "gen_ai.model.provider", "llm.provider", "llm.system")
_RESPONSE_ID = ("gen_ai.response.id", "llm.response.id")
_CALL_ID = ("litellm.call_id", "gen_ai.request.id")
_INPUT = (
    "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
)  # fmt: skip
_OUTPUT = (
    "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
    "llm.usage.completion_tokens",
)  # fmt: skip
_CACHED = (
    "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cache_read_tokens", "gen_ai.usage.details.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.input_cached_tokens",
    "gen_ai.usage.details.cached_tokens", "llm.token_count.prompt_details.cache_read",
)  # fmt: skip
_WRITTEN = (
    "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.cache_write_tokens",
    "gen_ai.usage.details.cache_write_tokens", "llm.token_count.prompt_details.cache_write",
)  # fmt: skip
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens", "llm.token_count.completion_details.reasoning",
)  # fmt: skip
_AUDIO_IN = ("gen_ai.usage.details.input_audio_tokens", "llm.token_count.prompt_details.audio")
_AUDIO_OUT = ("gen_ai.usage.details.output_audio_tokens", "llm.token_count.completion_details.audio")
_COST = ("gen_ai.usage.cost", "operation.cost", "gen_ai.cost.total_cost", "litellm.cost.total")
_TTFT = ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
_STREAM = ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming")
_TOKEN = ("metadata.user_api_key_alias", "litellm.metadata.user_api_key_alias", "litellm.key.alias")
_USER = (
    "metadata.user_api_key_user_email", "litellm.metadata.user_api_key_user_email",
    "metadata.user_api_key_user_id", "litellm.metadata.user_api_key_user_id", "user.id", "enduser.id",
)  # fmt: skip
_GROUP = (
    "litellm.team.alias", "metadata.user_api_key_team_alias", "litellm.metadata.user_api_key_team_alias",
    "litellm.team.id", "metadata.user_api_key_team_id", "litellm.metadata.user_api_key_team_id",
)  # fmt: skip
_REQUEST = "gen_ai.request."
_NO_PARAMETERS = frozenset({"model", "stream", "id"})
_FIRST_TOKEN_EVENT = "First Token Stream Event"  # noqa: S105


class _RawDetails(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _RawUsage(msgspec.Struct):
    """``gen_ai.usage.raw`` of logfire: the provider's own usage object."""

    prompt_tokens_details: _RawDetails | None = None
    input_tokens_details: _RawDetails | None = None
    completion_tokens_details: _RawDetails | None = None
    output_tokens_details: _RawDetails | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Answer(msgspec.Struct):
    id: str | None = None


_NO_DETAILS = _RawDetails()


def read(span: Span) -> Reading | None:
    """Return the model call of a span, None for a span of anything else. Raises RecordError for a bad
    one."""
    attributes = span.attributes
    if not is_model_call(span):
        return None
    if len(span.trace_id) != 32 or len(span.span_id) != 16:
        raise RecordError("traceId, spanId: not 16 and 8 bytes")
    started, ended = _moment(span.start_ns), _moment(span.end_ns)
    sent_id = _id(attributes, _RESPONSE_ID) or _inner_response_id(attributes)
    response_id = kept(sent_id) or None
    call_id = kept(_id(attributes, _CALL_ID)) or None
    half = _half(span, response_id, started, ended)
    if half is not None and half.is_usage:
        started = half.met_at
    http_status, error = span_errors.read(span)
    failed = span.failed or error is not None
    name = f"{span.trace_id}:{span.span_id}"
    given = _json_object(attributes.get("llm.invocation_parameters"))
    # OpenInference names the model of a failed call only among the parameters.
    asked = _text(attributes, _REQUEST_MODEL) or _text(given, ("model",))
    model = _text(attributes, _RESPONSE_MODEL) or asked or ""
    stream = _first(attributes, _STREAM, bool)
    if stream is None:
        stream = given.get("stream") if isinstance(given.get("stream"), bool) else (True if half else None)
    event = UsageEvent(
        request_id=response_id or call_id or span.span_id,
        identity=name if not response_id else None if response_id == sent_id else sent_id,
        created_at=started,
        status=Status.ERROR if failed else Status.SUCCESS,
        user=_user(attributes),
        token=_text(attributes, _TOKEN) or _text(span.resource, ("service.name",)) or "",
        group=_text(attributes, _GROUP) or "",
        model=model,
        stream=stream,
        duration_ms=_milliseconds(ended - started),
        ttft_ms=_ttft(span),
        http_status=http_status if http_status or failed else 200,
        endpoint=_text(attributes, ("url.path", "http.route"), MAX_TEXT) or _operation(attributes) or None,
        ip=address(_text(attributes, ("client.address",))),
        user_agent=_text(attributes, ("user_agent.original",), MAX_TEXT),
        cost=_cost(attributes),
        error=error,
        parameters=parameters.without_content(_parameters(attributes, given)),
        upstream_request_id=call_id if response_id and call_id != response_id else None,
        provider=_text(attributes, _PROVIDER),
        input=span_content.of_input(span),
        output=span_content.of_output(span),
        metadata=_metadata(span, asked if asked != model else None),
    )
    _count(event, attributes)
    return Reading(
        event=event, span=name, scope=span.scope, has_response_id=response_id is not None, half=half
    )


def is_model_call(span: Span) -> bool:
    """Tell whether a span is one call of a model, not an agent, tool or workflow around such calls."""
    if span.name in _OTHER_SPANS:
        return False
    operation = _operation(span.attributes)
    if operation in _OTHER_OPERATIONS:
        return False
    named = _text(span.attributes, _RESPONSE_MODEL) or _text(span.attributes, _REQUEST_MODEL)
    if operation in MODEL_OPERATIONS or operation.removeprefix("a") in MODEL_OPERATIONS:
        return True
    if operation:
        # An operation of a later convention: a model is what makes it a call.
        return bool(named)
    used = _first(span.attributes, _INPUT + _OUTPUT, int | float | str) is not None
    return bool(named) and (used or _text(span.attributes, _RESPONSE_ID) is not None)


def _operation(attributes: Mapping[str, Any]) -> str:
    return (_text(attributes, _OPERATION) or "").lower()


def _half(span: Span, response_id: str | None, started: datetime, ended: datetime) -> Half | None:
    attributes = span.attributes
    if not span.scope.startswith("logfire") or response_id or span.failed or "request_data" not in attributes:
        return None
    took = attributes.get("duration")
    is_usage = attributes.get("logfire.span_type") == "log" and isinstance(took, int | float)
    if not is_usage and _first(attributes, _INPUT + _OUTPUT, int) is not None:
        return None
    same = (span.resource.get("service.name"), span.resource.get("service.instance.id"))
    asked = (attributes.get(n) for n in ("request_data", "gen_ai.request.model", "gen_ai.input.messages"))
    key = hashlib.blake2b(repr((same, *asked)).encode(), digest_size=16).hexdigest()
    # The bound comes first: of a number that is none, it is what stays.
    lasted = timedelta(seconds=max(min(86_400.0, float(took)), 0.0)) if is_usage and took else timedelta(0)
    return Half(key=key, is_usage=is_usage, met_at=started - lasted if is_usage else ended)


def _count(event: UsageEvent, attributes: Mapping[str, Any]) -> None:
    """Set the tokens: input including cached, output including reasoning."""
    raw = _raw_usage(attributes)
    given = (raw.prompt_tokens_details or raw.input_tokens_details or _NO_DETAILS) if raw else _NO_DETAILS
    made = (raw.completion_tokens_details or raw.output_tokens_details or _NO_DETAILS) if raw else _NO_DETAILS
    read = (given.cached_tokens or raw.cache_read_input_tokens) if raw else None
    cached = _tokens(attributes, _CACHED) or _clamped(read) or 0
    written = _tokens(attributes, _WRITTEN) or _clamped(raw.cache_creation_input_tokens if raw else None)
    reasoning = _tokens(attributes, _REASONING)
    if reasoning is None:
        reasoning = _clamped(made.reasoning_tokens)
    event.input_tokens = _tokens(attributes, _INPUT) or 0
    event.output_tokens = _tokens(attributes, _OUTPUT) or 0
    # A part larger than the whole shows that this instrumentation counts them side by side.
    if cached > event.input_tokens:
        event.input_tokens = min(event.input_tokens + cached, MAX_COUNT)
    if (reasoning or 0) > event.output_tokens:
        event.output_tokens = min(event.output_tokens + (reasoning or 0), MAX_COUNT)
    event.cached_tokens = cached
    event.cache_write_tokens = written or None
    event.reasoning_tokens = reasoning
    event.audio_input_tokens = _tokens(attributes, _AUDIO_IN) or None
    event.audio_output_tokens = _tokens(attributes, _AUDIO_OUT) or None


def _raw_usage(attributes: Mapping[str, Any]) -> _RawUsage | None:
    raw = attributes.get("gen_ai.usage.raw")
    if not isinstance(raw, str):
        return None
    try:
        return msgspec.json.decode(raw, type=_RawUsage)
    except (msgspec.DecodeError, RecursionError):
        return None


def _inner_response_id(attributes: Mapping[str, Any]) -> str:
    """OpenInference has the response's ID only inside the response itself."""
    answer = attributes.get("output.value")
    if not isinstance(answer, str) or not answer.startswith("{"):
        return ""
    try:
        return (msgspec.json.decode(answer, type=_Answer).id or "").strip()
    except (msgspec.DecodeError, RecursionError):
        return ""


def _id(attributes: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Return the first of the named attributes that says something, whole; nothing where none does."""
    for name in names:
        value = attributes.get(name)
        if (
            isinstance(value, str | int | float)
            and not isinstance(value, bool)
            and (text := str(value).strip())
        ):
            return text
    return ""


def _user(attributes: Mapping[str, Any]) -> str:
    return _id(attributes, _USER)[:MAX_NAME]


def _ttft(span: Span) -> int | None:
    seconds = _first(span.attributes, _TTFT, int | float)
    if seconds is not None:
        return round(seconds * 1000) if 0 <= seconds < MAX_COUNT / 1000 else None
    for happened in span.events:
        if happened.name == _FIRST_TOKEN_EVENT and happened.time_ns >= span.start_ns:
            return min((happened.time_ns - span.start_ns) // 1_000_000, MAX_COUNT)
    return None


def _cost(attributes: Mapping[str, Any]) -> Decimal | None:
    value = _first(attributes, _COST, int | float | str)
    if value is None:
        return None
    try:
        cost = amount(Decimal(str(value)))
    except (InvalidOperation, RecordError):
        return None
    return cost if cost is None or cost >= 0 else None


def _parameters(attributes: Mapping[str, Any], given: JSONObject) -> JSONObject:
    named = {
        name.removeprefix(_REQUEST): value
        for name, value in attributes.items()
        if name.startswith(_REQUEST) and not name.startswith("gen_ai.request.header")
    }
    return {name: value for name, value in {**given, **named}.items() if name not in _NO_PARAMETERS}


def _metadata(span: Span, asked: str | None) -> JSONObject:
    attributes = span.attributes
    reasons = attributes.get("gen_ai.response.finish_reasons") or attributes.get("llm.finish_reason")
    if isinstance(reasons, str):
        # logfire sends the list as JSON text, OpenInference one word.
        reasons = built(reasons.encode()) or [reasons]
    kept = {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "scope": span.scope[:MAX_NAME] or None,
        "service": _text(span.resource, ("service.name",)),
        "environment": _text(span.resource, ("deployment.environment.name", "deployment.environment")),
        "requested_model": asked,
        "finish_reasons": [str(r)[:50] for r in reasons[:10]] if isinstance(reasons, list) else None,
        "session_id": _text(attributes, ("session.id", "gen_ai.conversation.id")),
        "api_base": _text(attributes, ("server.address",)),
        "left_out": sorted({shown(name)[:MAX_NAME] for name in span.left_out})[:20],
    }
    return {name: value for name, value in kept.items() if value}


def _json_object(text: Any) -> JSONObject:
    value = built(text.encode()) if isinstance(text, str) else None
    return value if isinstance(value, dict) else {}


def _moment(nanoseconds: int) -> datetime:
    try:
        return EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        raise RecordError("startTimeUnixNano, endTimeUnixNano: out of range") from None


def _milliseconds(lasted: timedelta) -> int | None:
    value = round(lasted.total_seconds() * 1000)
    return value if 0 <= value <= MAX_COUNT else None


def _first(attributes: Mapping[str, Any], names: tuple[str, ...], kind: Any) -> Any:
    """Return the first of the named attributes that is there with a value of this kind."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
    return None


def _text(attributes: Mapping[str, Any], names: tuple[str, ...], at_most: int = MAX_NAME) -> str | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            text = shown(str(value))[:at_most]
            if text:
                return text
    return None


def _tokens(attributes: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            continue
        try:
            return _clamped(int(value))
        except (ValueError, OverflowError):
            continue
    return None


def _clamped(value: int | None) -> int | None:
    return None if value is None else min(max(value, 0), MAX_COUNT)
