"""What of an error's text is kept: all of it, unless the operator chose for a gateway that it be cut.

The cause is judged before anything is cut. What was cut says so in the text's own place, and `note` says it
at the record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from accounts.models import ErrorTexts
from routescope.text.prose import LEFT_OUT

NOT_KEPT = "[not kept]"
"""Stands for the message where type and code alone are kept."""

_MOST_QUOTED_WORDS = 5
_CUT = re.compile(r"\[… \d+ words\]")
# An apostrophe within a word opens and closes nothing.
_OPENING = re.compile(r"(?<!\w)[\"'`](?=\S)|[“‘«「『](?=\S)")
_CLOSES = {"“": "”", "‘": "’", "«": "»", "「": "」", "『": "』"}
_WORD = re.compile(r"[^\W_぀-鿿가-힯]+|[぀-鿿가-힯]{1,2}")


def cutter(kept: ErrorTexts) -> Callable[[str], str]:
    """Return what makes of an error's message what is kept of it."""
    return _CUTTERS[kept]


def is_cut(message: str | None) -> bool:
    """Whether something of a stored message was left out: what is read in it may mislead."""
    return message is not None and (
        LEFT_OUT in message or message == NOT_KEPT or _CUT.search(message) is not None
    )


def note(message: str | None) -> StrPromise | None:
    """Say what was left out of a stored message, and why; None where nothing was."""
    if message is None:
        return None
    if message == NOT_KEPT:
        return _(
            "Only the type and code of this gateway's errors are kept. The cause was judged from the message."
        )
    if _CUT.search(message):
        return _("Quoted values of more than five words in this gateway's errors are not kept.")
    if LEFT_OUT in message:
        return _("Text that repeated the content of the call was left out: […].")
    return None


def without_long_quotes(message: str, most_words: int = _MOST_QUOTED_WORDS) -> str:
    """Replace quoted values of more words by how many they were."""
    parts: list[str] = []
    at = 0
    for start, end in _quoted(message):
        words = sum(1 for _found in _WORD.finditer(message, start, end))
        if words > most_words:
            parts += (message[at:start], f"[… {words} words]")
            at = end
    return "".join([*parts, message[at:]])


def _quoted(message: str) -> Iterator[tuple[int, int]]:
    """Yield where the values within quotes begin and end, the outermost."""
    at = 0
    closings: dict[str, Iterator[re.Match[str]]] = {}
    nexts: dict[str, int] = {}
    while opening := _OPENING.search(message, at):
        mark = opening[0]
        start = opening.end()
        close = _CLOSES.get(mark, mark)
        # Each kind of closing mark is gone through once.
        found = closings.setdefault(close, _closing(close).finditer(message))
        while nexts.get(close, -1) < start:
            nexts[close] = next((one.start() for one in found), len(message) + 1)
        end = nexts[close]
        if end > len(message):
            at = start
            continue
        yield start, end
        at = end + 1


def _closing(mark: str) -> re.Pattern[str]:
    return _CLOSING[mark]


_CLOSING = {mark: re.compile(rf"(?<=\S){mark}(?!\w)") for mark in "\"'`"} | {
    mark: re.compile(mark) for mark in _CLOSES.values()
}
_CUTTERS: dict[ErrorTexts, Callable[[str], str]] = {
    ErrorTexts.KEEP: lambda message: message,
    ErrorTexts.CUT_QUOTES: without_long_quotes,
    ErrorTexts.CODES: lambda message: NOT_KEPT if message else message,
}
