"""Keeping prompts out of what a record holds in the clear: what repeats the content that came with it.

Providers repeat what was sent ("Invalid value: 'Dear Dr. Jones...'"). What repeats the content that came with
a record is left out of its errors; ``[…]`` stands in its place. Errors have words of their own, which long
content has too: so few words in a row are an echo only where a quote or a colon opens them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

from routescope.prose import LEFT_OUT, PROSE_WORDS, UNSPACED

_QUIET = frozenset("role type model id object index finish_reason name status created".split())  # noqa: SIM905
# A word, or one letter of a script that has no spaces; such a letter counts for half a word.
_WORD = re.compile(r"[^\W_぀-鿿가-힯]+(?:['’][^\W_぀-鿿가-힯]+)?|[぀-鿿가-힯]")
_MARKS = frozenset(":：=[({<|\\")
_QUOTES = frozenset("\"'`“”‘’«»「」『』")
_MARKED_WORDS, _ECHO_WORDS = 5, 8
"""So many words in a row are an echo: behind a colon or a bracket, and wherever they stand."""
_SHORTEST_ECHO = 6
_MOST_TEXTS = 2_000
_NEAR = 40
_CHEAP = 4_000_000
"""Letters that may be compared for one record before an index is made: some milliseconds."""
_MOST_SEARCHED, _MOST_INDEXED = 4 * 1024 * 1024, 512 * 1024
"""Letters of a record's content, the longest texts first."""
_MOST_ALIKE = 8


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

    def holds(self, text: str) -> bool:
        """Whether a text is one of the content's, whole."""
        return text in self._whole

    def without(self, message: str) -> str:
        """Leave out of an error's message what repeats one of the texts, and nothing of its own words."""
        if message in self._haystack:
            # It is the content that tells of this error: that of an agent, which has met it before.
            return message
        whole = self._whole_found(message)
        spans = _merged([*whole, *self._runs(message)])
        return _cut(message, _echoes(message, spans, {start for start, _ in whole}))

    def are_repeated_by(self, text: str) -> bool:
        """Whether a text repeats one of the content's: three words in a row, or a whole text."""
        return bool(self._whole_found(text) or self._runs(text))

    def _whole_found(self, message: str) -> list[tuple[int, int]]:
        if not self._is_cheap(len(self.texts) * len(message)):
            return self._whole_texts(message)
        spans = []
        for text in self.texts:
            at = message.find(text) if len(text) >= _SHORTEST_ECHO else -1
            while at >= 0:
                spans.append((at, at + len(text)))
                at = message.find(text, at + len(text))
        return spans

    def _is_cheap(self, work: int) -> bool:
        self._work += work
        return self._work <= _CHEAP

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
        cheap = self._is_cheap(len(words) * len(self._haystack))
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
        """Where words stand in the content, by themselves and what separates them from their neighbours."""
        found: dict[str, list[tuple[int, int]]] = {}
        words = (word.span() for word in _WORD.finditer(self._haystack, 0, _MOST_INDEXED))
        first, middle = next(words, None), next(words, None)
        for last in words:
            if first is not None:
                places = found.setdefault(self._haystack[first[1] : last[0]], [])
                if len(places) < _MOST_ALIKE:
                    places.append((first[1], last[0]))
            first, middle = middle, last
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


def _echoes(message: str, spans: list[tuple[int, int]], whole: set[int]) -> list[tuple[int, int]]:
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
        before = message[:start].rstrip(" \t\n")[-1:]
        after = message[end:].lstrip(" .…")[:1]
        weight = sum(_weight(message, one.span()) for one in _WORD.finditer(message, start, end))
        # In quotes a word or two are a value; behind a colon, some more, or a whole text.
        quoted = before in _QUOTES and (weight >= 2 * PROSE_WORDS or after in _QUOTES)
        told = before in _MARKS and weight >= (2 * PROSE_WORDS if start in whole else 2 * _MARKED_WORDS)
        if quoted or told or weight >= 2 * _ECHO_WORDS:
            found.append((start, end))
            opened = quoted or told
        else:
            opened = False
    return found


def is_said_by(text: str, message: str) -> bool:
    """Whether a text of the output is the error itself, as of clients that give one for an answer."""
    if message in text:
        return True
    at = message.find(text)
    return at >= 0 and 2 * len(text) >= len(message) and message[max(at - 1, 0) : at] not in _QUOTES


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    """Put `LEFT_OUT` in the place of spans that are in order and apart."""
    parts: list[str] = []
    at = 0
    for start, end in spans:
        parts += (text[at:start], LEFT_OUT)
        at = end
    return "".join([*parts, text[at:]])
