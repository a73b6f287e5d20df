"""Why a call failed, judged from what the gateway sent by the rules of `logs.causes.rules`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from accounts.gateways import error_texts
from logs.causes.rules import RULES, Rule
from logs.models import Cause, Status, UsageRecord
from logs.models.events import Failure, UsageEvent

_LONGEST_READ = 8_000
_SHOWN_AROUND = 60
_LABELS: dict[str, StrPromise] = {
    "code": _("Error code"),
    "type": _("Error type"),
    "message": _("Error message"),
    "http_status": _("HTTP status"),
}
_UNKNOWN = RULES[-1]


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
        return self.rule.cause

    @property
    def next_step(self) -> StrPromise:
        return self.rule.next_step


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
        return Verdict(_rule_of(Cause(record.cause)), _anything(failure, record.http_status))
    return found


def verdict(failure: Failure | None, http_status: int | None) -> Verdict:
    """Judge an error by the first rule that fits."""
    failure = failure or Failure()
    named = (("code", failure.code), ("type", failure.type))
    message = (failure.message or "")[:_LONGEST_READ]
    status = http_status or _status_in(failure)
    for rule in RULES[:-1]:
        if rule.words is not None:
            for field, value in named:
                if value and rule.words.search(value):
                    return Verdict(rule, Evidence(field, value))
        if message:
            for pattern in (rule.words, rule.message):
                if pattern is not None and (found := pattern.search(message)):
                    return Verdict(rule, Evidence("message", _around(message, found)))
        if status in rule.statuses:
            return Verdict(rule, Evidence("http_status", str(status)))
    return Verdict(_UNKNOWN, _anything(failure, http_status))


def _rule_of(cause: Cause) -> Rule:
    """Return the most general rule of a cause: what it advises fits all of its calls."""
    return next((rule for rule in reversed(RULES) if rule.cause is cause), _UNKNOWN)


def _status_in(failure: Failure) -> int | None:
    """Return the HTTP status that some gateways send as the error's code, or inside its message."""
    if failure.code and failure.code.isdecimal() and len(failure.code) == 3:
        return int(failure.code)
    found = _STATUS_IN_MESSAGE.search(failure.message or "")
    return int(found[1]) if found else None


# "Error code: 429 - ..." is the OpenAI and Anthropic SDKs' way; "status_code=502" new-api's.
_STATUS_IN_MESSAGE = re.compile(
    r"(?:error code|status[_ ]?code|status|HTTP/1\.1)\W{1,3}([45]\d\d)\b", re.IGNORECASE
)


def _around(message: str, found: re.Match[str]) -> str:
    start, end = max(found.start() - _SHOWN_AROUND, 0), min(found.end() + _SHOWN_AROUND, len(message))
    text = message[start:end].strip()
    return f"{'…' if start else ''}{text}{'…' if end < len(message) else ''}"


def _anything(failure: Failure, http_status: int | None) -> Evidence | None:
    """Return what was sent, where it fits no rule."""
    for field, value in (("code", failure.code), ("type", failure.type), ("message", failure.message)):
        if value:
            return Evidence(field, value[: 2 * _SHOWN_AROUND])
    return Evidence("http_status", str(http_status)) if http_status else None
