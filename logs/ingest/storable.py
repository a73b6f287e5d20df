"""What a record must be so that PostgreSQL, the sums, pages and files can hold it, looked at beforehand.

One rule for every format. What can be cleaned is cleaned; what cannot is refused, and named. So nothing is
left for the database to refuse: it would say of a batch of 10,000 that something in it is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from ipaddress import ip_address
from operator import attrgetter
from typing import Any

import msgspec

from logs.models import REQUEST_TYPES, RecordType
from logs.models.events import Failure, UsageEvent
from routescope.data.ids import EPOCH
from routescope.text.addresses import without_secrets_in_address
from routescope.text.identifiers import kept, prose, shown, storable
from routescope.text.redaction import without_secrets, without_secrets_in_name
from routescope.wire.json_parts import is_within
from routescope.wire.reading import (
    LONG_NUMBER,
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_NAME,
    MAX_USD,
    RecordError,
    has_long_number,
)

_NAMES = ("token", "group", "model")
_WORDS = ("provider", "channel")
_CALLED = ("user", *_NAMES, *_WORDS, "endpoint", "user_agent")
_called: Callable[[UsageEvent], tuple[str | None, ...]] = attrgetter(*_CALLED)
_MOST_NAMES = 1_000
"""Characters of all that a record is called, up to which it is remembered."""
_COUNTS = struct.Struct("=10i1h")
_JSON = ("parameters", "quantities", "billing", "attempts", "metadata")
_MOST_PARTS = 100_000
_MAX_BYTES = 1024 * 1024
"""Of one of a record's JSON columns: what the formats bound, and what is added to it here."""


def check(event: UsageEvent) -> None:
    """Clean an event for storing. Raises RecordError naming the field that cannot be stored."""
    _identify(event)
    names = _called(event)
    # They come with every call alike: most are looked at once.
    if sum(len(name) for name in names if name) > _MOST_NAMES or not _are_clean(names):
        _clean_names(event)
    if event.quantities:
        event.quantities = {without_secrets_in_name(kind): count for kind, count in event.quantities.items()}
    if event.error is not None:
        event.error = _cleaned(event.error)
    _check_counts(event)
    if event.cost is not None:
        _check_cost(event.cost, event.type)
    if event.ip:
        try:
            ip_address(event.ip)
        except ValueError:
            raise RecordError(f"ip: {event.ip[:50]!r} is not an IP address") from None


@lru_cache(maxsize=16_384)
def _are_clean(names: tuple[str | None, ...]) -> bool:
    """Whether a record may be called so as it is. Raises RecordError for a name that is too long."""
    event = UsageEvent(request_id="", created_at=EPOCH)
    for called, name in zip(_CALLED, names, strict=True):
        setattr(event, called, name)
    _clean_names(event)
    return _called(event) == names


def _clean_names(event: UsageEvent) -> None:
    """Clean what a record is called. Raises RecordError for a name that is too long."""
    # Whose name is shown is cleaned when it is first seen: it is also part of what a record is known by.
    event.user = without_secrets_in_name(event.user if event.user.isprintable() else storable(event.user))
    if len(event.user) > MAX_NAME:
        raise RecordError(f"user: longer than {MAX_NAME} characters")
    for name in _NAMES:
        value = getattr(event, name)
        if len(value) > MAX_NAME:
            raise RecordError(f"{name}: longer than {MAX_NAME} characters")
        _clean(event, name, value, without_secrets_in_name)
    for name in _WORDS:
        _clean(event, name, getattr(event, name), without_secrets_in_name)
    _clean(event, "endpoint", event.endpoint, without_secrets_in_address)
    _clean(event, "user_agent", event.user_agent, without_secrets)


def encoded(event: UsageEvent) -> dict[str, bytes | None]:
    """Return the event's JSON by the names of its columns, as PostgreSQL takes it. Raises RecordError."""
    return {
        name: _encoded(value, name) if (value := getattr(event, name)) is not None else None for name in _JSON
    }


def _identify(event: UsageEvent) -> None:
    sent = event.request_id
    event.request_id = kept(sent)
    if not event.request_id:
        raise RecordError("request_id: empty")
    if event.request_id != sent and event.identity is None:
        event.identity = storable(sent)
    elif event.identity is not None:
        event.identity = storable(event.identity)
    if event.upstream_request_id:
        event.upstream_request_id = kept(event.upstream_request_id) or None
    if event.task_id:
        event.task_id = kept(event.task_id) or None


def _clean(event: UsageEvent, name: str, value: str | None, without: Callable[[str], str]) -> None:
    """Set a field to its value without what cannot be shown, and without secrets, where that differs."""
    if value and (cleaned := without(value if value.isprintable() else shown(value))) != value:
        setattr(event, name, cleaned)


def _cleaned(error: Failure) -> Failure:
    named = (error.type, error.code, error.param)
    message = error.message
    if all(text is None or text.isprintable() for text in (*named, message)):
        return error
    kind, code, param = (text and shown(text) for text in named)
    return Failure(type=kind, code=code, param=param, message=message and prose(message))


def _check_counts(event: UsageEvent) -> None:
    try:
        _COUNTS.pack(
            event.input_tokens, event.output_tokens, event.cached_tokens, event.duration_ms or 0,
            event.ttft_ms or 0, event.cache_write_tokens or 0, event.reasoning_tokens or 0,
            event.audio_input_tokens or 0, event.audio_output_tokens or 0, event.image_count or 0,
            event.http_status or 0,
        )  # fmt: skip
    except struct.error:
        raise RecordError("a count, a duration or the HTTP status is out of range") from None


def _check_cost(cost: Decimal, kind: RecordType) -> None:
    if not cost.is_finite() or not -MAX_USD < cost < MAX_USD:
        raise RecordError(f"cost: not an amount of US dollars below {MAX_USD:,}")
    if cost < 0 and kind in REQUEST_TYPES:
        raise RecordError(f"cost: {cost} is negative; send a refund or an adjustment")


def _encoded(value: Any, field: str) -> bytes | None:
    if value is None:
        return None
    try:
        text = msgspec.json.encode(value)
    except (ValueError, TypeError, RecursionError, OverflowError, msgspec.EncodeError):
        text = msgspec.json.encode(_without_odd(value, field, 0))
    if b"\\u0000" in text:
        text = msgspec.json.encode(_without_odd(value, field, 0))
    if len(text) > _MAX_BYTES or not is_within(text, depth=2 * MAX_DEPTH, parts=_MOST_PARTS):
        raise RecordError(f"{field}: too large, or nests too deep")
    if LONG_NUMBER.search(text) and has_long_number(value):
        raise RecordError(f"{field}: a whole number of more than {MAX_DIGITS} digits")
    return text


def _without_odd(value: Any, field: str, depth: int) -> Any:
    """Return JSON whose texts can be stored. Raises RecordError for what is no JSON."""
    if depth > MAX_DEPTH:
        raise RecordError(f"{field}: nests deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(str(key)): _without_odd(inner, field, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_odd(inner, field, depth + 1) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**MAX_DIGITS:
        raise RecordError(f"{field}: a whole number of more than {MAX_DIGITS} digits")
    return value
