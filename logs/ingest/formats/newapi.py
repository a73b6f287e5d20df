"""Rows of the ``logs`` table of new-api and one-api, as events.

Source: model/log.go of new-api and one-api. Times are epoch seconds. A request is several rows: one of type 5
for each failed attempt, and one of type 2 that holds the charge; they share the request ID and become one
record. Money: ``quota`` / 500,000 is USD, ``model_ratio`` 1 is 2 USD per million input tokens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from logs.ingest.formats import tolerant
from logs.ingest.formats.receipt import line, settled
from logs.models import RecordType, Status
from logs.models.events import Failure, JSONObject, UsageEvent
from routescope.text.identifiers import kept
from routescope.wire.json_parts import BrokenError
from routescope.wire.reading import MAX_COUNT, MAX_NAME, RecordError, address, amount, cut, moment, shortened

logger = logging.getLogger(__name__)

CONSUME, ERROR, REFUND = 2, 5, 6
TYPES = (CONSUME, ERROR, REFUND)
"""The rows that are calls. Top-ups, management, system and sign-in rows are none."""
QUOTA_PER_USD = Decimal(500_000)

_FAULT = "not read through a fault of Routescope: see its log"
_MILLION = Decimal(1_000_000)
_USD_PER_MILLION = Decimal(2)
_ONE = Decimal(1)
_ZERO = Decimal(0)


class _AdminInfo(msgspec.Struct):
    use_channel: list[str | int] = []


class _Other(msgspec.Struct):
    model_ratio: Decimal | None = None
    completion_ratio: Decimal | None = None
    model_price: Decimal | None = None
    group_ratio: Decimal | None = None
    user_group_ratio: Decimal | None = None
    cache_tokens: int | None = None
    cache_ratio: Decimal | None = None
    cache_creation_tokens: int | None = None
    cache_creation_ratio: Decimal | None = None
    claude: bool = False
    frt: float | None = None
    is_model_mapped: bool = False
    upstream_model_name: str | None = None
    reasoning_effort: str | None = None
    error_type: str | None = None
    error_code: str | int | None = None
    status_code: int | None = None
    admin_info: _AdminInfo | None = None
    is_task: bool = False
    task_id: str | None = None
    actual_quota: int | None = None
    request_path: str | None = None


class NewApiRow(msgspec.Struct):
    """A row; what the source's version of the table does not have keeps its default."""

    id: int
    created_at: int
    type: int
    content: str | None = None
    username: str | None = None
    token_name: str | None = None
    model_name: str | None = None
    quota: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    use_time: float | None = None
    elapsed_time: float | None = None
    is_stream: bool | int | None = None
    channel_id: int | None = None
    group: str | None = None
    ip: str | None = None
    request_id: str | None = None
    upstream_request_id: str | None = None
    other: str | None = None


class Call(msgspec.Struct):
    """A request's rows folded: the event, and the row with its charge, None while all attempts failed."""

    event: UsageEvent
    attempt: JSONObject
    """The last of its attempts, which the event does not list where it was the only one."""
    charged_by: int | None
    rows: int
    is_foldable: bool
    """Whether other rows of the same request may belong to it: not so for refunds, and without request ID."""


_decode_other = msgspec.json.Decoder(_Other, strict=False).decode
_NO_OTHER = _Other()


def fold(
    rows: Iterable[NewApiRow],
    quota_per_usd: Decimal = QUOTA_PER_USD,
    refuse: Callable[[NewApiRow, str], None] | None = None,
) -> list[Call]:
    """Fold rows, in the order of their ids, into one call for each request.

    A further charge under the same request ID (a session that is billed in parts) is a call of its own: no
    money is ever merged away. A row that no record can be made of is handed to ``refuse`` with the reason,
    and costs no other; without that, its RecordError is raised.
    """
    calls: list[Call] = []

    def take(row: NewApiRow, failed: Sequence[NewApiRow], *, is_further: bool = False) -> bool:
        try:
            calls.append(_call(row, failed, quota_per_usd, is_further=is_further))
        except Exception as error:
            if refuse is None:
                raise
            if not isinstance(error, RecordError):
                logger.exception("Row %d could not be read through a fault of ours", row.id)
            refuse(row, str(error) if isinstance(error, RecordError) else _FAULT)
            return False
        return True

    attempts: dict[str, list[NewApiRow]] = {}
    charged: set[str] = set()
    for row in rows:
        request_id = (row.request_id or "").strip()
        if row.type == ERROR and request_id:
            attempts.setdefault(request_id, []).append(row)
        elif row.type == CONSUME and request_id:
            if take(row, attempts.get(request_id, ()), is_further=request_id in charged):
                charged.add(request_id)
                attempts.pop(request_id, None)
        elif row.type in TYPES:
            take(row, ())
    for failed in attempts.values():
        while failed and not take(failed[-1], failed[:-1]):
            failed.pop()
    return calls


def together(known: UsageEvent, known_charge: int | None, call: Call) -> UsageEvent:
    """Return what a stored record and later rows of the same request are as one: no row counts twice."""
    base = call.event
    if call.charged_by is None and known_charge is not None:
        names = {name: getattr(call.event, name) for name in ("user", "token", "group")}
        base = msgspec.structs.replace(known, **names)
    by_row = {
        attempt.get("log_id"): attempt for attempt in (*(known.attempts or ()), *(call.event.attempts or ()))
    }
    if by_row:
        by_row.setdefault(call.attempt["log_id"], call.attempt)
    attempts = [by_row[key] for key in sorted(by_row, key=lambda key: key or 0)]
    return msgspec.structs.replace(base, attempts=attempts if len(attempts) > 1 else base.attempts)


def _call(
    row: NewApiRow, failed: Sequence[NewApiRow], quota_per_usd: Decimal, *, is_further: bool = False
) -> Call:
    other = _other(row)
    request_id = (row.request_id or "").strip()
    is_error = row.type == ERROR
    name = request_id or f"log-{row.id}"
    cached, written = _count(other.cache_tokens), _count(other.cache_creation_tokens)
    given = _count(row.prompt_tokens)
    if other.claude or cached + written > given:
        # Anthropic's own count, which leaves cached tokens out.
        given = min(given + cached + written, MAX_COUNT)
    event = UsageEvent(
        request_id=kept(request_id or other.task_id or name),
        identity=name if request_id and row.type != REFUND and not is_further else f"{name}#{row.id}",
        created_at=moment(row.created_at),
        type=_record_type(row, other),
        status=Status.ERROR if is_error else Status.SUCCESS,
        user=_name(row.username),
        token=_name(row.token_name),
        group=_name(row.group),
        model=_name(row.model_name),
        stream=None if row.is_stream is None else bool(row.is_stream),
        duration_ms=_duration(row),
        ttft_ms=round(other.frt) if other.frt is not None and 0 < other.frt < MAX_COUNT else None,
        http_status=_http_status(other) if is_error else 200 if row.type == CONSUME else None,
        endpoint=other.request_path,
        ip=address(row.ip),
        input_tokens=given,
        output_tokens=_count(row.completion_tokens),
        cached_tokens=cached,
        cache_write_tokens=written or None,
        cost=_cost(row, quota_per_usd),
        error=_failure(row, other) if is_error else None,
        parameters={"reasoning_effort": other.reasoning_effort} if other.reasoning_effort else None,
        upstream_request_id=kept(row.upstream_request_id or "") or None,
        channel=str(row.channel_id) if row.channel_id else None,
        attempts=_attempts(row, other, failed),
        task_id=kept(other.task_id or "") or None,
        metadata={
            "log_id": row.id,
            **({"upstream_model": _name(other.upstream_model_name)} if other.is_model_mapped else {}),
            **({"note": row.content[:MAX_NAME]} if row.type == REFUND and row.content else {}),
        },
    )
    try:
        event.billing = _billing(row, other, event, quota_per_usd)
    except ArithmeticError:
        # Ratios that no price can be made of: the charge itself stands.
        event.billing = None
    return Call(
        event=event,
        attempt=_attempt(row, other),
        charged_by=None if is_error else row.id,
        rows=1 + len(failed),
        is_foldable=bool(request_id) and row.type != REFUND,
    )


def _other(row: NewApiRow) -> _Other:
    if not row.other:
        return _NO_OTHER
    try:
        return _decode_other(row.other)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        # Text of another version, or cut off: the charge itself stands in the columns.
        try:
            return tolerant.decode(row.other.encode(errors="replace"), _Other)[0]
        except BrokenError:
            return _NO_OTHER


def _record_type(row: NewApiRow, other: _Other) -> RecordType:
    if row.type == REFUND:
        return RecordType.REFUND
    if row.type == CONSUME and (row.quota or 0) < 0:
        # Given back, and no refund of one charge.
        return RecordType.ADJUSTMENT
    if other.actual_quota is not None and other.is_task:
        # The difference between what a task was charged beforehand and what it came to.
        return RecordType.ADJUSTMENT
    return RecordType.TASK if other.is_task and row.type == CONSUME else RecordType.REQUEST


def _cost(row: NewApiRow, quota_per_usd: Decimal) -> Decimal | None:
    usd = Decimal(row.quota or 0) / quota_per_usd
    return amount(-abs(usd) if row.type == REFUND else usd)


def _billing(row: NewApiRow, other: _Other, event: UsageEvent, quota_per_usd: Decimal) -> JSONObject | None:
    """Return the group's ratio, and the lines that the model's ratios make, in USD."""
    if row.type != CONSUME or not event.cost:
        return None
    own = other.user_group_ratio
    group = (
        own if own is not None and own >= 0 else other.group_ratio if other.group_ratio is not None else _ONE
    )
    billing: JSONObject = {"source": "new-api", "quota": row.quota, "group_ratio": _plain(group)}
    rounding = _ONE / quota_per_usd
    if other.model_price is not None and other.model_price > 0:
        price = _plain(other.model_price)
        lines = [line("call", _usd(other.model_price * group), 1, unit_price=price)]
    elif other.model_ratio is not None:
        unit = other.model_ratio * _USD_PER_MILLION
        prices = {
            "input": unit,
            "output": unit * _or_one(other.completion_ratio),
            "cached_input": unit * _or_one(other.cache_ratio),
            "cache_write": unit * _or_one(other.cache_creation_ratio),
        }
        written = event.cache_write_tokens or 0
        amounts = {
            "input": event.input_tokens - event.cached_tokens - written,
            "output": event.output_tokens,
            "cached_input": event.cached_tokens,
            "cache_write": written,
        }
        lines = [
            line(
                kind,
                _usd(each * group * amounts[kind] / _MILLION),
                amounts[kind],
                unit_price=_plain(each),
                per=int(_MILLION),
            )
            for kind, each in prices.items()
        ]
    else:
        return {**billing, "lines": [line("other", event.cost)]}
    billing["lines"] = settled(lines, event.cost, rounding)
    return billing


def _usd(value: Decimal) -> Decimal:
    return amount(value) or _ZERO if abs(value) < _MILLION else _ZERO


def _or_one(ratio: Decimal | None) -> Decimal:
    return _ONE if ratio is None else ratio


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _failure(row: NewApiRow, other: _Other) -> Failure:
    return Failure(
        type=_name(other.error_type) or None,
        code=_name(str(other.error_code)) if other.error_code not in (None, "") else None,
        message=shortened(row.content) if row.content else None,
    )


def _attempts(row: NewApiRow, other: _Other, failed: Sequence[NewApiRow]) -> list[JSONObject] | None:
    """Return the attempts with the rows they come from, None for a request that had only one.

    Without rows of failed attempts, which new-api writes only where it is told to, the retry chain names the
    channels at least.
    """
    if failed:
        return [*(_attempt(one, _other(one)) for one in failed), _attempt(row, other)]
    chain = [str(channel)[:MAX_NAME] for channel in other.admin_info.use_channel] if other.admin_info else []
    if row.type == ERROR:
        return [_attempt(row, other)]
    if len(chain) > 1:
        return [*({"channel": channel, "status": "error"} for channel in chain[:-1]), _attempt(row, other)]
    return None


def _attempt(row: NewApiRow, other: _Other) -> JSONObject:
    attempt: JSONObject = {
        "log_id": row.id,
        "channel": str(row.channel_id or ""),
        "status": "error" if row.type == ERROR else "success",
        "http_status": _http_status(other) if row.type == ERROR else 200,
        "duration_ms": _duration(row),
    }
    if row.type == ERROR:
        failure = _failure(row, other)
        attempt["error"] = {
            "type": failure.type,
            "code": failure.code,
            "message": cut(failure.message or "", 1000),
        }
    return {name: value for name, value in attempt.items() if value not in (None, "")}


def _duration(row: NewApiRow) -> int | None:
    """new-api counts seconds, one-api milliseconds."""
    milliseconds = row.elapsed_time if row.elapsed_time is not None else (row.use_time or 0) * 1000
    return round(min(milliseconds, MAX_COUNT)) if milliseconds >= 0 else None


def _http_status(other: _Other) -> int | None:
    status = other.status_code
    return status if status is not None and 100 <= status <= 999 else None


def _count(value: int | None) -> int:
    return min(max(value or 0, 0), MAX_COUNT)


def _name(value: Any) -> str:
    return str(value or "").strip().replace("\x00", "\ufffd")[:MAX_NAME]
