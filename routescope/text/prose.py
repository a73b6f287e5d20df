"""What is prose and what a name: where no content may be kept, names and numbers stay."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from routescope.text.redaction import is_no_secret
from routescope.text.remembering import remembered

LEFT_OUT = "[…]"
_NAMES = frozenset(
    """messages message prompt prompts input inputs output outputs content contents text texts completion
    completions response responses query question answer instruction instructions system system_prompt
    system_instruction user_prompt user_message assistant_message body request_body response_body raw_request
    raw_response choices candidates parts transcript document documents image_prompt negative_prompt lyrics
    suffix prediction tools functions arguments tool_calls function_call caption description""".split()  # noqa: SIM905
)
UNSPACED = re.compile(r"[぀-鿿가-힯]")
_MOST_UNSPACED = 8
PROSE_WORDS = 3
_SENTENCE = re.compile(r"(?:(?<![^\s])[A-Za-z]{1,20}[,;]?\s+){4}[A-Za-z]{2}")
"""Five words in a row: no program calls itself so, and no channel."""


def is_prose(text: str) -> bool:
    """Whether a text is more than a name: three words, or as much Chinese."""
    if len(text) > 200:
        return True
    if "%20" in text or text.count("+") >= PROSE_WORDS - 1:
        text = unquote_plus(text)
    if text.isascii():
        return text.count(" ") + text.count("\n") >= PROSE_WORDS - 1 and len(text.split()) >= PROSE_WORDS
    return len(text.split()) >= PROSE_WORDS or len(UNSPACED.findall(text)) > _MOST_UNSPACED


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


def without_prose(value: Any) -> Any:
    """Return JSON without prose, whatever its fields are called: names and numbers stay."""
    if isinstance(value, str):
        return LEFT_OUT if is_prose(value) else value
    if isinstance(value, list):
        return [without_prose(inner) for inner in value]
    if isinstance(value, dict):
        return {LEFT_OUT if is_prose(str(key)) else key: without_prose(inner) for key, inner in value.items()}
    return value


@remembered(4096)
def name_without_prose(name: str) -> str:
    """Return what a provider, a channel or a program is called; a sentence is no name."""
    return LEFT_OUT if has_sentence(unquote_plus(name) if "%20" in name else name) else name


def has_sentence(text: str) -> bool:
    """Whether five words stand in a row, or as much Chinese: no program calls itself so, and no channel."""
    return bool(_SENTENCE.search(text)) or len(UNSPACED.findall(text)) > 2 * _MOST_UNSPACED


@remembered(4096)
def address_without_prose(address: str) -> str:
    """Return an address without the parts of its path and the values of its query that are prose."""
    if is_name(address):
        return address
    return address_of(address, is_name)


def address_of(address: str, stays: Callable[[str], bool]) -> str:
    """Return an address with what may stay of the parts of its path, and of its query."""
    path, mark, query = address.partition("?")
    parts = [part if stays(part) else LEFT_OUT for part in path.split("/")]
    pairs = ["=".join(said if stays(said) else LEFT_OUT for said in _pair(one)) for one in query.split("&")]
    return "/".join(parts) + mark + "&".join(pairs)


def is_name(text: str) -> bool:
    """Whether a part of an address is no prose, encoded or not."""
    return not is_prose(text if "%" not in text and "+" not in text else unquote_plus(text))


def _pair(pair: str) -> list[str]:
    return pair.split("=", 1)


@remembered(65_536)
def is_plain(text: str) -> bool:
    """Whether a value is a name that may be kept as it is, whatever the policy."""
    return not is_prose(text) and is_no_secret(text)


def is_plain_key(key: str) -> bool:
    """Whether a field's name is one, and not that of content."""
    return is_plain(key) and _is_no_name_of_content(key)


def is_plain_name(key: str) -> bool:
    """Whether a field's name is one, whatever it is the name of."""
    return is_plain(key)


@remembered(16_384)
def _is_no_name_of_content(key: str) -> bool:
    return key.lower() not in _NAMES
