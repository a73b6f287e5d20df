"""What can be priced: the kinds of tokens and pieces, and which counts of a record they are made of.

A kind is a line's ``item``. Its unit prices are USD per 1M for tokens and characters, per one piece else,
unless a price says ``per`` how many it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

MILLION = 1_000_000

INPUT_ITEMS = (
    "input", "cached_input", "cache_write", "cache_write_1h", "audio_input", "cached_audio", "image_input",
)  # fmt: skip
OUTPUT_ITEMS = ("output", "reasoning", "audio_output", "image_output")
TOKENS = frozenset((*INPUT_ITEMS, *OUTPUT_ITEMS))

PIECES: Mapping[str, str] = {
    "per_image": "image_count",
    "video_seconds": "video_seconds",
    "audio_seconds": "audio_seconds",
    "characters": "characters",
    "pages": "pages",
    "web_search": "web_search_count",
    "file_search": "file_search_count",
    "code_session": "code_session_count",
    "tool": "tool_call_count",
}
"""Kinds that are no tokens, and the count of each. A call itself is ``per_call``."""

DELIVERED = frozenset(("per_call", "per_image", "video_seconds", "audio_seconds", "characters", "pages"))
"""What is charged for a result: a call that failed delivered none."""

FREE_UNLESS_PRICED = frozenset(("tool", "per_call"))
"""Calling a function of one's own costs nothing; only where such calls have a price are they charged."""

COLUMNS = (
    "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "image_count",
)  # fmt: skip
QUANTITIES = (
    "cache_write_1h_tokens", "cached_audio_tokens", "image_input_tokens", "image_output_tokens",
    "video_seconds", "audio_seconds", "characters", "pages", "web_search_count", "file_search_count",
    "code_session_count", "tool_call_count",
)  # fmt: skip
"""The counts of a record: its columns, and the keys of its ``quantities``."""

Counts = Mapping[str, int | Decimal]


class ContradictionError(ValueError):
    """Counts that cannot all be true: more cached than input tokens, say."""


def usual_per(kind: str) -> int:
    """Return of how many a unit price is, where it does not say."""
    return MILLION if kind in TOKENS or kind == "characters" else 1


def tokens_by_kind(counts: Counts, billed_as: Mapping[str, str]) -> dict[str, int | Decimal]:
    """Return the tokens of each kind; each token is in one kind, and none is lost.

    ``billed_as`` names kinds that are billed as another one, into which they go. Raises ContradictionError.
    """

    def told(name: str) -> int | Decimal:
        return counts.get(name, 0)

    cached, heard, cached_audio = (
        told("cached_tokens"),
        told("audio_input_tokens"),
        told("cached_audio_tokens"),
    )
    written, written_1h, seen = (
        told("cache_write_tokens"),
        told("cache_write_1h_tokens"),
        told("image_input_tokens"),
    )
    reasoned, said, drawn = (
        told("reasoning_tokens"),
        told("audio_output_tokens"),
        told("image_output_tokens"),
    )
    found = {
        # Children before what they may be billed as.
        "cached_audio": cached_audio,
        "cache_write_1h": written_1h,
        "cached_input": cached - cached_audio,
        "cache_write": written - written_1h,
        "audio_input": heard - cached_audio,
        "image_input": seen,
        "input": told("input_tokens") - cached - written - heard + cached_audio - seen,
        "reasoning": reasoned,
        "audio_output": said,
        "image_output": drawn,
        "output": told("output_tokens") - reasoned - said - drawn,
    }
    for kind in list(found):
        if whole := billed_as.get(kind):
            found[whole] += found.pop(kind)
    if any(count < 0 for count in found.values()):
        raise ContradictionError
    return found
