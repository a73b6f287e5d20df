"""Answers that a span holds whole, as JSON text: what they tell beside their content.

OpenInference has the response itself in ``output.value``, and nothing of images, speech and transcriptions
anywhere else; LangChain's result (OpenInference, LangSmith) has the response's ID, usage and, of a refused
call, the error inside. Only these parts are decoded, whatever content lies around them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from logs.ingest.formats import counts, failures
from logs.ingest.formats.failures import TakenApart
from logs.models.events import JSONObject
from routescope.wire.json_parts import is_within
from routescope.wire.reading import MAX_COUNT, MAX_DEPTH, MAX_PARTS, built

_OWN_IDS = ("lc_run-", "run-", "run_")
"""How IDs begin that LangChain makes itself."""
_Word = str | int | float | None


class _Metadata(msgspec.Struct):
    """LangChain's ``response_metadata`` and ``llm_output``."""

    id: _Word = None
    model_name: _Word = None
    service_tier: _Word = None
    token_usage: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    body: msgspec.Raw = msgspec.Raw()
    status_code: _Word = None
    request_id: _Word = None


class _Message(msgspec.Struct):
    id: _Word = None
    response_metadata: _Metadata | None = None
    usage_metadata: msgspec.Raw = msgspec.Raw()


class _Constructor(msgspec.Struct):
    """A message as LangChain serialises it: its fields are ``kwargs``."""

    kwargs: _Message | None = None
    id: msgspec.Raw = msgspec.Raw()
    response_metadata: _Metadata | None = None
    usage_metadata: msgspec.Raw = msgspec.Raw()


class _Generation(msgspec.Struct):
    text: _Word = None
    type: _Word = None
    message: _Constructor | None = None


class _Response(msgspec.Struct):
    """A response of a provider, or LangChain's result."""

    id: _Word = None
    object: _Word = None
    model: _Word = None
    service_tier: _Word = None
    usage: msgspec.Raw = msgspec.Raw()
    usageMetadata: msgspec.Raw = msgspec.Raw()  # noqa: N815
    usage_metadata: msgspec.Raw = msgspec.Raw()
    responseId: _Word = None  # noqa: N815
    response_id: _Word = None
    data: msgspec.Raw = msgspec.Raw()
    duration: _Word = None
    generations: list[list[_Generation]] | None = None
    llm_output: _Metadata | None = None


class GivenAnswer(msgspec.Struct, kw_only=True):
    """What an answer tells. ``error`` is that of a call that was refused: then it has no content."""

    id: str = ""
    model: str | None = None
    service_tier: str | None = None
    usage: JSONObject = {}
    quantities: dict[str, int | float] = {}
    images: int | None = None
    is_streamed: bool = False
    error: TakenApart | None = None


_decode = msgspec.json.Decoder(_Response, strict=False).decode
_count = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read(text: Any) -> GivenAnswer:
    """Read an answer; one that cannot be read tells nothing."""
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return GivenAnswer()
    raw = text.encode(errors="replace")
    if not is_within(raw, depth=MAX_DEPTH, parts=MAX_PARTS):
        return GivenAnswer()
    try:
        found = _decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return GivenAnswer()
    if found.generations:
        return _of_langchain(found, found.generations)
    return GivenAnswer(
        id=_text(found.id) or _text(found.responseId) or _text(found.response_id),
        model=_text(found.model) or None,
        service_tier=_text(found.service_tier) or None,
        usage=_first_object(found.usage, found.usageMetadata, found.usage_metadata),
        quantities=_quantities(found),
        # Lists of anything else (embeddings, files) name their kind.
        images=_length(found.data) if found.object is None else None,
    )


def _of_langchain(found: _Response, generations: list[list[_Generation]]) -> GivenAnswer:
    one = next((first for some in generations for first in some), _Generation())
    constructor = one.message or _Constructor()
    message = constructor.kwargs or _Message(
        response_metadata=constructor.response_metadata, usage_metadata=constructor.usage_metadata
    )
    told, whole = message.response_metadata or _Metadata(), found.llm_output or _Metadata()
    own = _text(message.id)
    error = None
    body = built(told.body) if told.body else None
    if not _text(one.text) and body is not None:
        error = failures.of_body(body) if isinstance(body, dict) else TakenApart()
        error.http_status = failures.as_status(told.status_code) or error.http_status
        error.request_id = _text(told.request_id) or error.request_id
    return GivenAnswer(
        id=_text(told.id) or _text(whole.id) or ("" if own.startswith(_OWN_IDS) else own),
        model=_text(told.model_name) or _text(whole.model_name) or None,
        service_tier=_text(told.service_tier) or _text(whole.service_tier) or None,
        usage=_first_object(message.usage_metadata, told.token_usage, told.usage, whole.token_usage),
        is_streamed=_text(one.type).endswith("Chunk"),
        error=error,
    )


def _quantities(found: _Response) -> dict[str, int | float]:
    """Return the length of a transcription; the usage object has it too, where there is one."""
    try:
        lasted = float(found.duration) if found.duration is not None else None
    except ValueError:
        lasted = None
    seconds = counts.seconds(lasted)
    return {"audio_seconds": seconds} if seconds else {}


def _length(raw: msgspec.Raw) -> int | None:
    try:
        return min(len(_count(raw)), MAX_COUNT) if raw else None
    except (msgspec.DecodeError, RecursionError):
        return None


def _first_object(*raws: msgspec.Raw) -> JSONObject:
    for raw in raws:
        value = built(raw) if raw else None
        if isinstance(value, dict) and value:
            return value
    return {}


def _text(value: _Word) -> str:
    return "" if value is None else str(value).strip()
