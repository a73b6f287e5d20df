"""Why a call failed, judged from what the gateway sent."""

from __future__ import annotations

from logs.events import UsageEvent
from logs.models import Cause, Status

# Looked for in the error's code and type, underscores left out: "rate_limit_exceeded" and "RateLimitError".
_BY_WORD = (
    ("contentpolicy", Cause.CONTENT_POLICY),
    ("contentfilter", Cause.CONTENT_POLICY),
    ("contextlength", Cause.CONTEXT_LENGTH),
    ("contextwindow", Cause.CONTEXT_LENGTH),
    ("insufficientquota", Cause.BALANCE),
    ("insufficientbalance", Cause.BALANCE),
    ("budget", Cause.BALANCE),
    ("ratelimit", Cause.RATE_LIMIT),
    ("timeout", Cause.TIMEOUT),
    ("clientclosed", Cause.CLIENT_CLOSED),
    ("clientdisconnect", Cause.CLIENT_CLOSED),
    ("invalidapikey", Cause.PERMISSION),
    ("permission", Cause.PERMISSION),
    ("authentication", Cause.PERMISSION),
    ("apiconnection", Cause.GATEWAY),
    ("serviceunavailable", Cause.GATEWAY),
)
_BY_HTTP_STATUS = {
    400: Cause.PARAMETERS,
    401: Cause.PERMISSION,
    402: Cause.BALANCE,
    403: Cause.PERMISSION,
    404: Cause.PARAMETERS,
    408: Cause.TIMEOUT,
    413: Cause.PARAMETERS,
    422: Cause.PARAMETERS,
    429: Cause.RATE_LIMIT,
    499: Cause.CLIENT_CLOSED,
    500: Cause.MODEL_RESPONSE,
    502: Cause.GATEWAY,
    503: Cause.GATEWAY,
    504: Cause.TIMEOUT,
    529: Cause.MODEL_RESPONSE,
}


def judge(event: UsageEvent) -> Cause:
    """Return the cause: first by the error's code and type, which say more than the HTTP status."""
    if event.status is Status.SUCCESS:
        return Cause.NONE
    if event.error is not None:
        words = f"{event.error.code or ''} {event.error.type or ''}".lower().replace("_", "")
        for word, cause in _BY_WORD:
            if word in words:
                return cause
    return _BY_HTTP_STATUS.get(event.http_status or 0, Cause.UNKNOWN)
