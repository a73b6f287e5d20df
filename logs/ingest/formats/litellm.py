"""LiteLLM's generic API callback (``POST /api/v1/ingest/litellm``): bytes to events, no database.

A record is a StandardLoggingPayload, as LiteLLM 1.106-1.109 send it: a JSON array (elements may be null),
NDJSON or one object. Which ID is which:

- ``request_id`` is the payload's ``id``: the ID in the body that the client received (``chatcmpl-...``), or,
  where there was none (failures, embeddings, images), the call ID of its ``x-litellm-call-id`` header.
- ``upstream_request_id`` is the other one: ``litellm_call_id``, which is in the response's headers of every
  call and in the gateway's own logs; where it is the request ID already, the provider's ``x-request-id``.
- A record is known again by ``id`` as sent, not by the call ID: a failed attempt and its retry share that.

LiteLLM sends nothing again that was refused. So a field that cannot be read is left out, and named in the
record's metadata; only without a time, or without any ID, is a record refused.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec

from logs.ingest.formats import (
    call_types,
    counts,
    failures,
    litellm_cost,
    litellm_counts,
    litellm_payload,
    parameters,
    tolerant,
)
from logs.ingest.formats.decoding import decode_each
from logs.ingest.formats.failures import TakenApart
from logs.ingest.formats.litellm_payload import (
    NO_ERROR,
    NO_METADATA,
    NO_USAGE,
    Answer,
    ErrorInformation,
    Metadata,
    Named,
    Payload,
    Word,
)
from logs.models import RecordType, Status
from logs.models.events import Batch, JSONObject, UsageEvent
from routescope.text.identifiers import kept, shown
from routescope.wire.json_parts import is_within
from routescope.wire.reading import (
    MAX_COUNT,
    MAX_DEPTH,
    MAX_JSON_BYTES,
    MAX_NAME,
    MAX_PARTS,
    MAX_TEXT,
    RecordError,
    address,
    amount,
    built,
    cut,
    moment,
    split,
)

_CACHE_HIT_SUFFIX = "_cache_hit"
_CLIENT_CLOSED = 499
_TASK_CALLS = ("create_batch", "video_generation", "create_video", "create_fine_tuning_job")
_MAX_FREE_METADATA = 4096
_VERSION_1 = (
    "startTime: a payload of generic_api_use_v1, which has every value as text, times without a zone and no"
    " failures; remove it from litellm_settings"
)


_decode = msgspec.json.Decoder(Payload, strict=False).decode
_decode_breakdown = msgspec.json.Decoder(litellm_cost.CostBreakdown, strict=False).decode
_decode_named = msgspec.json.Decoder(Named).decode
_decode_answer = msgspec.json.Decoder(Answer).decode


def decode(body: bytes) -> Batch:
    """Decode a body. Raises FormatError where nothing can be decoded, or where it holds too much."""
    return decode_each((raw for raw in split(body) if raw != b"null"), _read, b"id")


def _read(raw: bytes) -> UsageEvent | None:
    try:
        return _event(_decode(raw), [])
    except (msgspec.DecodeError, RecursionError):
        return _event(*tolerant.decode(raw, Payload))


def _event(payload: Payload, left_out: list[str]) -> UsageEvent | None:
    """Return the record of a payload, None for what is no call of a model.

    ``left_out`` names the fields that could not be read.
    """
    if call_types.is_no_call(str(payload.call_type or "")):
        return None
    if payload.of_version_1:
        raise RecordError(_VERSION_1)
    metadata = payload.metadata or NO_METADATA
    information = payload.error_information or NO_ERROR
    sent = "" if payload.id is None else str(payload.id)
    identity = sent if sent.strip() else str(payload.litellm_call_id or "")
    if not (given := kept(identity.partition(_CACHE_HIT_SUFFIX)[0] or identity)):
        raise RecordError("id: neither this nor litellm_call_id is there")
    if payload.started is None:
        raise RecordError("startTime: missing, or not a time")
    call = kept(str(payload.litellm_call_id or "")) or None
    failed = payload.status == "failure" or _number(information.error_code) == _CLIENT_CLOSED
    told = _failed(payload, information) if failed else None
    asked = _object(payload.model_parameters, "model_parameters", left_out)
    stream = _streamed(payload, asked)
    usage = metadata.usage_object or NO_USAGE
    answer = _answer(payload)
    kind = _text(payload.call_type) or ""
    task = kind.removeprefix("a") in _TASK_CALLS and not failed
    event = UsageEvent(
        request_id=given,
        identity=identity,
        created_at=moment(payload.started, "startTime"),
        type=RecordType.TASK if task else RecordType.REQUEST,
        status=Status.ERROR if failed else Status.SUCCESS,
        user=_user(metadata.user_api_key_user_email) or _user(metadata.user_api_key_user_id),
        token=_token(metadata),
        group=_text(metadata.user_api_key_team_alias) or _text(metadata.user_api_key_team_id) or "",
        model=_text(payload.model_group) or _text(payload.model) or "",
        stream=stream,
        duration_ms=_between(payload.started, payload.ended),
        ttft_ms=_ttft(payload) if stream and not (failed and not payload.completion_tokens) else None,
        http_status=told.http_status if told else 200,
        endpoint=_text(metadata.user_api_key_request_route, MAX_TEXT) or kind or None,
        ip=address(_text(payload.requester_ip_address) or _text(metadata.requester_ip_address)),
        user_agent=_text(payload.user_agent, MAX_TEXT) or _text(metadata.user_agent, MAX_TEXT),
        image_count=len(answer.data) if answer.data and "image" in kind else None,
        quantities=litellm_counts.quantities(usage) or None,
        cost=None if _unpriced(payload) else _cost(payload, left_out),
        error=told.failure() if told else None,
        parameters=parameters.without_content(asked),
        upstream_request_id=call if call != given else _provider_request_id(payload, information),
        provider=_text(payload.custom_llm_provider),
        channel=_text(payload.model_id),
        input=payload.messages or None,
        output=payload.response or None,
        task_id=kept(str(answer.id or "")) or None if task else None,
        token_facts=litellm_payload.token_facts(metadata),
    )
    counts.put(event, litellm_counts.told(payload, usage))
    if payload.cost_breakdown and event.cost is not None:
        event.billing = _billing(payload.cost_breakdown, event, left_out)
    if event.billing is None and (tier := _text(usage.service_tier)):
        event.billing = {"service_tier": tier}
    further = _further(payload, metadata, information, left_out)
    event.metadata = {**further, **(event.metadata or {})} or None
    return event


def _cost(payload: Payload, left_out: list[str]) -> Decimal | None:
    try:
        cost = amount(payload.response_cost)
    except RecordError:
        cost = None
        left_out.append("response_cost")
    if cost is not None and cost < 0:
        left_out.append("response_cost")
        return None
    return cost


def _billing(breakdown: msgspec.Raw, event: UsageEvent, left_out: list[str]) -> JSONObject | None:
    try:
        given = _decode_breakdown(breakdown) if len(bytes(breakdown)) <= MAX_JSON_BYTES else None
        return litellm_cost.billing(given, event) if given else None
    except (msgspec.DecodeError, RecursionError):
        if bytes(breakdown) != b"null":
            left_out.append("cost_breakdown")
        return None


def _object(raw: msgspec.Raw, name: str, left_out: list[str]) -> JSONObject:
    """Return an object within the bounds of what may be built, else nothing."""
    if not raw or (value := built(raw)) is None:
        if raw and bytes(raw) != b"null":
            left_out.append(name)
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Word, at_most: int = MAX_NAME) -> str | None:
    """Return a word, None for an empty one: LiteLLM writes either for "not known"."""
    return shown(str(value))[:at_most] or None if value is not None else None


def _user(value: Word) -> str:
    return "" if value is None else str(value).strip()[:MAX_NAME]


def _number(code: Word) -> int | None:
    """Return an HTTP status out of an error code, which may also be a word or empty."""
    text = _text(code) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) == 3 else None


def _token(metadata: Metadata) -> str:
    if alias := _text(metadata.user_api_key_alias):
        return alias
    key = _text(metadata.user_api_key_hash)
    return f"key {key[:12]}" if key else ""


def _streamed(payload: Payload, parameters: JSONObject) -> bool | None:
    if payload.stream is not None:
        return payload.stream
    # A failed stream has "stream": null at the top.
    asked = parameters.get("stream")
    return asked if isinstance(asked, bool) else False


def _between(start: float, end: float | None) -> int | None:
    if end is None or not end >= start:
        return None
    return round(min((end - start) * 1000, MAX_COUNT))


def _ttft(payload: Payload) -> int | None:
    return None if payload.started is None else _between(payload.started, payload.first_chunk)


def _answer(payload: Payload) -> Answer:
    kind = str(payload.call_type)
    if not payload.response or not ("image" in kind or kind.removeprefix("a") in _TASK_CALLS):
        return Answer()
    if not is_within(bytes(payload.response), depth=MAX_DEPTH, parts=MAX_PARTS):
        return Answer()
    try:
        return _decode_answer(payload.response)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Answer()


def _answered_model(payload: Payload) -> str | None:
    """Return the model that the answer names, where that is not the record's."""
    if not bytes(payload.response).startswith(b"{"):
        return None
    try:
        named = _text(_decode_named(payload.response).model)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if named in (_text(payload.model_group), _text(payload.model)) else named


def _unpriced(payload: Payload) -> bool:
    """Tell whether LiteLLM's cost is no price: it writes 0 for a model that it has none of."""
    unknown = bytes(payload.response_cost_failure_debug_info) not in (b"", b"null")
    return unknown and not payload.response_cost


def _provider_request_id(payload: Payload, information: ErrorInformation) -> str | None:
    if told := kept(str(information.error_provider_request_id or "")):
        return told
    headers = _object(payload.hidden_params.additional_headers, "", []) if payload.hidden_params else {}
    found = headers.get("llm_provider-x-request-id") or headers.get("llm_provider-request-id")
    return kept(found) or None if isinstance(found, str) else None


def _failed(payload: Payload, information: ErrorInformation) -> TakenApart:
    """Return what a failure tells, its HTTP status included.

    That is often only in the class LiteLLM maps an error to, or in the message of the SDK beneath.
    """
    said = _prose(information.error_message) or _prose(payload.error_str)
    told = failures.of_text(said)
    kind, code = _text(information.error_class), _text(information.error_code)
    number = _number(code)
    if number is not None:
        # Only the HTTP status again. A budget's refusal says more.
        code = "budget_exceeded" if _text(information.error_budget_entity_type) else None
    return TakenApart(
        http_status=number or told.http_status or failures.of_class(kind),
        type=kind or told.type,
        code=code or told.code,
        message=said or None,
        param=told.param,
    )


def _prose(value: Word) -> str:
    return cut("" if value is None else str(value).strip(), 10 * MAX_TEXT)


def _further(
    payload: Payload, metadata: Metadata, information: ErrorInformation, left_out: list[str]
) -> JSONObject:
    """Return what has no column of its own, empty values left out."""
    tags = (built(payload.request_tags) if payload.request_tags else None) or []
    given: JSONObject = {
        "call_type": _text(payload.call_type),
        "trace_id": _text(payload.trace_id),
        "session_id": _text(payload.session_id),
        "answered_model": _answered_model(payload),
        "upstream_model": _text(payload.model) if payload.model != payload.model_group else None,
        "api_base": _without_query(_text(payload.api_base, MAX_TEXT)),
        "cache_hit": payload.cache_hit or None,
        "tags": [_text(tag) for tag in tags[:50] if isinstance(tag, str)] or None
        if isinstance(tags, list)
        else None,
        "user_id": _text(metadata.user_api_key_user_id),
        "team_id": _text(metadata.user_api_key_team_id),
        "org_id": _text(metadata.user_api_key_org_id),
        "end_user": _text(payload.end_user) or _text(metadata.user_api_key_end_user_id),
        "provider_request_id": _provider_request_id(payload, information),
        "normalized_error": _text(information.normalized_error),
        "rate_limit_category": _text(information.error_rate_limit_category),
        "rate_limit_type": _text(information.error_rate_limit_type),
        "budget_entity": _text(information.error_budget_entity_id),
        "budget_limit": _text(information.error_budget_limit),
        "budget_spend": _text(information.error_budget_spend),
        "requester_metadata": _small(metadata.requester_metadata),
        "spend_logs_metadata": _small(metadata.spend_logs_metadata),
        "left_out": sorted(set(left_out)) or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _without_query(url: str | None) -> str | None:
    """Cut what may hold a key: credentials and the query."""
    try:
        parts = urlsplit(url or "")
        host = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        return None
    return f"{parts.scheme}://{host}{parts.path}" if host else None


def _small(raw: msgspec.Raw) -> Any:
    return built(raw) or None if raw and len(bytes(raw)) <= _MAX_FREE_METADATA else None
