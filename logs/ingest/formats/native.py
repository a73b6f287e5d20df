"""The native format (``POST /api/v1/usage``): bytes to events, no database.

A body is a JSON array, one JSON object, or NDJSON, told apart by looking at it: clients send NDJSON with
``Content-Type: application/json``.
"""

from __future__ import annotations

from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from logs.ingest.formats import counts, funding, native_token
from logs.ingest.formats.counts import Told
from logs.ingest.formats.decoding import decode_each
from logs.ingest.formats.native_token import TokenSent
from logs.models import REQUEST_TYPES, RecordType, Status
from logs.models.events import Batch, Failure, JSONObject, UsageEvent
from logs.models.marks import TAGS
from routescope.text.identifiers import kept, shown
from routescope.wire.reading import RecordError, address, amount, kept_json, moment, shortened, split

_Name = Annotated[str, msgspec.Meta(max_length=200)]
_Text = Annotated[str, msgspec.Meta(max_length=1000)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=2**31 - 1)]
_Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=2**31 - 1)]

_TYPES = {
    "request": RecordType.REQUEST,
    "task": RecordType.TASK,
    "refund": RecordType.REFUND,
    "adjustment": RecordType.ADJUSTMENT,
}
_STATUSES = {"success": Status.SUCCESS, "error": Status.ERROR}
_FURTHER_QUANTITIES = (
    "video_seconds",
    "audio_seconds",
    "characters",
    "pages",
    "web_search_count",
    "file_search_count",
    "code_session_count",
    "tool_call_count",
)
_further_quantities = attrgetter(*_FURTHER_QUANTITIES)
_NO_QUANTITIES = (None,) * len(_FURTHER_QUANTITIES)
_SPECIAL_COUNTS = (
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "cached_audio_tokens",
    "image_input_tokens",
    "image_output_tokens",
)
_special_counts = attrgetter(*_SPECIAL_COUNTS)
_NO_SPECIAL_COUNTS = (None,) * len(_SPECIAL_COUNTS)


class _Error(msgspec.Struct):
    type: str | int | None = None
    code: str | int | None = None
    message: str | None = None
    param: str | None = None


class _Record(msgspec.Struct, kw_only=True):
    request_id: str
    created_at: str | float
    type: str | None = None
    user: _Name | None = None
    token: _Name | TokenSent | None = None
    group: _Name | None = None
    model: _Name | None = None
    status: str | None = None
    stream: bool | None = None
    duration_ms: _Milliseconds | None = None
    ttft_ms: _Milliseconds | None = None
    http_status: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None
    endpoint: _Text | None = None
    ip: str | None = None
    user_agent: _Text | None = None
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    total_tokens: _Count | None = None
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None
    cache_write_5m_tokens: _Count | None = None
    cache_write_1h_tokens: _Count | None = None
    reasoning_tokens: _Count | None = None
    audio_input_tokens: _Count | None = None
    audio_output_tokens: _Count | None = None
    cached_audio_tokens: _Count | None = None
    image_count: _Count | None = None
    image_input_tokens: _Count | None = None
    image_output_tokens: _Count | None = None
    video_seconds: _Seconds | None = None
    audio_seconds: _Seconds | None = None
    characters: _Count | None = None
    pages: _Count | None = None
    web_search_count: _Count | None = None
    file_search_count: _Count | None = None
    code_session_count: _Count | None = None
    tool_call_count: _Count | None = None
    cost: Decimal | None = None
    billing: msgspec.Raw = msgspec.Raw()
    error: _Error | str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    upstream_request_id: str | None = None
    provider: _Name | None = None
    channel: Annotated[str, msgspec.Meta(max_length=200)] | int | None = None
    attempts: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    task_id: str | None = None
    metadata: msgspec.Raw = msgspec.Raw()
    answered_model: _Name | None = None
    session_id: _Name | None = None
    tags: Annotated[list[_Name], msgspec.Meta(max_length=50)] | _Name | None = None
    usage_estimated: msgspec.Raw = msgspec.Raw()


_decode_record = msgspec.json.Decoder(_Record).decode


def decode(body: bytes) -> Batch:
    """Decode a body. Raises FormatError where nothing can be decoded, or over ``MAX_RECORDS`` records."""
    return decode_each(split(body), _event, b"request_id")


def _event(raw: bytes) -> UsageEvent:
    """Decode one record. Raises RecordError, and what msgspec does, saying which field to mend."""
    record = _decode_record(raw)
    if not (request_id := kept(record.request_id)):
        raise RecordError("request_id: empty")
    kind = RecordType.REQUEST if record.type is None else _one_of(record.type, _TYPES, "type")
    error = None if record.error is None else _failure(record.error)
    status = None if record.status is None else _one_of(record.status, _STATUSES, "status")
    if status is None:
        failed = error is not None or (record.http_status or 0) >= 400
        status = Status.ERROR if failed else Status.SUCCESS
    cost = amount(record.cost)
    if cost is not None:
        _check_sign(cost, kind)
    sent = record.token
    token, facts = (sent.name, native_token.facts(sent)) if isinstance(sent, TokenSent) else (sent, None)
    quantities = None
    if (further := _further_quantities(record)) != _NO_QUANTITIES:
        named = zip(_FURTHER_QUANTITIES, further, strict=True)
        quantities = {name: _quantity(value) for name, value in named if value is not None}
    left_out: list[str] = []
    event = UsageEvent(
        request_id=request_id,
        identity=None if request_id == record.request_id else record.request_id,
        created_at=moment(record.created_at),
        type=kind,
        status=status,
        user=(record.user or "").strip(),
        token=shown(token or ""),
        group=shown(record.group or ""),
        model=shown(record.model or ""),
        stream=record.stream,
        duration_ms=None if record.duration_ms is None else round(record.duration_ms),
        ttft_ms=None if record.ttft_ms is None else round(record.ttft_ms),
        http_status=record.http_status,
        endpoint=_word(record.endpoint),
        ip=_ip(record.ip) if record.ip else None,
        user_agent=_word(record.user_agent),
        image_count=record.image_count,
        usage_estimated=_truth(record.usage_estimated, left_out) if record.usage_estimated else None,
        quantities=quantities,
        cost=cost,
        billing=_billing(record.billing, left_out) if record.billing else None,
        error=error,
        parameters=_object(record.parameters, "parameters") if record.parameters else None,
        upstream_request_id=kept(record.upstream_request_id or "") or None,
        provider=_word(record.provider),
        channel=None if record.channel is None else shown(str(record.channel)),
        attempts=_attempts(record.attempts) if record.attempts else None,
        input=record.input or None,
        output=record.output or None,
        task_id=kept(record.task_id or "") or None,
        metadata=_metadata(record),
        token_facts=facts,
    )
    _count(event, record)
    if left_out:
        event.metadata = {**(event.metadata or {}), "left_out": left_out}
    return event


def _count(event: UsageEvent, record: _Record) -> None:
    if record.total_tokens is None and _is_simple(record):
        # Nearly every record, and nothing to settle: see `counts.settle`, which says the same of it.
        event.input_tokens, event.output_tokens = record.input_tokens or 0, record.output_tokens or 0
        event.cached_tokens, event.reasoning_tokens = record.cached_tokens or 0, record.reasoning_tokens
    else:
        counts.put(event, _told(record))


def _is_simple(record: _Record) -> bool:
    """Tell whether only input, output, cached and reasoning tokens were sent, and each fits its whole."""
    return (
        (record.cached_tokens or 0) <= (record.input_tokens or 0)
        and (record.reasoning_tokens or 0) <= (record.output_tokens or 0)
        and _special_counts(record) == _NO_SPECIAL_COUNTS
    )


def _told(record: _Record) -> Told:
    return Told(
        input=record.input_tokens,
        output=record.output_tokens,
        total=record.total_tokens,
        cached=record.cached_tokens,
        written=record.cache_write_tokens,
        written_5m=record.cache_write_5m_tokens,
        written_1h=record.cache_write_1h_tokens,
        reasoning=record.reasoning_tokens,
        audio_input=record.audio_input_tokens,
        audio_output=record.audio_output_tokens,
        cached_audio=record.cached_audio_tokens,
        image_input=record.image_input_tokens,
        image_output=record.image_output_tokens,
        thinks_beyond=counts.thinks_beyond(record.provider or "", record.model or ""),
    )


def _quantity(value: float) -> int | float:
    return value if isinstance(value, int) else counts.seconds(value) or 0


def _check_sign(cost: Decimal, kind: RecordType) -> None:
    """Money flows one way in a request and the other in a refund; an adjustment may do either."""
    if kind is RecordType.REFUND and cost > 0:
        raise RecordError(f"cost: a refund carries a negative cost, not {cost}")
    if cost < 0 and kind in REQUEST_TYPES:
        raise RecordError(f"cost: {cost} is negative; send a refund or an adjustment")


def _object(raw: msgspec.Raw | bytes, field: str) -> JSONObject | None:
    value = kept_json(raw, field)
    if value is not None and not isinstance(value, dict):
        raise RecordError(f"{field}: expected `object`")
    return value


def _billing(raw: msgspec.Raw, left_out: list[str]) -> JSONObject | None:
    """Return a record's billing, with what it says of the funding in the words in which that is kept."""
    rest, paid_from, odd = funding.parted(bytes(raw))
    left_out += odd
    return {**(_object(rest, "billing") or {}), **paid_from} or None


def _truth(raw: msgspec.Raw, left_out: list[str]) -> bool | None:
    """Return whether tokens were estimated. What says neither costs no record: it is named."""
    word = bytes(raw)
    if word not in (b"true", b"false", b"null"):
        left_out.append("usage_estimated")
    return word == b"true" or None


def _metadata(record: _Record) -> JSONObject | None:
    """Return a record's metadata, its tags and the model that answered and the session among it."""
    given = _object(record.metadata, "metadata") if record.metadata else None
    further: JSONObject = {}
    if record.tags:
        further[TAGS] = [record.tags] if isinstance(record.tags, str) else record.tags
    if record.session_id:
        further["session_id"] = shown(record.session_id)
    if record.answered_model:
        further["answered_model"] = shown(record.answered_model)
    return {**given, **further} if given else further or given


def _attempts(raw: msgspec.Raw) -> list[JSONObject] | None:
    value = kept_json(raw, "attempts")
    if value is not None and not (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
        raise RecordError("attempts: expected an array of objects")
    return value


def _word(value: str | None) -> str | None:
    return value and shown(value)


def _one_of(value: str, words: dict[str, Any], field: str) -> Any:
    try:
        return words[value]
    except KeyError:
        raise RecordError(f"{field}: {value[:50]!r} is not one of {', '.join(words)}") from None


def _ip(value: str) -> str:
    if (found := address(value)) is None:
        raise RecordError(f"ip: {value[:50]!r} is not an IP address")
    return found


def _failure(error: _Error | str) -> Failure | None:
    if isinstance(error, str):
        return Failure(message=shortened(error)) if error else None
    failure = Failure(
        type=_short_word(error.type),
        code=_short_word(error.code),
        message=shortened(error.message) if error.message else None,
        param=_short_word(error.param),
    )
    return None if failure == Failure() else failure


def _short_word(value: str | int | None) -> str | None:
    return shown(str(value))[:200] or None if value not in (None, "") else None
