"""Judging one error by the rules: the first that fits, and what speaks for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from routescope.causes.rules import RULES, UNKNOWN, Rule

Field = Literal["code", "type", "message", "http_status"]

_LONGEST_READ = 8_000
_SHOWN_AROUND = 60
# "Error code: 429 - ..." is the OpenAI and Anthropic SDKs' way; "429 status code (no body)" that of their
# scripts; "status_code=502" new-api's; "[400 Bad Request]" and "<400>" those of Gemini's SDK and DashScope.
_STATUS_IN_MESSAGE = re.compile(
    r"(?:error code|status[_ ]?code|status|HTTP/1\.1)\W{1,3}([45]\d\d)\b|\b([45]\d\d) status code\b"
    r"|^[\[<]([45]\d\d)\b",
    re.IGNORECASE,
)
# A provider's code inside the message, where a gateway hands its body on: {"code":50508,"message":...}.
_CODE_IN_MESSAGE = re.compile(r"[\"']code[\"']\s{0,3}:\s{0,3}[\"']?([\w.]{1,80})")


@dataclass(frozen=True, slots=True)
class Clue:
    """What decided: a field of the error and its value, of a message the words around what was found."""

    field: Field
    value: str


def judge(
    code: str | None, kind: str | None, message: str | None, http_status: int | None
) -> tuple[Rule, Clue | None]:
    """Return the first rule that fits an error; the clue is None where nothing was sent.

    ``kind`` is what the error calls its type.
    """
    text = (message or "")[:_LONGEST_READ]
    named: list[tuple[Field, str]] = []
    if code:
        named.append(("code", code))
    if kind:
        named.append(("type", kind))
    for field, value in named:
        for rule in RULES:
            if value.lower() in rule.codes:
                return rule, Clue(field, value)
    if handed_on := _CODE_IN_MESSAGE.search(text):
        for rule in RULES:
            if handed_on[1].lower() in rule.codes:
                return rule, Clue("message", around(text, handed_on))
    for rule in RULES:
        if clue := _clue(named, text, rule.words, rule.message):
            return rule, clue
    status = http_status or _status_in(code, text)
    for rule in RULES:
        if status in rule.statuses:
            return rule, Clue("http_status", str(status))
    for rule in RULES:
        if clue := _clue(named, text, rule.vague, None):
            return rule, clue
    return UNKNOWN, anything(code, kind, message, http_status)


def _clue(
    named: list[tuple[Field, str]],
    text: str,
    words: re.Pattern[str] | None,
    message: re.Pattern[str] | None,
) -> Clue | None:
    if words is not None:
        for field, value in named:
            if words.search(value):
                return Clue(field, value)
    for pattern in (words, message):
        if pattern is not None and (found := pattern.search(text)):
            return Clue("message", around(text, found))
    return None


def anything(code: str | None, kind: str | None, message: str | None, http_status: int | None) -> Clue | None:
    """Return what was sent, where it fits no rule."""
    sent: tuple[tuple[Field, str | None], ...] = (("code", code), ("type", kind), ("message", message))
    for field, value in sent:
        if value:
            return Clue(field, value[: 2 * _SHOWN_AROUND])
    return Clue("http_status", str(http_status)) if http_status else None


def around(text: str, found: re.Match[str]) -> str:
    """Return the words around what was found, short enough for one line."""
    start, end = max(found.start() - _SHOWN_AROUND, 0), min(found.end() + _SHOWN_AROUND, len(text))
    shown = text[start:end].strip()
    return f"{'…' if start else ''}{shown}{'…' if end < len(text) else ''}"


def _status_in(code: str | None, message: str) -> int | None:
    """Return the HTTP status that some gateways send as the error's code, or inside its message."""
    if code and code.isdecimal() and len(code) == 3:
        return int(code)
    found = _STATUS_IN_MESSAGE.search(message)
    return int(next(group for group in found.groups() if group)) if found else None
