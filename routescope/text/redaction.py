"""Redaction: what no record needs to hold is replaced by what it was, as in ``[redacted e-mail]``.

Secrets (API keys, tokens, passwords, private keys), e-mail addresses, phone numbers and payment card numbers.
Secrets are known by their shape (`secret_shapes`) or by their name (`named_secrets`). The others want
context, so that counts, times and IDs are left alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from routescope.text import named_secrets, secret_shapes
from routescope.text.named_secrets import SecretKind, kind_of
from routescope.text.remembering import remembered
from routescope.text.secret_shapes import BLOCK, HOOK

SECRET = "[redacted secret]"  # noqa: S105 - what stands in its place
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+'-])(?!git@)[A-Za-z0-9._%+'-]++@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
)
# Visa, Mastercard, American Express, Discover, Diners Club, JCB and UnionPay, by first digits and length.
_CARD = re.compile(r"(?<![\w.-])[3-6]\d{3}(?:[ -]?\d){10,15}(?![\w-]|\.\d)")
_ISSUED = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|4[4-9]\d|5\d\d)\d{12}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|35\d{14}|62\d{14,17}"
)
_GROUPED = re.compile(r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?|\d{4}([ -])\d{6}\2\d{4,5}|\d+")
_PHONE = re.compile(
    r"""
    (?<![\w.+/:=-])(?:
      \+\d{1,3}[\ .-]?(?:\(\d{1,4}\)[\ .-]?)?\d{1,4}(?:[\ .-]?\d{2,4}){1,4} # +49 30 1234567
      | \([2-9]\d{2}\)\ ?\d{3}[\ .-]\d{4}                                     # (415) 555-0132
      | [2-9]\d{2}(?P<by>[\ .-])[2-9]\d{2}(?P=by)\d{4}                          # 415-555-0132
      | 1[3-9]\d{9}                                                           # mainland China
      | (?P<local>0\d{1,4}[\ /-]\d{3,4}[\ -]?\d{3,5})                           # 030 1234567
    )(?![\w-]|\.\d)(?!\ ?(?:bytes?|[KMGT]i?B|tokens?|requests?|ms|ns|us|s|seconds|个|字节|exceeds)\b)
    """,
    re.VERBOSE,
)
_CALLED = re.compile(
    r"(?:phone|tel|mobile|call|cell|fon|fax|dial|ring|whatsapp|sms|contact|reach|电话|手机|联系|号码)[^\d\n]{0,20}\Z",
    re.IGNORECASE,
)
_FEWEST_PHONE_DIGITS, _MOST_PHONE_DIGITS = 10, 15
_DIGITS = re.compile(r"\d(?:[ ()./-]{0,3}\d){6}")
_SHORTEST_SECRET = 11
# IDs of most kinds, which come one by one: numbers in decimal or hexadecimal, and such with hyphens.
_PLAIN = re.compile(r"(?:[0-9a-f]{1,64}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22})\Z")
_BARE = re.compile(r"[\w.-]*+", re.ASCII)
"""What nothing can be assigned in."""
_SHORT = 64
_LONG_NUMBER, _LONGEST_NUMBER = 10**12, 10**19
"""A card number may be sent as a number; counts are shorter."""
_PAIR_NAMES = ("name", "key", "header", "field")
_VALUE_NAMES = frozenset(("value", "val", "content"))


def redacted(text: str) -> str:
    """Return the text with secrets, e-mail addresses, cards and phone numbers replaced."""
    # Names and short values come again and again: parameters, billing items, keys of metadata.
    return _redacted_short(text) if len(text) <= _SHORT else _redacted(text)


def _redacted(text: str) -> str:
    text = _replaced(text, _named_nothing)
    if "@" in text:
        text = _EMAIL.sub("[redacted e-mail]", text)
    if _DIGITS.search(text):
        text = _CARD.sub(_card, text)
        text = _PHONE.sub(_phone, text)
    return text


_redacted_short = lru_cache(maxsize=65_536)(_redacted)


@remembered(16_384)  # Addresses of APIs, and what programs call themselves.
def without_secrets(text: str) -> str:
    """Return the text with secrets replaced; addresses and numbers of people stay."""
    return _replaced(text, _named_nothing)


def _named_nothing(_secret: str) -> str:
    return SECRET


def without_secrets_in_name(name: str) -> str:
    """Return a name or an ID with each secret replaced by a digest of it: what was one name stays one.

    So a token that a gateway names by its key, or an ID that holds one, can be told from others and found.
    Doing it again changes nothing.
    """
    return name if _PLAIN.match(name) else _named(name)


@remembered(16_384)
def _named(name: str) -> str:
    if _BARE.fullmatch(name):
        return _without(name, secret_shapes.found_in(name), _digest)
    return _replaced(name, _digest)


def _digest(secret: str) -> str:
    return f"redacted-{hashlib.blake2b(secret.encode(errors='replace'), digest_size=6).hexdigest()}"


def _replaced(text: str, by: Callable[[str], str]) -> str:
    # Each kind is looked for only where what it cannot do without is there: a long text has little of it.
    if "PRIVATE KEY" in text or "PuTTY-User-Key" in text:
        text = BLOCK.sub(lambda found: by(found[0]), text)
    if max(map(len, text.split()), default=0) >= _SHORTEST_SECRET:
        text = _without(text, secret_shapes.found_in(text), by)
        if "/" in text:
            text = HOOK.sub(lambda found: by(found[0]), text)
    return _without(text, sorted(named_secrets.found_in(text)), by)


def _without(text: str, spans: Iterable[tuple[int, int]], by: Callable[[str], str]) -> str:
    """Replace spans, which are in order; one that overlaps an earlier one is part of it."""
    parts: list[str] = []
    at = 0
    for start, end in spans:
        if start >= at and not text.startswith(("[redacted", "redacted-"), start):
            parts += (text[at:start], by(text[start:end]))
            at = end
    return "".join([*parts, text[at:]]) if parts else text


def redacted_json(value: Any) -> Any:
    """Return a JSON value with every text in it redacted, and what is named like a secret replaced whole."""
    return mapped(value, redacted)


def mapped(value: Any, change: Callable[[str], str], called: str = "") -> Any:
    """Return a JSON value with ``change`` made to every text; cards and what is named a secret go.

    ``called`` is the name of the field that holds it: ``{"password": {"value": "..."}}`` names the value so.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        named = next((value[name] for name in _PAIR_NAMES if isinstance(value.get(name), str)), called)
        return {
            change(str(key)): _mapped_field(str(key), inner, change, str(named))
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [mapped(inner, change, called) for inner in value]
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and _LONG_NUMBER <= abs(value) < _LONGEST_NUMBER
    ):
        digits = str(abs(value))
        return "[redacted card]" if _is_card(digits) else value
    return value


def _mapped_field(key: str, value: Any, change: Callable[[str], str], named: str) -> Any:
    # Of {"name": "password", "value": "..."} the value has the name of the other field.
    name = named if named and key.lower() in _VALUE_NAMES else key
    kind = kind_of(name)
    if kind is None or isinstance(value, bool) or value is None:
        return mapped(value, change, name)
    if isinstance(value, str):
        return SECRET if _is_secret_field(value, kind) else change(value)
    if isinstance(value, list):
        return [_mapped_field(name, one, change, named) for one in value]
    if isinstance(value, int) and kind in (SecretKind.PASSWORD, SecretKind.CODE) and abs(value) >= 100:
        return SECRET
    return mapped(value, change, name)


def _is_secret_field(value: str, kind: SecretKind) -> bool:
    if kind in (SecretKind.PASSWORD, SecretKind.KEY):
        return bool(value)
    return named_secrets.is_one(value, kind, sure=True)


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


@remembered(65_536)
def is_no_secret(text: str) -> bool:
    """Whether a text has nothing to redact and, as a key, names no secret."""
    return kind_of(text) is None and _redacted(text) == text


def _card(found: re.Match[str]) -> str:
    grouped = _GROUPED.fullmatch(found[0])
    return "[redacted card]" if grouped and _is_card(re.sub(r"\D", "", found[0])) else found[0]


def _phone(found: re.Match[str]) -> str:
    digits = len(re.sub(r"\D", "", found[0]))
    before = found.string[max(found.start() - 40, 0) : found.start()]
    if _CALLED.search(before):
        return "[redacted phone]"
    is_one = found["local"] is None and _FEWEST_PHONE_DIGITS <= digits <= _MOST_PHONE_DIGITS
    return "[redacted phone]" if is_one else found[0]


def _is_card(digits: str) -> bool:
    """Whether the digits are of an issuer, and pass the check of payment cards (ISO/IEC 7812, Luhn)."""
    if not _ISSUED.fullmatch(digits):
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
