"""What an answer or a report holds of a result: links, text, data, and what came inside it in base64."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

from routescope.wire import strict_json
from routescope.wire.strict_json import JSONError
from tasks.models import UNSUCCESSFUL_STATUSES, TaskStatus, TaskType
from tasks.outcomes.observations import is_in_the_answer
from tasks.providers.definition import Definition, Piece, PieceKind, Reading
from tasks.providers.search import find

MAX_PIECES = 100
MAX_TEXT = 20_000
MAX_DATA_BYTES = 64 * 1024
MAX_URL = 4000

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
_BASE64_FIELDS: dict[str, str] = {
    # Veo on Vertex AI, Imagen; Gemini; OpenAI; Jimeng. What they hold where nothing beside them says it.
    "bytesBase64Encoded": "",
    "encodedVideo": "video/mp4",
    "imageBytes": "image/png",
    "b64_json": "image/png",
    "binary_data_base64": "",
}
_DATA_URL = "data:"
_BASE64_MARK = ";base64,"
_LONGEST_TYPE = 100


@dataclass(frozen=True, slots=True)
class _Link:
    url: str
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class _Inside:
    """Bytes that came in base64, how many, and of which content type."""

    size: int
    content_type: str = ""


def text_of(value: Any, most: int | None = None) -> str:
    """Return a value as text, at most so many characters; nothing for null and what is empty."""
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, list):
        text = "; ".join(filter(None, (text_of(item) for item in value)))
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text.replace("\x00", "\ufffd").strip()[:most]


def result_in(
    reading: Reading, answer: Any, *, status: TaskStatus, task_type: str, task_id: str, base: str
) -> list[dict[str, Any]]:
    """Return what an answer, whose state is ``status``, holds of a result. ``base`` fills ``{base}``."""
    pieces: list[dict[str, Any]] = []
    seen: set[str] = set()
    for wanted in reading.results:
        found = _pieces(wanted, find(wanted.path, answer), task_type, task_id, base)
        for piece in _made(found, status, despite_failure=wanted.despite_failure):
            # Two that came inside are two, of whatever size.
            identity = "" if is_in_the_answer(piece) else json.dumps(piece, sort_keys=True)
            if identity not in seen and len(pieces) < MAX_PIECES:
                seen.update({identity} - {""})
                pieces.append(piece)
    return pieces


def result_told(
    value: Any, *, status: TaskStatus | None, task_type: str, definition: Definition | None
) -> list[dict[str, Any]]:
    """Return what a gateway reports as a result: its links, else its text, else itself."""
    results = definition.reading.results if definition else ()
    found = _pieces(Piece("@"), value, task_type, "", "")
    kept = _made(found, status, despite_failure=any(wanted.despite_failure for wanted in results))
    return list(kept)[:MAX_PIECES]


def _made(
    pieces: Iterator[dict[str, Any]], status: TaskStatus | None, *, despite_failure: bool
) -> Iterator[dict[str, Any]]:
    """Leave out what a task without a result cannot have made: a link is made of its ID alone, or is of
    something unfinished. Its words and data came with the answer, and may say why."""
    if status not in UNSUCCESSFUL_STATUSES or despite_failure:
        return pieces
    return (piece for piece in pieces if "url" not in piece and not is_in_the_answer(piece))


def _pieces(wanted: Piece, value: Any, task_type: str, task_id: str, base: str) -> Iterator[dict[str, Any]]:
    if value is None or value in ("", [], {}):
        return
    if wanted.url:
        for item in value if isinstance(value, list) else [value]:
            if url := _filled(wanted.url, text_of(item), task_id, base):
                yield _linked(wanted, _Link(url), task_type)
        return
    if wanted.kind == "json" and not isinstance(value, str):
        yield _data(value)
        return
    found = list(_found(value))
    if found:
        for one in found:
            if isinstance(one, _Link):
                yield _linked(wanted, one, task_type)
            else:
                yield {"kind": wanted.kind or _kind("", one.content_type, task_type), "inside": one.size}
    elif isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        # Language models on Replicate answer with a list of text chunks.
        text = value if isinstance(value, str) else "".join(value)
        if text:
            yield {"kind": "text", "text": text.replace("\x00", "\ufffd")[:MAX_TEXT]}
    else:
        yield _data(value)


def _filled(template: str, value: str, task_id: str, base: str) -> str:
    """Return a URL made of what was found; nothing where a part of it is not known."""
    if not value or ".." in value.split("/") or ("{base}" in template and not base):
        return ""
    # Not str.format(): a template of others could ask for more than these.
    url = template.replace("{base}", base.rstrip("/")).replace("{id}", quote(task_id, safe="-_."))
    url = url.replace("{value}", quote(value, safe="")).replace("{+value}", quote(value, safe="/"))
    return url[:MAX_URL]


def _found(value: Any) -> Iterator[_Link | _Inside]:
    """Find the URLs in a value, each with the content type that stands beside it, and what is in base64."""
    if isinstance(value, str):
        if _is_link(value) and not any(c.isspace() for c in value):
            yield _Link(value[:MAX_URL])
        elif value.startswith(_DATA_URL) and _BASE64_MARK in value[:_LONGEST_TYPE]:
            head, _, data = value.partition(_BASE64_MARK)
            yield _Inside(_size(data), head.removeprefix(_DATA_URL))
    elif isinstance(value, list):
        for item in value:
            yield from _found(item)
    elif isinstance(value, dict):
        url = value.get("url")
        beside = str(value.get("content_type") or value.get("mimeType") or value.get("mime_type") or "")
        if isinstance(url, str) and _is_link(url):
            yield _Link(url[:MAX_URL], beside)
            return
        packed = value.get("data")
        if beside and isinstance(packed, str):
            yield _Inside(_size(packed), beside)
            return
        for name, item in value.items():
            ones = item if isinstance(item, list) else [item]
            if name in _BASE64_FIELDS and all(isinstance(one, str) for one in ones):
                for one in filter(None, ones):
                    yield _Inside(_size(one), beside or _BASE64_FIELDS[name])
            else:
                yield from _found(item)


def _size(base64: str) -> int:
    """Return how many bytes base64 stands for."""
    return len(base64) * 3 // 4 - base64[-2:].count("=")


def _is_link(text: str) -> bool:
    if not text.startswith(("https://", "http://", "gs://")):
        return False
    try:
        urlsplit(text)
    except ValueError:  # A bracket that does not close: it cannot be opened, and breaks who takes it apart.
        return False
    return True


def _linked(wanted: Piece, link: _Link, task_type: str) -> dict[str, Any]:
    kind = wanted.kind or _kind(link.url, link.content_type, task_type)
    return {"kind": kind, "url": link.url, **({"needs_key": True} if wanted.needs_key else {})}


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
