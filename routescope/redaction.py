"""Redaction: what no record needs to hold is replaced by what it was, as in ``[redacted e-mail]``.

Secrets (API keys, tokens, passwords, private keys), e-mail addresses, phone numbers and payment card numbers.
Patterns want context, so that counts, times and IDs are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_NAMED = (
    r"(?:api[_-]?key|apikey|secret(?:[_-]?(?:access[_-]?)?key)?|client[_-]?secret|pass(?:word|wd|phrase)?|pwd"
    r"|access[_-]?token|refresh[_-]?token|auth[_-]?token|id[_-]?token|bearer[_-]?token|authorization"
    r"|private[_-]?key|session[_-]?(?:key|cookie)|credentials?|x-api-key|otp|pin)"
)
# Each pattern goes forward only: what may be long is taken possessively, and where it may begin at every
# letter of a long word, at the first alone. Where a match hangs on what comes later in a word (a run of
# digits, a point), the word is taken whole and looked into once.
_SECRETS = re.compile(
    r"""
    -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    | \b(?:AKIA|ASIA|AROA)[A-Z0-9]{12,}+
    | \bAIza[\w-]{30,}+ | \bya29\.[\w-]{20,}+ | \bGOCSPX-[\w-]{20,}+
    | \b(?:gh[pousr]_|github_pat_|glpat-|npm_|pypi-|dckr_pat_|shpat_|sq0atp-|SG\.)[\w.-]{16,}+
    | \bxox[abeoprs]-[\w-]{10,}+
    | https://hooks\.slack\.com/services/\S++
    """,
    re.VERBOSE | re.DOTALL,
)
_WEB_TOKEN = re.compile(r"\beyJ[\w-]{8,}+(\.[\w-]{8,}+(?:\.[\w-]*+)?)?")
_PREFIXED = re.compile(
    r"\b(?:sk|pk|rk|rsk|whsec|xai|gsk|hf|r8|pplx|fw|nvapi|tvly|dapi|lsv2|phc|pat|key|tok)[-_][\w-]*+"
)
_SURELY_KEY = re.compile(r"\b(?:sk|pk|rk|rsk)[-_][\w-]{8,}+")
_LONG_RUN = re.compile(r"[A-Za-z0-9]{16}")
_BEARER = re.compile(r"\b((?:Bearer|Basic|Token)\s++)([A-Za-z0-9+/_.=~-]{8,}+)", re.IGNORECASE)
_IN_URL = re.compile(r"((?<!\w)\w++://[^\s/:@]*+:)([^\s/@]++)(@)")
_ASSIGNED = re.compile(
    rf"""(\b{_NAMED}\b["']?\s*+(?:[:=]|\bis\b)\s*+["']?+)(?!\[redacted)([^\s"',;&}})]{{4,}}+)""",
    re.IGNORECASE,
)
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+'-])[A-Za-z0-9._%+'-]++@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
)
_CARD = re.compile(r"(?<![\w.-])[3-6]\d{3}(?:[ -]?\d){8,15}(?![\w-]|\.\d)")
_PHONE = re.compile(
    r"""
    (?<![\w.+/-])(?:
      \+\d{1,3}[\ .-]?(?:\(\d{1,4}\)[\ .-]?)?\d{1,4}(?:[\ .-]?\d{2,4}){1,4} # +49 30 1234567
      | \(\d{3}\)\ ?\d{3}[\ .-]\d{4}                                          # (415) 555-0132
      | \d{3}[\ .-]\d{3}[\ .-]\d{4}                                           # 415-555-0132
      | 0\d{1,4}[\ /-]\d{3,4}[\ -]?\d{3,5}                                    # 030 1234567
      | 1[3-9]\d{9}                                                           # mainland China
    )(?![\w-]|\.\d)
    """,
    re.VERBOSE,
)
_CARD_LENGTHS = range(13, 20)
_DIGITS = re.compile(r"\d(?:[ ()./-]{0,3}\d){6}")
_STEMS = (
    "key",
    "token",
    "secret",
    "pass",
    "pwd",
    "authori",
    "credential",
    "cookie",
    "otp",
    "pin",
    "bearer",
    "basic",
)
_SHORTEST_SECRET = 11
_SHORT = 64
_LONGEST_KEPT = 200
"""Characters of what is remembered to hold no secret: long texts do not come again."""
_LONG_NUMBER, _LONGEST_NUMBER = 10**12, 10**19
"""A card number may be sent as a number; counts are shorter."""
_SECRET_KEY = re.compile(rf"^{_NAMED}$", re.IGNORECASE)


def redacted(text: str) -> str:
    """Return the text with secrets, e-mail addresses, cards and phone numbers replaced."""
    return _redacted_short(text) if len(text) <= _SHORT else _redacted(text)


def _redacted(text: str) -> str:
    # Each pattern is looked for only where what it cannot do without is there: a long text has little of it.
    if "-----BEGIN" in text or max(map(len, text.split()), default=0) >= _SHORTEST_SECRET:
        text = _SECRETS.sub("[redacted secret]", text)
        text = _WEB_TOKEN.sub(_web_token, text)
        text = _PREFIXED.sub(_prefixed, text)
    lowered = text.lower()
    if any(stem in lowered for stem in _STEMS):
        text = _BEARER.sub(_kept_name, text)
        text = _ASSIGNED.sub(_kept_name, text)
    if "@" in text:
        text = _IN_URL.sub(r"\1[redacted secret]\3", text)
        text = _EMAIL.sub("[redacted e-mail]", text)
    if _DIGITS.search(text):
        text = _CARD.sub(_card, text)
        text = _PHONE.sub(_phone, text)
    return text


# Names and short values come again and again: parameters, billing items, keys of metadata.
_redacted_short = lru_cache(maxsize=65_536)(_redacted)


def redacted_json(value: Any) -> Any:
    """Return a JSON value with every text in it redacted, and what is named like a secret replaced whole."""
    return mapped(value, redacted)


def mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with ``change`` made to every text; cards and what is named a secret go."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {
            change(str(key)): "[redacted secret]"
            if isinstance(inner, str) and inner and _SECRET_KEY.match(str(key))
            else mapped(inner, change)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [mapped(inner, change) for inner in value]
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and _LONG_NUMBER <= abs(value) < _LONGEST_NUMBER
    ):
        digits = str(abs(value))
        return "[redacted card]" if digits[0] in "3456" and _is_card(digits) else value
    return value


def is_left_alone(value: Any, text_is: Callable[[str], bool], key_is: Callable[[str], bool]) -> bool:
    """Whether nothing in a JSON value needs a change, given what is said of its texts and keys.

    Most values are names and numbers that came a thousand times: asked of a cache, they need not be copied.
    """
    if isinstance(value, str):
        return text_is(value)
    if isinstance(value, dict):
        for key, inner in value.items():
            if not key_is(key) or not is_left_alone(inner, text_is, key_is):
                return False
        return True
    if isinstance(value, list):
        return all(is_left_alone(inner, text_is, key_is) for inner in value)
    return not isinstance(value, int) or -_LONG_NUMBER < value < _LONG_NUMBER


def is_no_secret(text: str) -> bool:
    """Whether a text has nothing to redact and, as a key, names no secret."""
    return _is_short_no_secret(text) if len(text) <= _LONGEST_KEPT else _redacted(text) == text


@lru_cache(maxsize=65_536)
def _is_short_no_secret(text: str) -> bool:
    return not _SECRET_KEY.match(text) and _redacted(text) == text


def _web_token(found: re.Match[str]) -> str:
    return "[redacted secret]" if found[1] else found[0]


def _prefixed(found: re.Match[str]) -> str:
    if _LONG_RUN.search(found[0]):
        return "[redacted secret]"
    # Without one, only these prefixes tell a key; they may stand after another one: key-of-sk-...
    return _SURELY_KEY.sub("[redacted secret]", found[0])


def _kept_name(found: re.Match[str]) -> str:
    return found[0] if found[2].startswith("[redacted") else f"{found[1]}[redacted secret]"


def _card(found: re.Match[str]) -> str:
    return "[redacted card]" if _is_card(re.sub(r"\D", "", found[0])) else found[0]


def _phone(found: re.Match[str]) -> str:
    return "[redacted phone]" if 8 <= len(re.sub(r"\D", "", found[0])) <= 15 else found[0]


def _is_card(digits: str) -> bool:
    """Whether the digits pass the check of payment cards (ISO/IEC 7812, Luhn)."""
    if len(digits) not in _CARD_LENGTHS:
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
