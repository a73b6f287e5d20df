"""Keeping prompts out of what a record holds in the clear: error messages, parameters, metadata.

Providers repeat what was sent ("Invalid value: 'Dear Dr. Jones...'"). Two ways to know it: it stands in the
content that came with the record; or, where nothing of content may be kept, it is not the language of errors.
Left out is what nothing else accounts for; ``[…]`` stands in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from routescope.redaction import is_no_secret

LEFT_OUT = "[…]"
_VOCABULARY = frozenset((Path(__file__).parent / "error_vocabulary.txt").read_text().split())
# The characters of the Chinese messages that gateways have of their own.
_HAN_VOCABULARY = frozenset(
    "用户额度不足剩余令牌无权访问模型分组下对于渠道可已过期的该被禁效请求频繁超时上游负载饱和稍后再试错误参数"
    "未提供失败当前次数限制内返回空格式所有服务器连接网络异常账号余量预扣费需要为在中是或与的能使指定名称状态禁止"
)
_NAMES = frozenset(
    """messages message prompt prompts input inputs output outputs content contents text texts completion
    completions response responses query question answer instruction instructions system system_prompt
    system_instruction user_prompt user_message assistant_message body request_body response_body raw_request
    raw_response choices candidates parts transcript document documents image_prompt negative_prompt lyrics
    suffix prediction tools functions arguments tool_calls function_call caption description""".split()  # noqa: SIM905
)
_QUIET = frozenset("role type model id object index finish_reason name status created".split())  # noqa: SIM905
_OPENS = re.compile(r":\s*[\"'`“‘]?|[\"'`“‘]")
_UNSPACED = re.compile(r"[぀-鿿가-힯]")
_MOST_UNSPACED = 8
_LETTERS = re.compile(r"[A-Za-z]+")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_TECHNICAL = re.compile(
    r"(?=[^\d_./@=\[\]]*+[\d_./@=\[\]])[\w.:/@%$&=?#\[\]*-]++|[a-z]++[A-Z]\w*+|[A-Z]{2,}+\w*+"
)
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_PROSE_WORDS = 3
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
        self.texts = texts
        self._whole = frozenset(texts)
        self._haystack = "\n".join(texts)[:_MOST_SEARCHED]
        self._work = 0

    def holds(self, text: str) -> bool:
        """Whether a text is one of the content's, whole."""
        return text in self._whole

    def without(self, message: str) -> str:
        """Leave out of a message what repeats one of the texts: three words in a row, or a whole text."""
        if self._is_cheap(len(self.texts) * len(message)):
            for text in self.texts:
                if len(text) >= _SHORTEST_ECHO and text in message:
                    message = message.replace(text, LEFT_OUT)
        else:
            message = _cut(message, self._whole_texts(message))
        return _cut(message, self._runs(message))

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
        for first, last in zip(words, words[_PROSE_WORDS - 1 :], strict=False):
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


def in_words_of_errors(message: str, known: Iterable[str | None] = ()) -> str:
    """Leave out of a message what is not the language of errors: words that APIs do not say.

    Names with digits, dots or underscores (models, parameters, addresses) stay where no such word is near,
    and so do the names in ``known``: the record's own model, provider, parameter.
    """
    names = frozenset(word.lower() for name in known if name for word in _LETTERS.findall(name))
    return "".join(
        part if index % 2 else _spoken(part, names) for index, part in enumerate(_split_sentences(message))
    )


def is_prose(text: str) -> bool:
    """Whether a text is more than a name: three words, or as much Chinese."""
    if len(text) > 200:
        return True
    if text.isascii():
        return text.count(" ") + text.count("\n") >= _PROSE_WORDS - 1 and len(text.split()) >= _PROSE_WORDS
    return len(text.split()) >= _PROSE_WORDS or len(_UNSPACED.findall(text)) > _MOST_UNSPACED


def without_content(value: Any, name: str = "") -> Any:
    """Return parameters or metadata without what people wrote: fields named like content, and prose."""
    if name.lower() in _NAMES and not isinstance(value, int | float | bool | None):
        return LEFT_OUT
    if isinstance(value, str):
        return LEFT_OUT if is_prose(value) else value
    if isinstance(value, list):
        return [without_content(inner) for inner in value]
    if isinstance(value, dict):
        return {
            LEFT_OUT if is_prose(str(key)) else key: without_content(inner, str(key))
            for key, inner in value.items()
        }
    return value


def is_plain(text: str) -> bool:
    """Whether a value is a name that may be kept as it is, whatever the policy."""
    return not is_prose(text) and is_no_secret(text)


def is_plain_key(key: str) -> bool:
    """Whether a field's name is one, and not that of content."""
    return is_plain(key) and _is_no_name_of_content(key)


@lru_cache(maxsize=16_384)
def _is_no_name_of_content(key: str) -> bool:
    return key.lower() not in _NAMES


def texts_of(content: Any) -> list[str]:
    """Return the texts in a record's content, the longest first: what somebody, or the model, wrote."""
    found = islice(_texts(content, ""), _MOST_TEXTS)
    return sorted({text for text in found if len(text) >= _SHORTEST_ECHO}, key=len, reverse=True)


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


def _split_sentences(message: str) -> list[str]:
    """Return sentences and, between them, what separates them."""
    parts: list[str] = []
    start = 0
    for gap in _SENTENCE.finditer(message):
        parts += [message[start : gap.start()], gap[0]]
        start = gap.end()
    return [*parts, message[start:]]


def _spoken(sentence: str, names: frozenset[str]) -> str:
    strange = [
        (found.start(), found.end())
        for found in re.finditer(r"\S+", sentence)
        if _is_strange(found[0], names)
    ]
    spans: list[tuple[int, int]] = []
    if len(strange) >= _PROSE_WORDS:
        # A text of somebody's, its plain words too: from the last colon or quote before it, to the end.
        opened = list(_OPENS.finditer(sentence, 0, strange[0][0]))
        return _cut(sentence, [(opened[-1].end() if opened else 0, len(sentence.rstrip(" .'\"")))])
    for start, end in strange:
        # What lies between two strange words close to each other is of the same text.
        if spans and start - spans[-1][1] <= _NEAR:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return _cut(sentence, spans)


def _is_strange(token: str, names: frozenset[str]) -> bool:
    bare = token.strip("\"'`“”‘’«»()<>{}[],;:!?.*")
    if not bare or _TECHNICAL.fullmatch(bare):
        return False
    for found in re.finditer(r"[A-Za-z]+(?:['’][a-z]+)?|[^\W\d_A-Za-z]+", bare):
        word = found[0]
        if word[0].isascii():
            plain = word.lower().replace("’", "'")
            if (
                plain not in _VOCABULARY
                and plain not in names
                and plain.removesuffix("'s") not in _VOCABULARY
            ):
                if re.fullmatch(r"\w*(?:Error|Exception|Provider|API)", word):
                    continue
                return True
        elif not all(character in _HAN_VOCABULARY for character in word):
            return True
    return False


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    """Put `LEFT_OUT` in the place of spans that are in order and apart."""
    parts: list[str] = []
    at = 0
    for start, end in spans:
        parts += (text[at:start], LEFT_OUT)
        at = end
    return "".join([*parts, text[at:]])
