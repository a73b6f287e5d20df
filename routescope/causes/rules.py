"""The rules by which the cause of a failure is judged: `rules.toml`, read once, in its order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec


class Why(StrEnum):
    """What a failure comes from. Calls and tasks each have names of their own for it."""

    PARAMETERS = "parameters"
    PERMISSION = "permission"
    BALANCE = "balance"
    RATE_LIMIT = "rate_limit"
    CONTENT_POLICY = "content_policy"
    CONTEXT_LENGTH = "context_length"
    MODEL_RESPONSE = "model_response"
    TIMEOUT = "timeout"
    CLIENT_CLOSED = "client_closed"
    GATEWAY = "gateway"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. It fits if any of its parts does; `rules.toml` says what each is."""

    key: str
    why: Why
    codes: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None
    message: re.Pattern[str] | None = None
    statuses: frozenset[int] = frozenset()
    vague: re.Pattern[str] | None = None


class _Written(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    why: Why
    codes: list[str] = []
    words: list[str] = []
    message: list[str] = []
    statuses: list[int] = []
    vague: list[str] = []

    def read(self) -> Rule:
        return Rule(
            self.key,
            self.why,
            frozenset(code.lower() for code in self.codes),
            _any_of(self.words, r"\b(?:{})\b"),
            _any_of(self.message, "(?:{})"),
            frozenset(self.statuses),
            _any_of(self.vague, r"\b(?:{})\b"),
        )


class _File(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[_Written]


def _any_of(written: list[str], frame: str) -> re.Pattern[str] | None:
    return re.compile(frame.format("|".join(written)), re.IGNORECASE) if written else None


def _read() -> tuple[Rule, ...]:
    text = (Path(__file__).parent / "rules.toml").read_bytes()
    return tuple(written.read() for written in msgspec.toml.decode(text, type=_File).rule)


RULES = _read()
UNKNOWN = Rule("unknown", Why.UNKNOWN)
