"""Taking JSON apart where it is not all well: the parts of an array or object, each as the bytes it came in.

A decoder refuses a whole document for one bad part: NaN, a character cut in two, a number beyond all bounds.
Here only brackets, quotes and commas are looked at, so that what is bad costs nothing but the part it is in.
Nothing is built of the parts, nothing recurses, and every step goes forward: the time is linear, the memory
that of the part at hand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

MOST_STEPS = 1_000_000
"""Brackets and members of a document: each takes a step of Python, so these take about a second."""

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING_HERE = re.compile(_STRING, re.DOTALL)
# One that does not end goes to the end: looked for from each of its quotes, the time would be quadratic.
_ANY_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:' + _STRING + rb'[^"\[\]{}]*+)*+([\[\]{}])', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_SPACE = re.compile(rb"[ \t\r\n]*+")
_WORD = re.compile(rb'[^\s,:"\[\]{}]++')
_OPENING = b"[{"


class BrokenError(ValueError):
    """A document whose brackets, quotes or commas do not fit together, or that has too many of them."""


class Steps:
    """How much of a document has been gone over: one count for all that is done with it."""

    def __init__(self, most: int = MOST_STEPS) -> None:
        self._left = most

    def take(self, number: int = 1) -> None:
        """Count steps. Raises BrokenError when there were too many."""
        self._left -= number
        if self._left < 0:
            raise BrokenError("it has too many parts")


def elements(text: bytes, steps: Steps, at: int = 0) -> Iterator[bytes]:
    """Yield the elements of the array that is ``text`` from ``at`` on.

    Raises BrokenError where it is none, is cut off, or is followed by something else: what was yielded
    before is then part of a document that nobody can be sure of.
    """
    at = _open(text, at, b"[")
    if text[at : at + 1] == b"]":
        _end(text, at + 1)
        return
    while True:
        steps.take()
        end = _end_of_value(text, at, steps)
        yield text[at:end]
        at = _space(text, end)
        if text[at : at + 1] == b"]":
            _end(text, at + 1)
            return
        at = _expect(text, at, b",")


def members(text: bytes, steps: Steps) -> Iterator[tuple[bytes, bytes]]:
    """Yield the members of the object that is ``text``: names as written between their quotes, and values.

    Raises BrokenError as `elements` does.
    """
    at = _open(text, 0, b"{")
    if text[at : at + 1] == b"}":
        _end(text, at + 1)
        return
    while True:
        steps.take()
        name = _STRING_HERE.match(text, at)
        if name is None:
            raise BrokenError("a name is missing")
        at = _expect(text, _space(text, name.end()), b":")
        end = _end_of_value(text, at, steps)
        yield name[0][1:-1], text[at:end]
        at = _space(text, end)
        if text[at : at + 1] == b"}":
            _end(text, at + 1)
            return
        at = _expect(text, at, b",")


def chosen(text: bytes, names: Collection[bytes], steps: Steps) -> dict[bytes, bytes]:
    """Return some members of an object by their names. Raises BrokenError as `elements` does."""
    return {name: value for name, value in members(text, steps) if name in names}


def is_one_value(text: bytes, steps: Steps) -> bool:
    """Whether ``text`` is one array or object and nothing else, as far as its brackets tell."""
    try:
        return _space(text, _end_of_value(text, _space(text, 0), steps)) == len(text)
    except BrokenError:
        return False


def is_within(text: bytes, *, depth: int, parts: int) -> bool:
    """Whether JSON nests no deeper than ``depth`` and has no more than ``parts`` values.

    Asked before anything is built of it: each level may cost frames of the stack, each value some 60 bytes.
    """
    brackets = text.count(b"[") + text.count(b"{")
    if brackets <= depth and brackets + text.count(b",") <= parts:
        return True
    bare = _ANY_STRING.sub(b"", text)
    if bare.count(b"[") + bare.count(b"{") + bare.count(b",") > parts:
        return False
    level = 0
    for bracket in _BRACKET.finditer(bare):
        level += 1 if bracket[0] in _OPENING else -1
        if level > depth:
            return False
    return True


def _end_of_value(text: bytes, at: int, steps: Steps) -> int:
    """Return where the value ends that begins at ``at``."""
    first = text[at : at + 1]
    if first == b'"':
        if (string := _STRING_HERE.match(text, at)) is None:
            raise BrokenError("a text does not end")
        return string.end()
    if not first or first not in _OPENING:
        if (word := _WORD.match(text, at)) is None:
            raise BrokenError("a value is missing")
        return word.end()
    depth = 0
    while bracket := _TO_BRACKET.match(text, at):
        steps.take()
        at = bracket.end()
        depth += 1 if bracket[1] in _OPENING else -1
        if not depth:
            return at
    raise BrokenError("it ends before its brackets are closed")


def _open(text: bytes, at: int, bracket: bytes) -> int:
    return _expect(text, _space(text, at), bracket)


def _expect(text: bytes, at: int, sign: bytes) -> int:
    if text[at : at + 1] != sign:
        raise BrokenError(f"{sign.decode()} is missing")
    return _space(text, at + 1)


def _end(text: bytes, at: int) -> None:
    if _space(text, at) != len(text):
        raise BrokenError("it does not end where its brackets are closed")


def _space(text: bytes, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
