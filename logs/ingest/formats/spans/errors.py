"""Why a span's call failed: its attributes, then the status text and the exception event.

Most instrumentations give the HTTP status and the provider's error only inside the SDK's message, which
`logs.ingest.formats.failures` takes apart.
"""

from __future__ import annotations

from typing import Any

from logs.ingest.formats import failures
from logs.ingest.formats.failures import TakenApart
from logs.ingest.formats.spans import values
from logs.ingest.formats.spans.dialect import SpanDialect
from logs.ingest.formats.spans.span import Span
from routescope.wire.reading import MAX_NAME

_STATUS = ("http.response.status_code", "http.status_code", "rpc.grpc.http_status_code")
_MESSAGE = ("error.message", "exception.message", "error")
_NO_CLASSES = ("Exception", "Error", "_OTHER", "BaseException")
"""What says no more than that it failed."""


def read(span: Span, dialect: SpanDialect) -> tuple[int | None, TakenApart | None]:
    """Return the HTTP status, where known, and the failure, None for a call that did not fail."""
    attributes = span.attributes
    happened: Any = next((event.attributes for event in span.events if event.name == "exception"), {})
    status = next((one for name in _STATUS if (one := failures.as_status(attributes.get(name)))), None)
    sent = values.text(attributes, ("error.type",))
    kind = _class(sent) or _class(values.text(happened, ("exception.type",)))
    failed = dialect.has_failed(span)
    told = dialect.error(span) if failed or sent or happened else TakenApart()
    if not (failed or kind or told.http_status or (status or 0) >= 400):
        return status, None
    texts = (span.message, happened.get("exception.message"), *(attributes.get(n) for n in _MESSAGE))
    for text in texts:
        if isinstance(text, str) and text.strip():
            written = failures.of_text(text)
            # The class that the text begins with says more than the provider's kind of error.
            kind = kind or _class(written.type)
            told = told.or_else(written)
    code = values.text(attributes, ("error.code",))
    if failures.as_status(code) is None:
        told.code = told.code or code
    if kind is not None and failures.as_status(kind) is None:
        # What the instrumentation says comes first; "openai.RateLimitError" and "RateLimitError" are one.
        told.type, inner = kind, told.type
    else:
        inner = None
    # A stream that broke has the status of its beginning.
    status = status or told.http_status or failures.as_status(code) or failures.as_status(kind)
    by_name = (failures.of_class(told.type), failures.of_class(inner), failures.of_class(sent))
    by_word = (failures.of_word(told.type), failures.of_word(told.code), failures.of_word(inner))
    status = status or next((one for one in (*by_name, *by_word) if one), None)
    return status, told


def _class(name: str | None) -> str | None:
    """Return an exception's class without its module; None for one that says nothing."""
    if name is None or failures.as_status(name) is not None:
        return name
    bare = name.removeprefix("<class ").strip("<>'\" ").rpartition(".")[2]
    return bare[:MAX_NAME] if bare and bare not in _NO_CLASSES else None
