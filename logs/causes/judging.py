"""Why a call failed, judged from what the gateway sent by the rules of `routescope.causes`."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from accounts.gateways import error_texts
from logs.models import Cause, Status, UsageRecord
from logs.models.events import Failure, UsageEvent
from routescope.causes import engine
from routescope.causes.engine import Clue
from routescope.causes.rules import RULES, UNKNOWN, Rule, Why

_LABELS: dict[str, StrPromise] = {
    "code": _("Error code"),
    "type": _("Error type"),
    "message": _("Error message"),
    "http_status": _("HTTP status"),
}
_WAIT = _("Wait, then send requests more slowly. The token's limits are under API tokens.")
_OPERATOR = _("Try again shortly. If it keeps failing, give the operator of the gateway the request ID.")
_NEXT: dict[str, StrPromise] = {
    "client-closed": _(
        "Nothing to fix at the gateway: check the client's own timeout, or who cancelled the call."
    ),
    "tokens-per-minute-too-large": _(
        "This request alone exceeds the limit of tokens per minute: shorten it, or raise the limit."
    ),
    "context-length": _("Shorten the input, lower max_tokens, or use a model with a longer context."),
    "content-policy": _("Change the request. Repeated unchanged, it will be refused again."),
    "provider-quota-window": _WAIT,
    "no-channel": _(
        "No upstream serves this model for this group now: tell the gateway's operator, or use another model."
    ),
    "balance": _("Top up, or raise the limit of the token, team or provider account that ran out."),
    "api-key": _(
        "Send a valid API key: this one is missing, mistyped, expired, revoked or for another service."
    ),
    "access": _("Check the API key and what it may use: models, group, IP addresses, regions."),
    "timeout": _("Try again with a longer timeout, fewer output tokens, or as a stream."),
    "rate-limit": _WAIT,
    "no-connection": _OPERATOR,
    "model-response": _(
        "Try again. If it keeps failing, use another model or give the provider the upstream ID."
    ),
    "model-name": _("Correct the model's name, or choose one that this token and group may use."),
    "parameters": _("Correct the parameter that the message names, then send the request again."),
    "gateway-status": _OPERATOR,
    "unknown": _("The evidence fits no known cause: read the error message, or give support the request ID."),
}
"""What the person can do, by the rule that decided."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What decided: a field of the record and its value, of a message the words around what was found."""

    field: str
    value: str

    @property
    def label(self) -> StrPromise:
        return _LABELS[self.field]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A failed call's cause with what speaks for it and what to do. ``evidence`` None: nothing was sent."""

    rule: Rule
    evidence: Evidence | None

    @property
    def cause(self) -> Cause:
        return _cause(self.rule.why)

    @property
    def next_step(self) -> StrPromise:
        return _NEXT[self.rule.key]


def judge(event: UsageEvent) -> Cause:
    """Return the cause of an arriving record; NONE for one that succeeded."""
    if event.status is Status.SUCCESS:
        return Cause.NONE
    return verdict(event.error, event.http_status).cause


def verdict_on(record: UsageRecord) -> Verdict | None:
    """Return the verdict on a stored record under today's rules; None for one that succeeded.

    Where a part of its error was not kept, the cause stays that was judged from the whole of it.
    """
    if not record.is_error:
        return None
    failure = Failure(type=record.error_type, code=record.error_code, message=record.error_message)
    found = verdict(failure, record.http_status)
    if found.cause != record.cause and error_texts.is_cut(record.error_message):
        sent = engine.anything(failure.code, failure.type, failure.message, record.http_status)
        return Verdict(_rule_of(Cause(record.cause)), _evidence(sent))
    return found


def verdict(failure: Failure | None, http_status: int | None) -> Verdict:
    """Judge an error by the first rule that fits."""
    failure = failure or Failure()
    rule, clue = engine.judge(failure.code, failure.type, failure.message, http_status)
    return Verdict(rule, _evidence(clue))


def _cause(why: Why) -> Cause:
    return Cause[why.name]


def _rule_of(cause: Cause) -> Rule:
    """Return the most general rule of a cause: what it advises fits all of its calls."""
    return next((rule for rule in reversed(RULES) if _cause(rule.why) is cause), UNKNOWN)


def _evidence(clue: Clue | None) -> Evidence | None:
    return Evidence(clue.field, clue.value) if clue else None
