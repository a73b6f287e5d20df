"""Why a span's call failed: attributes, then the status text and the exception event.

Most instrumentations give the HTTP status and the provider's error only inside the OpenAI SDK's message,
``Error code: 429 - {'error': {'message': ..., 'code': 'rate_limit_exceeded'}}``.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from logs.models.events import Failure
from routescope.wire.reading import MAX_NAME, shortened

if TYPE_CHECKING:
    from logs.ingest.formats.span import Span

_ERROR_CODE = re.compile(r"Error code: (\d{3})(?: - (\{.*\}))?", re.DOTALL)
_MAX_LITERAL = 20_000


def read(span: Span) -> tuple[int | None, Failure | None]:
    """Return the HTTP status, where known, and the failure, None for a call that did not fail."""
    attributes = span.attributes
    happened: Any = next((event.attributes for event in span.events if event.name == "exception"), {})
    text = span.message or _word(happened.get("exception.message"), len(span.message) or 100_000) or ""
    status = _status(attributes.get("http.response.status_code")) or _status(
        attributes.get("http.status_code")
    )
    told_status, told = _told(text)
    status = status or told_status or _status(attributes.get("error.code"))
    kind = _word(attributes.get("error.type")) or _word(happened.get("exception.type"))
    if not (span.failed or kind or (status or 0) >= 400):
        return status, None
    if kind:
        # "openai.RateLimitError" and "RateLimitError" are one; a bare HTTP status is no type.
        status = status or _status(kind)
        kind = kind.rpartition(".")[2] if _status(kind) is None else None
    code = _word(attributes.get("error.code"))
    message = told.get("message") or text
    return status, Failure(
        type=kind or _word(told.get("type")),
        code=_word(told.get("code")) or (code if _status(code) is None else None),
        message=shortened(str(message)) if message else None,
        param=_word(told.get("param")),
    )


def _told(text: str) -> tuple[int | None, dict[str, Any]]:
    found = _ERROR_CODE.search(text)
    if found is None:
        return None, {}
    status, literal = int(found[1]), found[2]
    if not literal or len(literal) > _MAX_LITERAL:
        return status, {}
    try:
        body = ast.literal_eval(literal)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return status, {}
    if not isinstance(body, dict):
        return status, {}
    error = body.get("error", body)
    return status, error if isinstance(error, dict) else {"message": error}


def _status(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) == 3 else None


def _word(value: Any, at_most: int = MAX_NAME) -> str | None:
    return str(value).strip()[:at_most] or None if value is not None else None
