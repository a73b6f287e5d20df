"""What the clients are made to do, and what is right to be stored of it: known before any call is made.

A scenario is one order to the stand-in for a provider (`tests.clients.upstream`), in the words of one wire
format. Costs are worked out by hand from the providers' prices, in USD per million tokens (input, cached,
5-minute write, 1-hour write, output): gpt-4o 2.50, 1.25, -, -, 10; text-embedding-3-small 0.02;
claude-sonnet-4-5 3, 0.30, 3.75, 6, 15, and 3.30, 0.33, 4.125, 6.60, 16.50 in a region of Bedrock;
gemini-2.5-flash 0.30, 0.03, -, -, 2.50. Gemini's thoughts lie beside its candidates, and are output.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from logs.models import Cause

CHAT_MODEL = "gpt-4o"
EMBEDDING_MODEL = "text-embedding-3-small"
CLAUDE = "claude-sonnet-4-5"
GEMINI = "gemini-2.5-flash"
BEDROCK_CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@dataclass(frozen=True)
class Used:
    """Tokens of one call: input includes what was cached and written, output includes reasoning."""

    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0
    written_1h: int = 0
    reasoning: int = 0


@dataclass(frozen=True)
class Refusal:
    """How a provider says no: its code and type in its own words, and what they mean."""

    http_status: int
    code: str | None
    kind: str
    message: str
    cause: Cause


@dataclass(frozen=True)
class Scenario:
    """One call: what it is to use and cost (USD), or how it fails."""

    used: Used = Used()
    cost: Decimal = Decimal(0)
    refusal: Refusal | None = None
    cause: Cause = Cause.NONE

    @property
    def is_failure(self) -> bool:
        return self.cause != Cause.NONE


def _used(cost: str, **used: int) -> Scenario:
    return Scenario(Used(**used), Decimal(cost))


def _no(status: int, code: str | None, kind: str, message: str, cause: Cause) -> Scenario:
    return Scenario(refusal=Refusal(status, code, kind, message, cause), cause=cause)


_OK = {"input": 19, "output": 10}
_CACHED = {"input": 2006, "output": 300, "cached": 1920}
_REASONING = {"input": 75, "output": 1186, "reasoning": 1024}
_WRITTEN = {"input": 1586, "output": 120, "written": 1500}
_CUT = {
    "break": Scenario(cause=Cause.GATEWAY),
    "slow": Scenario(cause=Cause.TIMEOUT),
}
"""A stream that ends before its end, and an answer for which the client does not wait."""

OPENAI = {
    "ok": _used("0.0001475", **_OK),
    "cached": _used("0.005615", **_CACHED),
    "reasoning": _used("0.0120475", **_REASONING),
    "embed": _used("0.00000016", input=8),
    "fail 400": _no(
        400, "context_length_exceeded", "invalid_request_error",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130048 "
        "tokens. Please reduce the length of the messages.", Cause.CONTEXT_LENGTH,
    ),
    "fail policy": _no(
        400, "content_policy_violation", "invalid_request_error",
        "Your request was rejected as a result of our safety system.", Cause.CONTENT_POLICY,
    ),
    "fail 401": _no(
        401, "invalid_api_key", "invalid_request_error", "Incorrect API key provided: sk-fake.",
        Cause.PERMISSION,
    ),
    "fail 402": _no(402, "invalid_request_error", "unknown_error", "Insufficient Balance", Cause.BALANCE),
    "fail 403": _no(
        403, "unsupported_country_region_territory", "request_forbidden",
        "Country, region, or territory not supported", Cause.PERMISSION,
    ),
    "fail 404": _no(
        404, "model_not_found", "invalid_request_error",
        "The model `gpt-4o` does not exist or you do not have access to it.", Cause.PARAMETERS,
    ),
    "fail 429": _no(
        429, "rate_limit_exceeded", "requests",
        "Rate limit reached for gpt-4o on requests per min (RPM): Limit 3, Used 3, Requested 1.",
        Cause.RATE_LIMIT,
    ),
    "fail quota": _no(
        429, "insufficient_quota", "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.", Cause.BALANCE,
    ),
    "fail 500": _no(
        500, None, "server_error", "The server had an error while processing your request.",
        Cause.MODEL_RESPONSE,
    ),
    "fail 503": _no(
        503, None, "server_error", "The engine is currently overloaded, please try again later.",
        Cause.MODEL_RESPONSE,
    ),
    **_CUT,
}  # fmt: skip

ANTHROPIC = {
    "ok": _used("0.000207", **_OK),
    "cached": _used("0.005334", **_CACHED),
    "written": _used("0.007683", **_WRITTEN),
    "written 1h": _used("0.009933", **_WRITTEN, written_1h=1000),
    "fail 400": _no(
        400, None, "invalid_request_error", "prompt is too long: 200251 tokens > 200000 maximum",
        Cause.CONTEXT_LENGTH,
    ),
    "fail balance": _no(
        400, None, "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade "
        "or purchase credits.", Cause.BALANCE,
    ),
    "fail 401": _no(401, None, "authentication_error", "invalid x-api-key", Cause.PERMISSION),
    "fail 403": _no(
        403, None, "permission_error", "Your API key does not have permission to use the specified resource.",
        Cause.PERMISSION,
    ),
    "fail 404": _no(404, None, "not_found_error", "model: claude-sonnet-4-5", Cause.PARAMETERS),
    "fail 429": _no(
        429, None, "rate_limit_error", "This request would exceed your organization's rate limit of 50 "
        "requests per minute.", Cause.RATE_LIMIT,
    ),
    "fail 500": _no(500, None, "api_error", "Internal server error", Cause.MODEL_RESPONSE),
    "fail 529": _no(529, None, "overloaded_error", "Overloaded", Cause.MODEL_RESPONSE),
    **_CUT,
    # Its streams begin with what the input used.
    "break": Scenario(Used(19, 1), Decimal("0.000072"), cause=Cause.GATEWAY),
}  # fmt: skip

GOOGLE = {
    "ok": _used("0.0000307", **_OK),
    "cached": _used("0.0008334", **_CACHED),
    "reasoning": _used("0.0029875", **_REASONING),
    "fail 400": _no(
        400, None, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens "
        "allowed (1048576).", Cause.CONTEXT_LENGTH,
    ),
    "fail key": _no(
        400, None, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", Cause.PERMISSION
    ),
    "fail 403": _no(
        403, None, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key.",
        Cause.PERMISSION,
    ),
    "fail 404": _no(
        404, None, "NOT_FOUND", "models/gemini-2.5-flash is not found for API version v1beta, or is not "
        "supported for generateContent.", Cause.PARAMETERS,
    ),
    "fail 429": _no(
        429, None, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", Cause.RATE_LIMIT
    ),
    "fail 500": _no(500, None, "INTERNAL", "An internal error has occurred.", Cause.MODEL_RESPONSE),
    "fail 503": _no(
        503, None, "UNAVAILABLE", "The model is overloaded. Please try again later.", Cause.MODEL_RESPONSE
    ),
    **_CUT,
}  # fmt: skip

BEDROCK = {
    "ok": _used("0.0002277", **_OK),
    "cached": _used("0.0058674", **_CACHED),
    "written": _used("0.0084513", **_WRITTEN),
    "fail 400": _no(
        400, "ValidationException", "ValidationException", "Input is too long for requested model.",
        Cause.CONTEXT_LENGTH,
    ),
    "fail 403": _no(
        403, "AccessDeniedException", "AccessDeniedException",
        "You don't have access to the model with the specified model ID.", Cause.PERMISSION,
    ),
    "fail 404": _no(
        404, "ResourceNotFoundException", "ResourceNotFoundException",
        "Could not resolve the foundation model from the model identifier.", Cause.PARAMETERS,
    ),
    "fail 429": _no(
        429, "ThrottlingException", "ThrottlingException",
        "Too many requests, please wait before trying again.", Cause.RATE_LIMIT,
    ),
    "fail 500": _no(
        500, "InternalServerException", "InternalServerException",
        "The system encountered an unexpected error during processing. Try your request again.",
        Cause.MODEL_RESPONSE,
    ),
    "fail 503": _no(
        503, "ServiceUnavailableException", "ServiceUnavailableException",
        "Bedrock is unable to process your request.", Cause.MODEL_RESPONSE,
    ),
    "slow": _CUT["slow"],
}  # fmt: skip

WIRES = {"openai": OPENAI, "anthropic": ANTHROPIC, "google": GOOGLE, "bedrock": BEDROCK}
MODELS = {"openai": CHAT_MODEL, "anthropic": CLAUDE, "google": GEMINI, "bedrock": BEDROCK_CLAUDE}
