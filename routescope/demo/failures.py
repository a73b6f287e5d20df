"""What goes wrong, in the providers' own words, and what the gateway does about it: retries and refunds."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec

from routescope.demo.calls import CHANNELS
from routescope.demo.cast import EVALS, NOTEBOOK, TRIAL, Token
from routescope.demo.prices import MODELS
from routescope.demo.records import ErrorSent, JSONObject, RecordSent


class FailedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An error as a provider or the gateway words it. ``{...}`` is filled in from the call.

    ``cause`` is what it is meant to be judged as.
    """

    cause: str
    by: str
    http_status: int | None = None
    type: str | None = None
    code: str | None = None
    message: str
    param: str | None = None


class _Answers(msgspec.Struct):
    answers: list[FailedAnswer]


def _answers() -> dict[str, dict[str, list[FailedAnswer]]]:
    """Return the answers by cause, then by who gives them."""
    text = (Path(__file__).parent / "answers.toml").read_bytes()
    known: dict[str, dict[str, list[FailedAnswer]]] = {}
    for answer in msgspec.toml.decode(text, type=_Answers).answers:
        known.setdefault(answer.cause, {}).setdefault(answer.by, []).append(answer)
    return known


ANSWERS = _answers()
_GATEWAY = "gateway"
FREE = "0"
_USUAL = {
    "parameters": 24,
    "permission": 5,
    "balance": 3,
    "rate_limit": 10,
    "content_policy": 9,
    "context_length": 8,
    "model_response": 14,
    "timeout": 8,
    "client_closed": 12,
    "gateway": 5,
    "unknown": 2,
}
_BEFORE_THE_MODEL = {
    "parameters",
    "permission",
    "balance",
    "rate_limit",
    "context_length",
}
_RETRIED = {"rate_limit", "model_response", "timeout", "gateway"}
REFUNDED_WITHIN = timedelta(minutes=10)
"""A call that failed after it was charged is refunded so soon."""
_NO_UPSTREAM = {"invalid_api_key", "model_not_allowed", "insufficient_balance", "no_available_channel"}


@dataclass(frozen=True, slots=True)
class Incident:
    """A time in which more fails than usual: ``share`` of the calls of a provider or token, for one cause.

    ``before`` is how long before the end of the history it begins.
    """

    before: timedelta
    length: timedelta
    cause: str
    share: float
    provider: str | None = None
    token: Token | None = None

    def strikes(self, event: RecordSent, age: timedelta) -> bool:
        """Return whether a call made ``age`` before the end of the history is in the incident's way."""
        return (
            self.before - self.length < age <= self.before
            and self.provider in (None, event.provider)
            and (self.token is None or (self.token.user, self.token.name) == (event.user, event.token))
        )


INCIDENTS = (
    Incident(timedelta(hours=5, minutes=12), timedelta(minutes=14), "model_response", 0.55, "anthropic"),
    Incident(timedelta(days=3, hours=2), timedelta(minutes=6), "gateway", 0.8),
    Incident(timedelta(days=6, hours=20), timedelta(hours=4), "balance", 1.0, token=NOTEBOOK),
    Incident(timedelta(days=12, hours=9), timedelta(minutes=50), "timeout", 0.4, "openai"),
    Incident(timedelta(days=27), timedelta(hours=3), "permission", 1.0, token=EVALS),
    Incident(timedelta(days=51, hours=7), timedelta(minutes=35), "rate_limit", 0.7, "google"),
    # The trial's balance is used up, and nobody tops it up.
    Incident(timedelta(days=2), timedelta(days=3650), "balance", 1.0, token=TRIAL),
)


def usual_cause(rng: random.Random) -> str:
    """Draw why a call fails on an ordinary day."""
    [cause] = rng.choices(list(_USUAL), weights=list(_USUAL.values()))
    return cause


def spoil(rng: random.Random, event: RecordSent, cause: str) -> None:
    """Make a call one that failed for ``cause``, in the words of its provider or the gateway."""
    answers = ANSWERS[cause]
    family = event.provider if event.provider in ("anthropic", "google") else "openai"
    answer = rng.choice(answers.get(family) or answers.get(_GATEWAY) or answers["openai"])
    if _GATEWAY in answers and rng.random() < 0.5:
        answer = rng.choice(answers[_GATEWAY])
    fail(rng, event, answer)
    if answer.code in _NO_UPSTREAM:
        event.upstream_request_id = event.channel = event.provider = None
    if cause == "context_length":
        event.input_tokens = event.cached_tokens = 0
    if cause == "timeout":
        event.duration_ms = rng.choice((60_000, 120_000, 300_000)) + rng.randrange(40)
        event.ttft_ms = None
        _uncharge(event)
    elif cause in _BEFORE_THE_MODEL or event.output_tokens == 0:
        event.duration_ms = int(rng.lognormvariate(4.6, 0.6))
        event.ttft_ms = None
        _uncharge(event)
    else:
        _break_off(rng, event)
    if cause in _RETRIED and event.channel and rng.random() < 0.6:
        _retry_in_vain(rng, event)


def refuse(event: RecordSent, limit: str) -> None:
    """Make a call one that the gateway refused because the token's limit of the minute was reached."""
    message = f"Rate limit reached: {limit}. Please try again in the next minute."
    event.status = "error"
    event.http_status = 429
    event.error = ErrorSent(type="rate_limit_error", code="rate_limit_exceeded", message=message)
    event.upstream_request_id = event.channel = event.provider = event.attempts = None
    event.duration_ms, event.ttft_ms = 2 + len(event.request_id) % 5, None
    _uncharge(event)


def retry(rng: random.Random, event: RecordSent) -> None:
    """Make a successful call one that succeeded on its second channel only."""
    if event.provider is None or event.duration_ms is None:
        return
    first, second = CHANNELS[event.provider]
    status, error, lost_ms = rng.choice(
        (
            (429, "rate_limit_exceeded", rng.randrange(80, 400)),
            (529 if event.provider == "anthropic" else 503, "overloaded", rng.randrange(200, 2_500)),
            (504, "upstream_timeout", 30_000),
        )
    )
    event.attempts = [
        _attempt(first, "error", status, lost_ms, error),
        _attempt(second, "success", 200, event.duration_ms, None),
    ]
    event.channel = second
    event.duration_ms += lost_ms
    if event.ttft_ms is not None:
        event.ttft_ms += lost_ms


def refund(rng: random.Random, event: RecordSent) -> RecordSent | None:
    """Return the refund of a failed call that was charged; None where there is nothing to give back.

    What was streamed until the client itself went away stays charged.
    """
    if event.cost in (None, FREE) or event.status != "error" or event.http_status == 499:
        return None
    return RecordSent(
        request_id=event.request_id,
        created_at=event.created_at + REFUNDED_WITHIN * rng.uniform(0.05, 1),
        type="refund",
        user=event.user,
        token=event.token,
        group=event.group,
        model=event.model,
        cost=f"-{event.cost}",
        billing={"currency": "USD", "reason": "failed_after_charge", "refund_of": event.request_id},
        task_id=event.task_id,
    )


def fail(rng: random.Random, event: RecordSent, answer: FailedAnswer) -> None:
    """Write an answer's words and HTTP status over a call."""
    model = MODELS.get(event.model)
    context = model.context if model else 128_000
    filled = answer.message.format(
        model=event.model,
        group=event.group,
        context=context,
        too_long=context + rng.randrange(300, context // 2),
        input_tokens=event.input_tokens,
        hex=f"{rng.getrandbits(80):020x}",
        tail=f"{rng.getrandbits(16):04x}",
        seconds=rng.choice((60, 120, 300)),
    )
    event.status = "error"
    event.http_status = answer.http_status
    event.error = ErrorSent(type=answer.type, code=answer.code, message=filled, param=answer.param)


def _uncharge(event: RecordSent) -> None:
    event.output_tokens = event.cached_tokens = 0
    event.reasoning_tokens = event.cache_write_tokens = event.image_count = None
    event.audio_input_tokens = event.audio_output_tokens = None
    event.audio_seconds = event.characters = event.usage_estimated = None
    event.cost = FREE
    event.billing = None


def _break_off(rng: random.Random, event: RecordSent) -> None:
    """Let a call break off: while it streams, charged as it was, or before its first token, for free."""
    if event.stream and rng.random() < 0.6:
        # Usage comes with a stream's last piece.
        event.usage_estimated = True
        return
    event.duration_ms = int((event.duration_ms or 0) * rng.uniform(0.2, 0.9)) + 1
    event.ttft_ms = None
    _uncharge(event)


def _retry_in_vain(rng: random.Random, event: RecordSent) -> None:
    if event.provider is None:
        return
    code = event.error.code or event.error.type if event.error else None
    status = event.http_status or 0
    spent = event.duration_ms or 0
    event.attempts = [
        _attempt(channel, "error", status, spent // 2, code) for channel in CHANNELS[event.provider]
    ]
    event.channel = CHANNELS[event.provider][1]


def _attempt(channel: str, status: str, http_status: int, duration_ms: int, error: str | None) -> JSONObject:
    attempt: JSONObject = {
        "channel": channel,
        "status": status,
        "http_status": http_status,
        "duration_ms": duration_ms,
    }
    if error is not None:
        attempt["error"] = {"code": error}
    return attempt
