"""From a provider's answer to what it says about a task: pure functions over a definition."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from routescope.wire import strict_json
from routescope.wire.reading import shortened
from routescope.wire.strict_json import JSONError
from tasks.models import MAX_ID_BYTES, TaskStatus, TaskType
from tasks.providers.definition import Piece, PieceKind, Reading, duration
from tasks.providers.search import find

MAX_PIECES = 100
MAX_TEXT = 20_000
MAX_DATA_BYTES = 64 * 1024
MAX_URL = 4000

_MILLISECONDS_FROM = 10**11
_KIND_BY_ENDING: dict[str, PieceKind] = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".svg"), "image"),
    **dict.fromkeys((".mp3", ".wav", ".ogg", ".m4a", ".flac", ".opus", ".aac"), "audio"),
    **dict.fromkeys((".mp4", ".webm", ".mov", ".m4v"), "video"),
    **dict.fromkeys((".json", ".jsonl"), "json"),
    **dict.fromkeys((".txt", ".srt", ".vtt"), "text"),
}
_KIND_BY_TYPE: dict[str, PieceKind] = {
    TaskType.IMAGE: "image",
    TaskType.AUDIO: "audio",
    TaskType.MUSIC: "audio",
    TaskType.VIDEO: "video",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an answer says. ``status`` None: it could not be read. Times are UTC, progress is percent."""

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


def read(reading: Reading, answer: Any, *, task_type: str = TaskType.OTHER, task_id: str = "") -> Finding:
    """Return what ``answer`` (decoded JSON) says by the definition's ``reading``.

    What cannot be found is not there, and a state that cannot be told is None. Raises ReadingError where an
    expression of the definition cannot be worked out.
    """
    word = _text(find(reading.status, answer), 100)
    status = _state(reading, answer, word)
    zone = ZoneInfo(reading.zone)
    ended = status in (TaskStatus.SUCCEEDED, TaskStatus.PARTIALLY_SUCCEEDED)
    failed = status is not None and status.value in _WITH_REASON
    return Finding(
        status=status,
        word=word,
        progress=_progress(reading, answer),
        started_at=_moment(find(reading.started, answer), zone),
        finished_at=_moment(find(reading.finished, answer), zone),
        result=_result(reading, answer, task_type, task_id, made=ended) if ended or failed else [],
        expires_at=_moment(find(reading.expires, answer), zone) if ended else None,
        lifetime=duration(reading.lifetime) if reading.lifetime and ended else None,
        failure_code=_text(find(reading.failure_code, answer), 100) if failed else "",
        failure_message=shortened(_text(find(reading.failure_message, answer))) if failed else "",
        task_id=_text(find(reading.task_id, answer), MAX_ID_BYTES),
    )


_WITH_REASON = {"failed", "moderated", "cancelled", "expired", "partially_succeeded"}


def find_text(path: str, answer: Any, most: int = MAX_ID_BYTES) -> str:
    """Return what an expression finds, as text; nothing where it finds nothing. Raises ReadingError."""
    return _text(find(path, answer), most)


def _state(reading: Reading, answer: Any, word: str) -> TaskStatus | None:
    for rule in reading.rules:
        if find(rule.when, answer) is True:
            return rule.state
    return state_of(reading, word) if word else None


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


def _text(value: Any, most: int | None = None) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, list):
        text = "; ".join(filter(None, (_text(item) for item in value)))
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text.replace("\x00", "\ufffd").strip()[:most]


# --- Results ---------------------------------------------------------------------------------------------


def _result(
    reading: Reading, answer: Any, task_type: str, task_id: str, *, made: bool
) -> list[dict[str, Any]]:
    """Return what an answer holds of a result. ``made`` False: the task made none, though others may be named
    (the file of errors, what a cancelled batch had done).
    """
    pieces: list[dict[str, Any]] = []
    seen: set[str] = set()
    own = _text(find(reading.task_id, answer), MAX_ID_BYTES) or task_id
    for wanted in reading.results:
        value = find(wanted.path, answer)
        if wanted.url and not made and ("{id}" in wanted.url or _text(value) == own):
            continue  # Made of the task's own ID, the link names what never came to be.
        for piece in _pieces(wanted, value, task_type, task_id):
            identity = json.dumps(piece, sort_keys=True)
            if identity not in seen and len(pieces) < MAX_PIECES:
                seen.add(identity)
                pieces.append(piece)
    return pieces


def pieces_of(wanted: Piece, value: Any, task_type: str) -> list[dict[str, Any]]:
    """Return a value as pieces of a result: its links, else its text, else itself."""
    return list(_pieces(wanted, value, task_type, ""))[:MAX_PIECES]


def _pieces(wanted: Piece, value: Any, task_type: str, task_id: str) -> Iterator[dict[str, Any]]:
    if value is None or value in ("", [], {}):
        return
    if wanted.url:
        for item in value if isinstance(value, list) else [value]:
            # Not str.format(): a template of others could ask for more than the two.
            named = wanted.url.replace("{id}", quote(task_id, safe="-_."))
            url = named.replace("{value}", quote(_text(item), safe=""))[:MAX_URL]
            yield _linked(wanted, url, "", task_type)
        return
    links = list(_links(value))
    if links:
        for url, content_type in links:
            yield _linked(wanted, url, content_type, task_type)
    elif isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        # Language models on Replicate answer with a list of text chunks.
        text = value if isinstance(value, str) else "".join(value)
        yield {"kind": "text", "text": text.replace("\x00", "\ufffd")[:MAX_TEXT]}
    else:
        yield _data(value)


def _links(value: Any) -> Iterator[tuple[str, str]]:
    """Find the URLs in a value, each with the content type that stands beside it."""
    if isinstance(value, str):
        if _is_link(value) and not any(c.isspace() for c in value):
            yield value[:MAX_URL], ""
    elif isinstance(value, list):
        for item in value:
            yield from _links(item)
    elif isinstance(value, dict):
        url = value.get("url")
        if isinstance(url, str) and _is_link(url):
            yield url[:MAX_URL], str(value.get("content_type") or value.get("mimeType") or "")
        else:
            for item in value.values():
                yield from _links(item)


def _is_link(text: str) -> bool:
    if not text.startswith(("https://", "http://", "gs://")):
        return False
    try:
        urlsplit(text)
    except ValueError:  # A bracket that does not close: it cannot be opened, and breaks who takes it apart.
        return False
    return True


def _linked(wanted: Piece, url: str, content_type: str, task_type: str) -> dict[str, Any]:
    kind = wanted.kind or _kind(url, content_type, task_type)
    return {"kind": kind, "url": url, **({"needs_key": True} if wanted.needs_key else {})}


def _kind(url: str, content_type: str, task_type: str) -> PieceKind:
    general = content_type.partition("/")[0]
    if general in ("image", "audio", "video"):
        return general  # type: ignore[return-value]  # mypy does not narrow a str to its literals
    ending = PurePosixPath(urlsplit(url).path).suffix.lower()
    return _KIND_BY_ENDING.get(ending) or _KIND_BY_TYPE.get(task_type, "file")


def _data(value: Any) -> dict[str, Any]:
    text = json.dumps(value, ensure_ascii=False)
    if len(text.encode(errors="replace")) > MAX_DATA_BYTES:
        return {"kind": "text", "text": text[:MAX_TEXT], "truncated": True}
    try:
        return {"kind": "json", "data": strict_json.decode(text, nan_is_null=True)}
    except JSONError:  # Deeper than what came in: an expression has wrapped it.
        return {"kind": "text", "text": text[:MAX_TEXT]}
