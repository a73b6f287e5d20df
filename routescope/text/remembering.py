"""What is remembered of texts, of short ones alone: they come again, and a long one costs its length."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

LONGEST = 200
"""Characters."""

_Answer = TypeVar("_Answer")


def remembered(most: int) -> Callable[[Callable[[str], _Answer]], Callable[[str], _Answer]]:
    """Remember what a function answers of the last ``most`` short texts, and ask it of each long one anew."""

    def decorate(function: Callable[[str], _Answer]) -> Callable[[str], _Answer]:
        known = lru_cache(maxsize=most)(function)

        @wraps(function)
        def asked(text: str) -> _Answer:
            return known(text) if len(text) <= LONGEST else function(text)

        return asked

    return decorate
