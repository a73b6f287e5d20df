"""The native format (``POST /api/v1/usage``): bytes to events, no database.

A body is a JSON array, one JSON object, or NDJSON, told apart by looking at it: clients send NDJSON with
``Content-Type: application/json``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from logs.events import Batch, Failure, JSONObject, Rejection, UsageEvent
from logs.models import MONEY_DIGITS, MONEY_PLACES, RecordType, Status
from routescope.ids import EPOCH

MAX_RECORDS = 10_000
MAX_ERROR_CHARACTERS = 8_000
MAX_JSON_BYTES = 64 * 1024

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_Name = Annotated[str, msgspec.Meta(max_length=200)]
_Text = Annotated[str, msgspec.Meta(max_length=1000)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=2**31 - 1)]

_TYPES = {
    "request": RecordType.REQUEST,
    "task": RecordType.TASK,
    "refund": RecordType.REFUND,
    "adjustment": RecordType.ADJUSTMENT,
}
_STATUSES = {"success": Status.SUCCESS, "error": Status.ERROR}
_FURTHER_QUANTITIES = (
    "image_input_tokens",
    "image_output_tokens",
    "video_seconds",
    "audio_seconds",
    "characters",
    "web_search_count",
    "tool_call_count",
)
_COST_LIMIT = Decimal(10) ** (MONEY_DIGITS - MONEY_PLACES)
_LATEST = 10**11
"""Epoch seconds from here on are in the year 5138: surely milliseconds."""


class FormatError(ValueError):
    """A body in which nothing can be decoded (``status`` 400), or that holds too much (413)."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class _Error(msgspec.Struct):
    type: str | int | None = None
    code: str | int | None = None
    message: str | None = None
    param: str | None = None


class _Record(msgspec.Struct, kw_only=True):
    request_id: _Id
    created_at: str | float
    type: str | None = None
    user: _Name | None = None
    token: _Name | None = None
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
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None
    reasoning_tokens: _Count | None = None
    audio_input_tokens: _Count | None = None
    audio_output_tokens: _Count | None = None
    image_count: _Count | None = None
    image_input_tokens: _Count | None = None
    image_output_tokens: _Count | None = None
    video_seconds: _Count | None = None
    audio_seconds: _Count | None = None
    characters: _Count | None = None
    web_search_count: _Count | None = None
    tool_call_count: _Count | None = None
    cost: Decimal | None = None
    billing: JSONObject | None = None
    error: _Error | str | None = None
    parameters: JSONObject | None = None
    upstream_request_id: _Id | None = None
    provider: _Name | None = None
    channel: Annotated[str, msgspec.Meta(max_length=200)] | int | None = None
    attempts: list[JSONObject] | None = None
    input: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    task_id: _Id | None = None
    metadata: JSONObject | None = None


class _Named(msgspec.Struct):
    request_id: str


_decode_record = msgspec.json.Decoder(_Record).decode
_decode_named = msgspec.json.Decoder(_Named).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_one = msgspec.json.Decoder(msgspec.Raw).decode


def decode(body: bytes) -> Batch:
    """Decode a body. Raises FormatError where nothing can be decoded, or over ``MAX_RECORDS`` records."""
    events: list[tuple[int, UsageEvent]] = []
    rejected: list[Rejection] = []
    undecodable = 0
    for index, raw in enumerate(_split(body)):
        try:
            events.append((index, _event(_sanitised(raw))))
        except msgspec.ValidationError as error:
            rejected.append(Rejection(index=index, request_id=_request_id(raw), error=_readable(error)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            undecodable += 1
            rejected.append(Rejection(index=index, request_id=None, error=f"not valid JSON: {error}"))
        except ValueError as error:
            rejected.append(Rejection(index=index, request_id=_request_id(raw), error=str(error)))
    if rejected and undecodable == len(rejected) and not events:
        raise FormatError(f"No record can be decoded: {rejected[0].error}.")
    return Batch(events=events, rejected=rejected)


def _split(body: bytes) -> list[bytes]:
    """Return the records' raw bytes."""
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise FormatError("The body is empty: send a JSON array, one JSON object, or one object per line.")
    if text[:1] == b"[":
        try:
            records = [bytes(raw) for raw in _decode_array(text)]
        except (msgspec.DecodeError, RecursionError) as error:
            raise FormatError(f"The array is not valid JSON: {error}.") from error
    elif text[:1] == b"{":
        try:
            records = [bytes(_decode_one(text))]
        except (msgspec.DecodeError, RecursionError):
            records = [line for line in text.splitlines() if line.strip()]
    else:
        raise FormatError("The body is neither a JSON array, nor a JSON object, nor one object per line.")
    if len(records) > MAX_RECORDS:
        raise FormatError(
            f"{len(records):,} records are too many for one request: send at most {MAX_RECORDS:,}.", 413
        )
    return records


def _sanitised(raw: bytes) -> bytes:
    r"""Replace the character that PostgreSQL cannot store, ``\u0000``, by U+FFFD; no record is lost."""
    return raw.replace(b"\\u0000", b"\\ufffd") if b"\\u0000" in raw else raw


def _request_id(raw: bytes) -> str | None:
    try:
        return _decode_named(raw).request_id[:255]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _readable(error: msgspec.ValidationError) -> str:
    """Turn msgspec's "Expected `int`, got `str` - at `$.input_tokens`" into "input_tokens: expected ..."."""
    what, _, where = str(error).partition(" - at `$")
    field = where.rstrip("`").lstrip(".")
    what = what[:1].lower() + what[1:]
    return f"{field}: {what}" if field else what


def _event(raw: bytes) -> UsageEvent:
    """Decode one record. Raises ValueError (and msgspec's kinds of it) saying which field to mend."""
    record = _decode_record(raw)
    kind = _word(record.type, _TYPES, "type") or RecordType.REQUEST
    error = _failure(record.error)
    status = _word(record.status, _STATUSES, "status")
    if status is None:
        failed = error is not None or (record.http_status or 0) >= 400
        status = Status.ERROR if failed else Status.SUCCESS
    input_tokens, output_tokens = record.input_tokens or 0, record.output_tokens or 0
    cached_tokens = record.cached_tokens or 0
    if cached_tokens > input_tokens:
        raise ValueError(
            f"cached_tokens: {cached_tokens} is more than input_tokens ({input_tokens}),"
            " which must include it"
        )
    if (record.reasoning_tokens or 0) > output_tokens:
        raise ValueError(
            f"reasoning_tokens: {record.reasoning_tokens} is more than output_tokens ({output_tokens}),"
            " which must include it"
        )
    cost = _cost(record.cost)
    if kind is RecordType.REFUND and cost is not None and cost > 0:
        raise ValueError(f"cost: a refund carries a negative cost, not {cost}")
    quantities = {name: value for name in _FURTHER_QUANTITIES if (value := getattr(record, name)) is not None}
    return UsageEvent(
        request_id=record.request_id,
        created_at=_moment(record.created_at),
        type=kind,
        status=status,
        user=(record.user or "").strip(),
        token=(record.token or "").strip(),
        group=(record.group or "").strip(),
        model=(record.model or "").strip(),
        stream=record.stream,
        duration_ms=None if record.duration_ms is None else round(record.duration_ms),
        ttft_ms=None if record.ttft_ms is None else round(record.ttft_ms),
        http_status=record.http_status,
        endpoint=record.endpoint,
        ip=record.ip or None,
        user_agent=record.user_agent,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=cached_tokens,
        cache_write_tokens=record.cache_write_tokens,
        reasoning_tokens=record.reasoning_tokens,
        audio_input_tokens=record.audio_input_tokens,
        audio_output_tokens=record.audio_output_tokens,
        image_count=record.image_count,
        quantities=quantities or None,
        cost=cost,
        billing=_bounded(record.billing, "billing"),
        error=error,
        parameters=_bounded(record.parameters, "parameters"),
        upstream_request_id=record.upstream_request_id,
        provider=record.provider,
        channel=None if record.channel is None else str(record.channel),
        attempts=_bounded(record.attempts, "attempts"),
        input=record.input or None,
        output=record.output or None,
        task_id=record.task_id,
        metadata=_bounded(record.metadata, "metadata"),
    )


def _word(value: str | None, words: dict[str, Any], field: str) -> Any:
    if value is None:
        return None
    try:
        return words[value]
    except KeyError:
        raise ValueError(f"{field}: {value[:50]!r} is not one of {', '.join(words)}") from None


def _moment(value: str | float) -> datetime:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"created_at: {value[:50]!r} is not an RFC 3339 time such as 2025-01-31T09:30:00.123Z"
            ) from None
        if moment.tzinfo is None:
            raise ValueError(f"created_at: {value[:50]!r} has no time zone; end it with Z or an offset")
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"created_at: {value[:50]!r} is out of range") from None
    elif abs(value) >= _LATEST:
        raise ValueError(f"created_at: {value:.0f} looks like milliseconds; send epoch seconds")
    else:
        moment = EPOCH + timedelta(microseconds=round(value * 1_000_000))
    if moment < EPOCH:
        raise ValueError("created_at: lies before 1970")
    return moment


def _cost(value: Decimal | None) -> Decimal | None:
    if value is None:
        return None
    if not value.is_finite() or abs(value) >= _COST_LIMIT:
        raise ValueError("cost: not an amount of US dollars")
    return value.quantize(Decimal(1).scaleb(-MONEY_PLACES))


def _failure(error: _Error | str | None) -> Failure | None:
    if error is None:
        return None
    if isinstance(error, str):
        return Failure(message=_shortened(error)) if error else None
    failure = Failure(
        type=_short_word(error.type),
        code=_short_word(error.code),
        message=_shortened(error.message) if error.message else None,
        param=_short_word(error.param),
    )
    return None if failure == Failure() else failure


def _short_word(value: str | int | None) -> str | None:
    return str(value)[:200] if value not in (None, "") else None


def _shortened(message: str) -> str:
    if len(message) <= MAX_ERROR_CHARACTERS:
        return message
    return f"{message[:MAX_ERROR_CHARACTERS]}… [{len(message) - MAX_ERROR_CHARACTERS:,} characters cut]"


def _bounded(value: Any, field: str) -> Any:
    if value is None or value in ({}, []):
        return None
    size = len(msgspec.json.encode(value))
    if size > MAX_JSON_BYTES:
        raise ValueError(f"{field}: {size:,} bytes of JSON are more than {MAX_JSON_BYTES:,}; send less of it")
    return value
