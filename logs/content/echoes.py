"""Keeping prompts out of what a record holds in the clear: what repeats the content that came with it.

Providers repeat what was sent ("Invalid value: 'Dear Dr. Jones...'"). What repeats the content that came with
a record is left out of its errors; ``[…]`` stands in its place. Errors have words of their own, which long
content has too: so few words in a row are an echo only where a quote or a colon opens them, or where the
error says nothing else.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

from logs.causes.error_forms import reads_as_error
from routescope.text import prose
from routescope.text.prose import LEFT_OUT, PROSE_WORDS, UNSPACED

_QUIET = frozenset("role type model id object index finish_reason name status created".split())  # noqa: SIM905
# A word, or one letter of a script that has no spaces; such a letter counts for half a word.
_WORD = re.compile(r"[^\W_぀-鿿가-힯]+(?:['’][^\W_぀-鿿가-힯]+)?|[぀-鿿가-힯]")
_MARKS = frozenset(":：=[({<|\\")
_PATH_MARKS = _MARKS | {"/"}
"""Marks in what an address holds."""
_QUOTES = frozenset("\"'`“”‘’«»「」『』")
_MARKED_WORDS, _ECHO_WORDS = 5, 8
"""So many words in a row are an echo: behind a colon or a bracket, and wherever they stand."""
_SHORTEST_ECHO = 6
_MOST_TEXTS = 2_000
_NEAR = 40
_CHEAP, _CALL = 60_000_000, 200
"""Letters that may be gone through for one record before an index is made, which takes longer: some tens of
milliseconds. To begin looking for something is as much work as so many letters.
"""
_MOST_SEARCHED, _MOST_INDEXED = 4 * 1024 * 1024, 512 * 1024
"""Letters of a record's content, the longest texts first."""
_MOST_ALIKE, _MOST_PLACES = 8, 100_000
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}|\w\+\w")
# Of an address: bytes, however often they were encoded, and blanks.
_ENCODED_PARTS = re.compile(r"(?:%(?:25){0,3}[0-9A-Fa-f]{2})++|\+")
_ENCODED_BYTES = re.compile(r"%(?:25){0,3}([0-9A-Fa-f]{2})")
_VERSION = re.compile(r"\w/\d")
_SMALL = re.compile(r"\b[a-zà-ÿа-я]\w+")


class Echoes:
    """The texts of a record's content, to be left out of what else the record holds.

    A short message is looked for in them, and they in it, letter by letter, which is fast. That is as much
    work as the one times the other: past a bound, for the record as a whole, an index of each is asked.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        """``texts`` are the longest first; they are looked for as errors write them, too: escaped."""
        self.texts = [*texts, *_escaped(texts)]
        self._whole = frozenset(texts)
        self._haystack = "\n".join(self.texts)[:_MOST_SEARCHED]
        self._work = 0

    def without(self, message: str) -> str:
        """Leave out of an error's message what repeats one of the texts, and nothing of its own words."""
        return _cut(message, self._found(message))

    def are_repeated_by(self, text: str) -> bool:
        """Whether a text repeats one of the content's: three words in a row, or a whole text."""
        return any(self._whole_found(said) or self._runs(said) for said, _ in _readings(text))

    def are_repeated_by_value(self, text: str) -> bool:
        """Whether a value repeats the content, of which a word alone may be a name: of a unit, or a model."""
        if prose.is_prose(text):
            return self.are_repeated_by(text)
        return any(said in self._whole and _is_more_than_a_word(said) for said, _ in _readings(text))

    def are_repeated_by_name(self, name: str) -> bool:
        """Whether what a program or a channel is called is said by the content.

        Content may tell of programs, too: of their names and versions, which are no sentences.
        """
        if not prose.is_prose(name):
            return False
        for said, _ in _readings(name):
            whole = self._whole_found(said)
            beginnings = {start for start, _ in whole}
            for start, end in _merged([*whole, *self._runs(said)]):
                if _weight_of(said, start, end) < 2 * PROSE_WORDS or _VERSION.search(said, start, end):
                    continue
                if start in beginnings or _is_alone(said, start, end) or _is_spoken(said[start:end]):
                    return True
        return False

    def _found(self, message: str) -> list[tuple[int, int]]:
        found = []
        for said, places in _readings(message):
            whole = self._whole_found(said)
            spans = _merged([*whole, *self._runs(said)])
            marks = _MARKS if places is None else _PATH_MARKS
            for start, end in _echoes(said, spans, {start for start, _ in whole}, marks):
                found.append((start, end) if places is None else (places[start], places[end]))
        return _merged(found)

    def _whole_found(self, message: str) -> list[tuple[int, int]]:
        if not self._is_cheap(len(self.texts) * (len(message) + _CALL)):
            return self._whole_texts(message)
        spans = []
        for text in self.texts:
            at = message.find(text) if len(text) >= _SHORTEST_ECHO else -1
            while at >= 0:
                spans.append((at, at + len(text)))
                at = message.find(text, at + len(text))
        return spans

    def _is_cheap(self, work: int) -> bool:
        if self._work + work > _CHEAP:
            return False
        self._work += work
        return True

    def _whole_texts(self, message: str) -> list[tuple[int, int]]:
        spans = []
        at = 0
        while at <= len(message) - _SHORTEST_ECHO:
            for text in self._by_beginning.get(message[at : at + _SHORTEST_ECHO], ()):
                if message.startswith(text, at):
                    spans.append((at, at + len(text)))
                    at += len(text) - 1
                    break
            at += 1
        return spans

    @cached_property
    def _by_beginning(self) -> dict[str, list[str]]:
        """Texts by their first letters, the longest first."""
        found: dict[str, list[str]] = {}
        for text in self.texts:
            if len(text) >= _SHORTEST_ECHO:
                alike = found.setdefault(text[:_SHORTEST_ECHO], [])
                if len(alike) < _MOST_ALIKE:
                    alike.append(text)
        return found

    def _runs(self, message: str) -> list[tuple[int, int]]:
        words = [found.span() for found in _WORD.finditer(message)]
        # It takes three words, or more letters, to look for anything.
        cheap = self._is_cheap(max(len(words) - PROSE_WORDS + 1, 0) * (len(self._haystack) + _CALL))
        spans: list[tuple[int, int]] = []
        for number, first in enumerate(words):
            last = _third(message, words, number)
            if last is None:
                break
            start, end = first[0], last[1]
            if message[start:end] in self._haystack if cheap else self._is_run(message, first, last):
                if spans and start <= spans[-1][1]:
                    spans[-1] = (spans[-1][0], end)
                else:
                    spans.append((start, end))
        return spans

    def _is_run(self, message: str, first: tuple[int, int], last: tuple[int, int]) -> bool:
        before, after = message[first[0] : first[1]], message[last[0] : last[1]]
        for ends, begins in self._by_middle.get(message[first[1] : last[0]], ()):
            if self._haystack.endswith(before, 0, ends) and self._haystack.startswith(after, begins):
                return True
        return False

    @cached_property
    def _by_middle(self) -> dict[str, list[tuple[int, int]]]:
        """Where three words stand in the content, by what is between the first and the last of them.

        Of letters without spaces these are as many as make up three words: see `_third`.
        """
        found: dict[str, list[tuple[int, int]]] = {}
        under_way: deque[tuple[int, int, int]] = deque()
        weight = places = 0
        for word in _WORD.finditer(self._haystack, 0, _MOST_INDEXED):
            start, end = word.span()
            under_way.append((start, end, _weight(self._haystack, (start, end))))
            weight += under_way[-1][2]
            while weight >= 2 * PROSE_WORDS:
                _, ends, lightens = under_way.popleft()
                weight -= lightens
                alike = found.setdefault(self._haystack[ends:start], [])
                if len(alike) < _MOST_ALIKE:
                    alike.append((ends, start))
                    places += 1
            if places >= _MOST_PLACES:
                break
        return found


def texts_of(content: Any) -> list[str]:
    """Return the texts in a record's content, the longest first: what somebody, or the model, wrote."""
    found = islice(_texts(content, ""), _MOST_TEXTS)
    return sorted({text for text in found if len(text) >= _SHORTEST_ECHO}, key=len, reverse=True)


def _escaped(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        if not text.isprintable() or '"' in text or "\\" in text:
            yield json.dumps(text, ensure_ascii=False)[1:-1]
        if not text.isascii():
            yield json.dumps(text)[1:-1]


def _texts(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, str):
        if name not in _QUIET and value.strip():
            yield value.strip()
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, name)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, str(key))


def _third(message: str, words: Sequence[tuple[int, int]], first: int) -> tuple[int, int] | None:
    """Return the word with which three words are full, from the given one on."""
    weight = 0
    for span in words[first : first + 2 * PROSE_WORDS]:
        weight += _weight(message, span)
        if weight >= 2 * PROSE_WORDS:
            return span
    return None


def _weight_of(message: str, start: int, end: int) -> int:
    return sum(_weight(message, one.span()) for one in _WORD.finditer(message, start, end))


def _weight(message: str, word: tuple[int, int]) -> int:
    """In half words."""
    return 1 if word[1] - word[0] == 1 and UNSPACED.match(message, word[0]) else 2


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _readings(message: str) -> Iterator[tuple[str, list[int] | None]]:
    """Yield what a message says where something in it is encoded as in addresses, and the message itself.

    With the first comes where each of its characters stands in the message, and where the message ends.
    """
    if not _ENCODED.search(message):
        yield message, None
        return
    parts: list[str] = []
    places: list[int] = []
    at = 0
    for found in _ENCODED_PARTS.finditer(message):
        parts.append(message[at : found.start()])
        places += range(at, found.start())
        at = found.end()
        if found[0] == "+":
            parts.append(" ")
            places.append(found.start())
            continue
        said = bytes.fromhex("".join(_ENCODED_BYTES.findall(found[0])))
        # What is cut within a letter is still what it was, up to there.
        text = said.decode(errors="surrogateescape")
        parts.append(text)
        starts = [found.start() + unit.start() for unit in _ENCODED_BYTES.finditer(found[0])]
        if len(text) == len(said):
            places += starts
            continue
        number = 0
        for letter in text:
            places.append(starts[number])
            number += len(letter.encode(errors="surrogateescape"))
    parts.append(message[at:])
    places += range(at, len(message) + 1)
    yield "".join(parts), places
    yield message, None


def _echoes(
    message: str, spans: list[tuple[int, int]], whole: set[int], marks: frozenset[str]
) -> list[tuple[int, int]]:
    """Return which of the spans, all in the content too, are echoes of it and not by chance the same words.

    ``whole`` are where whole texts of the content begin. What follows closely on an echo that a mark opens is
    of it: it may have an escape or a cut in it.
    """
    found: list[tuple[int, int]] = []
    opened = False
    for start, end in spans:
        if opened and start - found[-1][1] <= _NEAR:
            found[-1] = (found[-1][0], end)
            continue
        before = message[max(start - _NEAR, 0) : start].rstrip(" \t\n")[-1:]
        after = message[end : end + _NEAR].lstrip(" .…")[:1]
        weight = _weight_of(message, start, end)
        # In quotes a word or two are a value; behind a colon, some more, or a whole text.
        quoted = before in _QUOTES and (weight >= 2 * PROSE_WORDS or after in _QUOTES)
        told = before in marks and weight >= (2 * PROSE_WORDS if start in whole else 2 * _MARKED_WORDS)
        alone = weight >= 2 * PROSE_WORDS and _is_alone(message, start, end) and not reads_as_error(message)
        if quoted or told or alone or weight >= 2 * _ECHO_WORDS:
            found.append((start, end))
            opened = quoted or told
        else:
            opened = False
    return found


def _is_alone(message: str, start: int, end: int) -> bool:
    """Whether a message has no other words."""
    return _WORD.search(message, 0, start) is None and _WORD.search(message, end) is None


def _is_spoken(text: str) -> bool:
    """Whether words are those of a sentence, not of a name: these are written with capitals."""
    return prose.has_sentence(text) or len(_SMALL.findall(text)) > 1


def _is_more_than_a_word(text: str) -> bool:
    return sum(1 for _ in islice(_WORD.finditer(text), 2)) > 1


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    """Put `LEFT_OUT` in the place of spans that are in order and apart."""
    parts: list[str] = []
    at = 0
    for start, end in spans:
        parts += (text[at:start], LEFT_OUT)
        at = end
    return "".join([*parts, text[at:]])
