"""Whether the model that answered is another than the one that was asked for.

Said only where both are known to the catalogue, and nothing speaks for one model under two names: a dated
snapshot, an alias, a provider's prefix, a region, a level of effort. A name that nobody knows is a
deployment's, which somebody mapped: nothing is said of it, unless an admin says what it stands for
(`logs.models.deployments`).
"""

from __future__ import annotations

import re
from functools import lru_cache

from logs.models.deployments import StandsFor, key_of
from logs.pricing import sellers
from logs.pricing.sellers import Sold

_PREFIX = re.compile(
    r"\A(?:(?:us-gov|us|eu|apac|ap|au|jp|ca|in|sa|me|af|global)\.)?(?:(?:anthropic|amazon|meta|mistral|cohere|ai21"
    r"|deepseek|openai|qwen|writer|stability|moonshotai|moonshot|zai|minimax|nvidia|google)\.)?"
)
_SNAPSHOT = re.compile(
    r"(?<=[a-z0-9])(?:[-@]20\d{2}-?[01]\d(?:-?[0-3]\d)?|[-@][01]\d-[0-3]\d|-[012]\d{3}|-v\d+(?::\d+)?|-00\d)(?=\Z|-)"
)
"""Dates in their many forms (2024-07-18, 20241022, 05-06, 0613, 2411), ``-v1:0`` and ``-001``."""
_HARMLESS = frozenset((
    "preview", "exp", "experimental", "latest", "stable", "high", "medium", "low", "minimal", "xhigh", "none",
    "thinking", "nothinking",
))  # fmt: skip
"""What may stand in one of the names alone: how far along a model is, and how hard it is to think."""
_CHOSEN = ("auto", "router")
"""Names with one of these mean whichever model is chosen."""
_NEWEST = "latest"


@lru_cache(maxsize=16_384)
def is_another(asked: str, answered: str) -> bool:
    """Return whether two names are known to be those of two models."""
    first, second = _words(asked), _words(answered)
    if not first or not second or first == second:
        return False
    if any(word in _CHOSEN for word in first):
        return False
    if _NEWEST in first and {*first} - {_NEWEST} <= {*second}:
        # Whichever of its kind is the newest.
        return False
    more, less = set(first) ^ set(second), set(first) & set(second)
    if less and more <= _HARMLESS:
        return False
    known, other = _catalogued(asked), _catalogued(answered)
    return known is not None and other is not None and known != other


def is_another_behind(asked: str, answered: str, behind: StandsFor) -> bool:
    """Return the same of two names of which an admin may have said what they stand for.

    One of the models behind a name is enough.
    """
    return key_of(asked) != key_of(answered) and all(
        is_another(first, second)
        for first in behind.get(key_of(asked)) or (asked,)
        for second in behind.get(key_of(answered)) or (answered,)
    )


def is_catalogued(name: str) -> bool:
    """Return whether the catalogue knows a model of this name."""
    return _catalogued(name) is not None


def _bare(name: str) -> str:
    """Return a name without what stands around it: a provider's path, a region, a variant after a colon."""
    bare = name.strip().lower().rpartition("/")[2]
    bare = _PREFIX.sub("", bare, count=1)
    return bare if re.search(r"-v\d+:\d+\Z", bare) else bare.partition(":")[0]


def _words(name: str) -> tuple[str, ...]:
    """Return the words of a name in an order of their own, without snapshots."""
    bare = _SNAPSHOT.sub("", _bare(name)).replace("gpt-35", "gpt-3.5")
    return tuple(sorted(word for word in re.split(r"[-._@]+", bare) if word))


def _catalogued(name: str) -> tuple[str, ...] | None:
    """Return by which words the catalogue knows a model; None where it does not."""
    if name.strip().lower().startswith("ft:"):
        return None
    for form in dict.fromkeys((name, _bare(name))):
        if isinstance(found := sellers.find(form, None), Sold) and found.known is not None:
            return _words(found.known.info.id)
    return None
