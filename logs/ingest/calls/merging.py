"""What several reports of one call tell together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import msgspec

from accounts.models import AIModel
from logs.models import RecordType, Status, UsageRecord
from logs.models.events import COUNTS_READ, Failure, UsageEvent
from logs.pricing.quotes import as_sent, is_priced_here
from routescope.wire.reading import MAX_COUNT

_WHOLES = ("input_tokens", "output_tokens")
_DETAILS = {
    "cached_tokens": "input_tokens",
    "cache_write_tokens": "input_tokens",
    "reasoning_tokens": "output_tokens",
    "audio_input_tokens": "input_tokens",
    "audio_output_tokens": "output_tokens",
}
"""The parts, and the whole of each."""
_MOST_NAMED = 20
FOREIGN = 1_000
"""The depth of counts that a gateway reported: nearer to the truth than any span's."""


class Counted(msgspec.Struct, array_like=True, omit_defaults=True):
    """What one span counted: kept as long as others of the call may come."""

    failed: bool
    started: float
    ended: float
    scope: str
    response: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    quantities: dict[str, int | float] | None = None
    cost: Decimal | None = None
    counts_read: dict[str, Any] | None = None


encode = msgspec.msgpack.Encoder(decimal_format="string").encode
decode = msgspec.msgpack.Decoder(Counted).decode


def counted(event: UsageEvent, scope: str, response: str | None) -> Counted:
    """Return what an event counts. ``response`` is a digest of the answer's ID, None where it has none."""
    started = event.created_at.timestamp()
    return Counted(
        failed=event.status is Status.ERROR,
        started=started,
        ended=started + (event.duration_ms or 0) / 1000,
        scope=scope[:100],
        response=response,
        **{name: getattr(event, name) for name in (*_WHOLES, *_DETAILS)},
        quantities=dict(event.quantities) if event.quantities else None,
        cost=event.cost,
        counts_read=(event.metadata or {}).get(COUNTS_READ),
    )


def merged(known: UsageEvent, later: UsageEvent) -> UsageEvent:
    """Return what two reports of one call tell together; their counts are put together by `count`.

    Everything is the known value where there is one, but that a failure of either is the call's. Merging the
    same report again changes nothing.
    """
    ends = [
        event.created_at + timedelta(milliseconds=event.duration_ms)
        for event in (known, later)
        if event.duration_ms is not None
    ]
    changes: dict[str, object] = {
        name: getattr(later, name)
        for name in known.__struct_fields__
        if getattr(known, name) in (None, "") and getattr(later, name) not in (None, "")
    }
    asked = (later.metadata or {}).get("requested_model")
    if later.model and asked == known.model and not is_foreign(known):
        # The model that answered says more than the one that was asked for.
        changes["model"] = later.model
    if is_placeholder(known) and not is_placeholder(later):
        changes["request_id"] = later.request_id
    changes["created_at"] = min(known.created_at, later.created_at)
    if is_foreign(known):
        # A gateway's record is known again by its time.
        changes["created_at"] = known.created_at
    elif ends:
        whole = max(ends) - min(known.created_at, later.created_at)
        changes["duration_ms"] = min(round(whole / timedelta(milliseconds=1)), MAX_COUNT)
    if later.status is Status.ERROR:
        changes["status"] = Status.ERROR
        if known.http_status == 200:
            changes["http_status"] = later.http_status
        if known.error is not None and later.error is not None:
            changes["error"] = _failure(known.error, later.error)
    elif known.status is Status.ERROR:
        changes.pop("http_status", None)
    changes["parameters"] = {**(later.parameters or {}), **(known.parameters or {})} or None
    changes["metadata"] = _merged_metadata(known, later)
    both = msgspec.structs.replace(known, **changes)
    count(both, [(0, counted(known, "", None)), (0, counted(later, "", None))])
    return both


def count(event: UsageEvent, told: Iterable[tuple[int, Counted]]) -> None:
    """Give an event its counts and cost out of what several spans told, each with how deep it lies.

    They are never added. Counts that contradict themselves come last; of the others the innermost span's are
    nearest to the provider, and of equals the larger ones were complete. What these lack the others tell, as
    far as it fits in.
    """

    def worth(one: tuple[int, Counted]) -> tuple[bool, bool, int, int]:
        depth, each = one
        used = each.input_tokens + each.output_tokens
        return (not used, bool((each.counts_read or {}).get("contradiction")), -depth, -used)

    first, *others = (each for _, each in sorted(told, key=worth))
    if fuller := next((each for each in others if _is_fuller(each, first)), None):
        first, others = fuller, [first, *(each for each in others if each is not fuller)]
    for name in _WHOLES:
        found = (value for each in (first, *others) if (value := getattr(each, name)))
        setattr(event, name, next(found, 0))
    for name, whole in _DETAILS.items():
        most = getattr(event, whole)
        values = [v for each in (first, *others) if (v := getattr(each, name)) is None or v <= most]
        known = next((value for value in values if value), None)
        setattr(event, name, next((v for v in values if v is not None), None) if known is None else known)
    event.cached_tokens = event.cached_tokens or 0
    event.quantities = _largest(each.quantities for each in (first, *others))
    event.cost = next((each.cost for each in (first, *others) if each.cost is not None), None)
    metadata = {name: value for name, value in (event.metadata or {}).items() if name != COUNTS_READ}
    if first.counts_read:
        metadata[COUNTS_READ] = first.counts_read
    event.metadata = metadata or None


def _is_fuller(each: Counted, than: Counted) -> bool:
    """Tell whether counts hold the cache, of which another's input is the rest."""
    cached = each.cached_tokens + (each.cache_write_tokens or 0)
    knows_none = not than.cached_tokens and not than.cache_write_tokens
    is_rest = each.input_tokens - cached == than.input_tokens and each.output_tokens >= than.output_tokens
    return bool(cached) and knows_none and is_rest


def is_placeholder(event: UsageEvent) -> bool:
    """Whether a record has the ID of its span for want of an answer's or a gateway's."""
    metadata = event.metadata or {}
    several = metadata.get("merged_spans")
    spans = (metadata.get("span_id"), *(several if isinstance(several, list) else ()))
    return event.request_id in spans


def is_foreign(event: UsageEvent) -> bool:
    """Whether a record came in another format than spans, which may have told of it since."""
    return not (event.metadata or {}).get("span_id")


def event_of(record: UsageRecord) -> UsageEvent:
    """Return a stored record as the event it came from; its names other than the model are left out."""
    plain = {name: getattr(record, name) for name in _PLAIN}
    if is_priced_here(record.billing):
        # Priced from what was known then: to be priced anew from all that is known now.
        plain |= {"cost": None, "billing": as_sent(record.billing)}
    model: AIModel | None = cast("AIModel | None", record.model)
    failure = Failure(
        type=record.error_type, code=record.error_code, message=record.error_message, param=record.error_param
    )
    return UsageEvent(
        type=RecordType(record.type),
        status=Status(record.status),
        model=model.name if model is not None else "",
        error=None if failure == Failure() else failure,
        **plain,
    )


def _largest(several: Iterable[Mapping[str, int | float] | None]) -> dict[str, int | float] | None:
    found: dict[str, int | float] = {}
    for each in several:
        for name, value in (each or {}).items():
            found[name] = max(found.get(name, 0), value)
    return found or None


def _failure(known: Failure, later: Failure) -> Failure:
    """Return an error with what the other one tells beside."""
    names = known.__struct_fields__
    return Failure(**{name: getattr(known, name) or getattr(later, name) for name in names})


def _merged_metadata(known: UsageEvent, later: UsageEvent) -> dict[str, object] | None:
    first, second = known.metadata or {}, later.metadata or {}
    spans = {*_list(first, "merged_spans"), *_list(second, "merged_spans"), str(second.get("span_id") or "")}
    spans -= {"", first.get("span_id")}
    traces = {
        *_list(first, "merged_traces"),
        *_list(second, "merged_traces"),
        str(second.get("trace_id") or ""),
    }
    traces -= {"", first.get("trace_id") or second.get("trace_id")}
    if not first.get("span_id"):
        # Another format's record stays one.
        second = {name: value for name, value in second.items() if name not in ("span_id", "scope")}
    together = {**second, **first}
    if spans:
        together["merged_spans"] = sorted(spans)[:_MOST_NAMED]
    if traces:
        together["merged_traces"] = sorted(traces)[:_MOST_NAMED]
    return together or None


def _list(metadata: dict[str, Any], name: str) -> list[str]:
    value = metadata.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


_PLAIN = (
    "request_id", "created_at", "stream", "duration_ms", "ttft_ms", "http_status", "endpoint", "ip",
    "user_agent", "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "image_count", "usage_estimated", "quantities", "cost",
    "billing", "parameters", "upstream_request_id", "provider", "channel", "attempts", "task_id", "metadata",
)  # fmt: skip
