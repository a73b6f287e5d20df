"""From a provider's answer to what it says about a task: pure functions over a definition."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from routescope.wire.reading import shortened
from tasks.models import MAX_ID_BYTES, OPEN_STATUSES, UNSUCCESSFUL_STATUSES, TaskStatus, TaskType
from tasks.providers.definition import Reading, duration
from tasks.providers.results import result_in, text_of
from tasks.providers.search import find

_MILLISECONDS_FROM = 10**11


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an answer says. ``status`` None: it could not be read, and is about no state of the task; what it
    complains about stands in ``failure_code`` and ``failure_message``. Times are UTC, progress is percent.
    """

    status: TaskStatus | None
    word: str = ""
    progress: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: list[dict[str, Any]] = field(default_factory=list)
    expires_at: datetime | None = None
    lifetime: timedelta | None = None
    failure_code: str = ""
    failure_message: str = ""
    task_id: str = ""


def read(
    reading: Reading, answer: Any, *, task_type: str = TaskType.OTHER, task_id: str = "", base: str = ""
) -> Finding:
    """Return what ``answer`` (decoded JSON) says by the definition's ``reading``.

    ``base`` is the URL that was asked below, for links that are made of it. What cannot be found is not
    there, and a state that cannot be told is None. Raises ReadingError where an expression of the definition
    cannot be worked out.
    """
    word = text_of(find(reading.status, answer), 100)
    status = _state(reading, answer, word)
    zone = ZoneInfo(reading.zone)
    ended = status in (TaskStatus.SUCCEEDED, TaskStatus.PARTIALLY_SUCCEEDED)
    excused = status in (None, TaskStatus.PARTIALLY_SUCCEEDED, *UNSUCCESSFUL_STATUSES)
    found = Finding(
        status=status,
        word=word,
        progress=_progress(reading, answer),
        started_at=_moment(find(reading.started, answer), zone),
        failure_code=text_of(find(reading.failure_code, answer), 100) if excused else "",
        failure_message=shortened(text_of(find(reading.failure_message, answer))) if excused else "",
        task_id=text_of(find(reading.task_id, answer), MAX_ID_BYTES),
    )
    if status is None or status in OPEN_STATUSES:
        return found
    return replace(
        found,
        finished_at=_moment(find(reading.finished, answer), zone),
        result=result_in(
            reading, answer, status=status, task_type=task_type, task_id=task_id or found.task_id, base=base
        ),
        expires_at=_moment(find(reading.expires, answer), zone) if ended else None,
        lifetime=duration(reading.lifetime) if reading.lifetime and ended else None,
    )


def find_text(path: str, answer: Any, most: int = MAX_ID_BYTES) -> str:
    """Return what an expression finds, as text; nothing where it finds nothing. Raises ReadingError."""
    return text_of(find(path, answer), most)


def _state(reading: Reading, answer: Any, word: str) -> TaskStatus | None:
    told = state_of(reading, word) if word else None
    for rule in reading.rules:
        if rule.of in (None, told) and find(rule.when, answer) is True:
            return rule.state
    return told


def state_of(reading: Reading, word: str) -> TaskStatus:
    """Return what a provider's word means; UNKNOWN, which is not final, for one that nobody listed."""
    known = reading.words.get(word) or {name.lower(): state for name, state in reading.words.items()}.get(
        word.lower()
    )
    return known or TaskStatus.UNKNOWN


def progress_of(value: Any) -> int | None:
    """Return percent of a number or of text such as ``45%``, within 0 to 100."""
    number = _number(value)
    return None if number is None else max(0, min(100, math.floor(number)))


def _progress(reading: Reading, answer: Any) -> int | None:
    if reading.progress_total:
        done, total = (
            _number(find(path, answer)) for path in (reading.progress_done, reading.progress_total)
        )
        percent = 100 * done / total if done is not None and total else None
    else:
        value = _number(find(reading.progress, answer))
        percent = None if value is None else value * reading.progress_scale
    return progress_of(percent)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = value.strip().removesuffix("%")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _moment(value: Any, zone: ZoneInfo) -> datetime | None:
    """Read RFC 3339, or epoch seconds or milliseconds. None for zero, for what is no time, and out of
    range.
    """
    try:
        if isinstance(value, str) and not value.isdigit():
            moment = datetime.fromisoformat(value.strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
        number = _number(value)
        if not number or number < 0:
            return None
        return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None
