"""What a gateway tried for one request, as a timeline inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from logs.pricing.facts import number
from routescope.text import formatting

_ERROR_FIELDS = ("message", "code", "type", "error")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. Times are milliseconds, from the first one's start; ``left`` and ``width`` percent."""

    channel: str
    succeeded: bool
    http_status: str
    error: str
    start: Decimal | None
    duration: Decimal | None
    left: str
    width: str


def timeline(sent: Any) -> list[Attempt]:
    """Return the attempts in order. Where a gateway tells no start, one begins when the one before ended."""
    tries = [one for one in sent if isinstance(one, dict)] if isinstance(sent, list) else []
    spans = _spans(tries)
    whole = max((start + (length or 0) for start, length in spans), default=Decimal(0))
    return [_attempt(one, start, length, whole) for one, (start, length) in zip(tries, spans, strict=True)]


def _spans(tries: Sequence[dict[str, Any]]) -> list[tuple[Decimal, Decimal | None]]:
    spans = []
    end = Decimal(0)
    for one in tries:
        length = number(one.get("duration_ms"))
        started = number(one.get("start_ms"))
        start = end if started is None else started
        spans.append((max(start, Decimal(0)), length if length is None or length >= 0 else None))
        end = start + (length or 0)
    return spans


def _attempt(one: dict[str, Any], start: Decimal, length: Decimal | None, whole: Decimal) -> Attempt:
    status = str(one.get("status") or "")
    http_status = one.get("http_status")
    code = number(http_status)
    succeeded = status == "success" or (not status and not one.get("error") and (code is None or code < 400))
    share = 100 / whole if whole else Decimal(0)
    return Attempt(
        channel=str(one.get("channel") or one.get("provider") or one.get("model") or ""),
        succeeded=succeeded,
        http_status="" if http_status is None else str(http_status),
        error=_error(one.get("error")),
        start=start if whole else None,
        duration=length,
        left=f"{start * share:.2f}",
        width=f"{max((length or 0) * share, Decimal(1)):.2f}",
    )


def _error(error: Any) -> str:
    if isinstance(error, dict):
        said = [str(error[name]) for name in _ERROR_FIELDS if isinstance(error.get(name), str)]
        return ": ".join(reversed(said[:2])) or formatting.json_value(error)
    return "" if error is None else formatting.json_value(error)
