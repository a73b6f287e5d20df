"""JSON that others wrote, read in one place: whole or refused, and no odd value goes on into the product.

The standard library's reader breaks on deep nesting, takes NaN, and hands on what a database cannot store.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"

MAX_DEPTH = 64
"""Levels of nesting. No provider's answer has ten."""
MAX_DIGITS = 100
"""Digits of a whole number. What counts, costs or identifies has forty at most."""

_TOO_LARGE = 10**MAX_DIGITS
_BOM = b"\xef\xbb\xbf"
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)",
    re.DOTALL,
)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE = 6  # bytes of an escape that is half a pair; a whole pair has twelve, any other is matched as two
# A string is passed over as a whole (possessively: no second look at it), so that only bare words are found.
_BARE = re.compile(rb'"(?:[^"\\]|\\.)*+"?|-?\b(?:NaN|Infinity)\b', re.DOTALL)


class JSONError(ValueError):
    """What came is no JSON, or none that is taken; ``str()`` says why."""


def decode(raw: bytes | str, *, nan_is_null: bool = False) -> JSON:
    """Return the value that ``raw`` holds. Of a key that stands twice in an object the last value counts.

    Half of a surrogate pair and NUL, which cannot be stored as text, become U+FFFD. NaN and Infinity, which
    Python programs write and JSON does not know, are refused, or null with ``nan_is_null``. Raises JSONError
    for what is no JSON, for more than ``MAX_DEPTH`` levels, and for a number that nothing can hold.
    """
    text = raw.encode(errors="replace") if isinstance(raw, str) else raw
    text = text.removeprefix(_BOM)
    try:
        value = _decoded(text)
    except JSONError:
        mended = _mended(text, nan_is_null)
        if mended == text:
            raise
        value = _decoded(mended)
    return _clean(value, 1)


def _decoded(text: bytes) -> JSON:
    try:
        value: JSON = msgspec.json.decode(text)
    except RecursionError as error:
        raise JSONError(f"It is nested more than {MAX_DEPTH} levels deep.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JSONError(f"{error}.") from error
    return value


def _mended(text: bytes, nan_is_null: bool) -> bytes:
    if _HALF.search(text):
        text = _ESCAPE.sub(lambda found: b"\\ufffd" if len(found[0]) == _LONE else found[0], text)
    if nan_is_null:
        text = _BARE.sub(lambda found: found[0] if found[0].startswith(b'"') else b"null", text)
    return text


def _clean(value: JSON, depth: int) -> JSON:
    """Check and clean a value, its lists and objects in place."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not -_TOO_LARGE < value < _TOO_LARGE:
            raise JSONError(f"A number in it has more than {MAX_DIGITS} digits.")
        return value
    if not isinstance(value, list | dict):
        return value
    if depth > MAX_DEPTH:
        raise JSONError(f"It is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, list):
        for index, item in enumerate(value):
            value[index] = _clean(item, depth + 1)
        return value
    for name, item in value.items():
        value[name] = _clean(item, depth + 1)
    if any("\x00" in name for name in value):
        return {name.replace("\x00", "\ufffd"): item for name, item in value.items()}
    return value
