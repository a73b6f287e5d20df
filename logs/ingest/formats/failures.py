"""What carries an error, taken apart: HTTP status, type, code, message, parameter, the provider's request ID.

Most SDKs put the provider's answer into one text. Source: the exceptions of openai, anthropic, google-genai,
botocore, pydantic-ai, LangChain and LiteLLM, as their releases of 2026 write them:

- ``Error code: 429 - {'error': {'message': ..., 'code': 'rate_limit_exceeded'}}``, or words instead
- ``status_code: 429, model_name: gpt-4o, body: {...}``
- ``429 RESOURCE_EXHAUSTED. {'error': {'code': 429, 'message': ..., 'status': 'RESOURCE_EXHAUSTED'}}``
- ``litellm.RateLimitError: RateLimitError: OpenAIException - {"error": {...}}``
- ``OpenAIRateLimitError('Error code: 429 - ...')Traceback (most recent call last): ...``
"""

from __future__ import annotations

import ast
import builtins
import re
from typing import Any

import msgspec

from logs.models.events import Failure, JSONObject
from routescope.text.identifiers import kept
from routescope.wire.reading import MAX_NAME, built, shortened

_MAX_LITERAL = 20_000
_MAX_READ = 100_000
_STATUS_OF_CLASS = {
    # OpenAI, Anthropic, LiteLLM; LangChain's begin with the provider's name.
    "BadRequestError": 400, "InvalidRequestError": 400, "ContextWindowExceededError": 400,
    "ContextOverflowError": 400, "ContentPolicyViolationError": 400, "UnsupportedParamsError": 400,
    "AuthenticationError": 401, "PermissionDeniedError": 403, "NotFoundError": 404, "Timeout": 408,
    "ConflictError": 409, "RequestTooLargeError": 413, "UnprocessableEntityError": 422,
    "RateLimitError": 429, "InternalServerError": 500, "BadGatewayError": 502,
    "ServiceUnavailableError": 503, "DeadlineExceededError": 504, "OverloadedError": 529,
    # Google.
    "InvalidArgument": 400, "FailedPrecondition": 400, "Unauthenticated": 401, "PermissionDenied": 403,
    "ResourceExhausted": 429, "TooManyRequests": 429, "ServiceUnavailable": 503, "DeadlineExceeded": 504,
    # Bedrock.
    "ValidationException": 400, "AccessDeniedException": 403, "UnrecognizedClientException": 403,
    "ExpiredTokenException": 403, "ResourceNotFoundException": 404, "ModelTimeoutException": 408,
    "ModelErrorException": 424, "ThrottlingException": 429, "ModelNotReadyException": 429,
    "InternalServerException": 500, "ServiceUnavailableException": 503,
}  # fmt: skip
_STATUS_OF_WORD = {
    # google.rpc.Code and Anthropic's types of errors, of which each is sent with one status.
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404, "RESOURCE_EXHAUSTED": 429, "INTERNAL": 500, "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504, "authentication_error": 401, "permission_error": 403, "not_found_error": 404,
    "request_too_large": 413, "rate_limit_error": 429, "overloaded_error": 529,
}  # fmt: skip
_BY_LENGTH = sorted(_STATUS_OF_CLASS, key=len, reverse=True)
_STATUS = (
    re.compile(r"\bError code: (\d{3})\b(?: - )?"),
    re.compile(r"\bstatus_?code[:=] ?(\d{3})\b,?", re.IGNORECASE),
    re.compile(r"^(\d{3}) [A-Z][A-Z_]{2,40}\b"),
    re.compile(r"^(?:HTTP )?(\d{3}) status code\b"),
)
_NAMED = re.compile(r"^(?:[A-Za-z_]\w{0,80}\.){0,6}([A-Z]\w{2,60}): ")
_PREFIX = re.compile(r"^(?:(?:litellm\.)?[A-Z]\w{2,60}(?:Error|Exception|Timeout)(?:: | - ))+")
_CLASS = re.compile(r"([A-Z]\w{2,60})(?:: | - )")
_OF_BEDROCK = re.compile(r"^An error occurred \((\w{1,80})\)")
_REPR = re.compile(r"^([A-Z]\w{2,60})\((['\"])")
_TRACEBACK = "Traceback (most recent call last):"
_ERROR_FIELDS = frozenset({"error", "message", "code", "type", "detail", "error_code", "error_msg", "msg"})


class TakenApart(msgspec.Struct, kw_only=True):
    """What an error tells; None: nothing of the kind. ``message`` is without what stands in other fields."""

    http_status: int | None = None
    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None
    request_id: str | None = None

    def or_else(self, other: TakenApart) -> TakenApart:
        """Return this, and where it says nothing the other."""
        names = self.__struct_fields__
        return TakenApart(**{name: getattr(self, name) or getattr(other, name) for name in names})

    def failure(self) -> Failure:
        """Return it as a record keeps it."""
        message = shortened(self.message) if self.message else None
        return Failure(type=self.type, code=self.code, message=message, param=self.param)


def of_text(text: str) -> TakenApart:
    """Take apart the text of an exception or of a span's status."""
    text = _unwrapped(text[:_MAX_READ].strip())
    found = TakenApart()
    prefix = _PREFIX.match(text)
    rest = text[prefix.end() :] if prefix else text
    if prefix:
        # LiteLLM names the class it maps to first, and last a class for all errors of a provider.
        classes = [name for name in _CLASS.findall(prefix[0]) if not name.endswith("Exception")]
        found.type = classes[-1] if classes else None
    elif named := _NAMED.match(text):
        found.type = named[1]
    elif bedrock := _OF_BEDROCK.match(text):
        found.type = bedrock[1]
    status = next((one for pattern in _STATUS if (one := pattern.search(rest))), None)
    if status is not None:
        found.http_status = as_status(status[1])
        beyond = rest[status.end() :].strip()
        # "429 RESOURCE_EXHAUSTED." is a word; what stands before "Error code" says nothing more.
        found.message = beyond if beyond and "Error code" in status[0] else rest
    inner = of_body(_body_in(rest))
    if inner.message or inner.code or inner.type:
        inner.http_status = found.http_status or inner.http_status
        # An exception's class comes before the provider's kind of error.
        inner.type = found.type or inner.type
        found = inner
    found.message = found.message or rest or None
    return found


def of_body(body: JSONObject) -> TakenApart:
    """Take apart a provider's error body: ``{"error": {...}}``, or the error itself."""
    error = body.get("error", body)
    if isinstance(error, list):
        error = error[0] if error else {}
    if isinstance(error, str):
        error = {**body, "message": body.get("message") or error}
    if not isinstance(error, dict):
        return TakenApart()
    code = _word(error.get("code")) or _word(error.get("error_code")) or _word(body.get("code"))
    # Google's word for it, beside the HTTP status as its code.
    named = _word(error.get("status"))
    if as_status(code) is not None and named and not named.isdigit():
        code, numbered = named, as_status(code)
    else:
        numbered = as_status(code)
    message = error.get("message") or error.get("msg") or error.get("detail") or error.get("error_msg")
    kind = _word(error.get("type"))
    inner = error.get("innererror")
    inner_code = _word(inner.get("code")) if isinstance(inner, dict) else None
    return TakenApart(
        http_status=numbered or as_status(error.get("status")) or as_status(error.get("status_code")),
        type=kind,
        code=code if as_status(code) is None else inner_code,
        message=message if isinstance(message, str) and message else None,
        param=_word(error.get("param")),
        request_id=_id(body.get("request_id")) or _id(error.get("request_id")),
    )


def of_class(name: str | None) -> int | None:
    """Return the HTTP status that an exception's class stands for: ``openai.RateLimitError`` is a 429."""
    bare = (name or "").rpartition(".")[2].strip("<>' ")
    if not bare or hasattr(builtins, bare) or bare == "ModuleNotFoundError":
        return None
    if bare.endswith("Timeout") and bare != "Timeout":
        # A ReadTimeout is a transport's own, which had no answer and so no status.
        return None
    return next((_STATUS_OF_CLASS[one] for one in _BY_LENGTH if bare.endswith(one)), None)


def of_word(word: str | None) -> int | None:
    """Return the HTTP status that goes with a word of Google's or Anthropic's."""
    return _STATUS_OF_WORD.get(word or "")


def as_status(value: Any) -> int | None:
    """Return an HTTP status, None for any other number or word."""
    if isinstance(value, bool) or value is None:
        return None
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) == 3 and text[0] in "12345" else None


def _unwrapped(text: str) -> str:
    """Return a text without the traceback behind it, and not as Python's ``repr`` of an exception."""
    at = text.find(_TRACEBACK)
    if at == 0:
        # The exception itself is its last line.
        text = text.rstrip().rpartition("\n")[2]
    elif at > 0:
        text = text[:at].rstrip()
    if (shown := _REPR.match(text)) and text.endswith(f"{shown[2]})"):
        try:
            inner = ast.literal_eval(text[shown.end() - 1 : -1]) if len(text) <= _MAX_LITERAL else None
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            inner = None
        if isinstance(inner, str) and inner:
            return f"{shown[1]}: {inner}"
    return text


def _body_in(text: str) -> JSONObject:
    """Return the first object in a text, as JSON or as Python writes a dictionary."""
    start = text.find("{")
    end = text.rfind("}")
    if not 0 <= start < end or end - start > _MAX_LITERAL:
        return {}
    written = text[start : end + 1]
    value = built(written.encode(errors="replace"))
    if value is None:
        try:
            value = ast.literal_eval(written)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return {}
    return value if isinstance(value, dict) and not _ERROR_FIELDS.isdisjoint(value) else {}


def _id(value: Any) -> str | None:
    return kept(value) or None if isinstance(value, str) else None


def _word(value: Any) -> str | None:
    is_plain = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip()[:MAX_NAME] or None if is_plain else None
