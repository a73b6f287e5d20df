"""Which spans of a trace are one call: a call within a call is the same one, told by two instrumentations.

LangChain's span lies around that of OpenAI's SDK, an agent framework's around logfire's, whatever spans lie
between. Not so where the inner ones are several:

- Attempts are calls of their own. The outer span is the same call as the one that succeeded, or where none
  did as the last one.
- A span around several calls that succeeded is their sum and no call itself (an aggregate), unless its answer
  is another than theirs: then it is a call, within which others were made.

Pure: plain values in, plain values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

Key = tuple[str, str]
"""Trace and span, as hexadecimal."""
_DEEPEST = 500
"""Steps to an ancestor: more are a circle, or no way from one call to another."""


class Fact(msgspec.Struct, kw_only=True):
    """What is known of a call's span. Times are Unix seconds; ``response`` is a digest of the answer's ID."""

    key: Key
    failed: bool
    started: float
    ended: float
    response: str | None = None
    input: int = 0
    output: int = 0


@dataclass(slots=True)
class Related:
    """``same`` are pairs of an outer and an inner span of one call, ``depths`` how many calls lie around."""

    same: list[tuple[Key, Key]] = field(default_factory=list)
    aggregates: set[Key] = field(default_factory=set)
    depths: dict[Key, int] = field(default_factory=dict)


def related(
    calls: Mapping[Key, Fact],
    parents: Mapping[Key, Key | None],
    units: Mapping[Key, Key],
    before: Mapping[Key, object],
) -> Related:
    """Tell how calls are related.

    ``parents`` are of all spans that are known. ``units`` say of each call which one stands for those that
    are the same whatever their ancestry says, ``before`` as part of what it was taken, where it came
    before.
    """
    found = Related()
    around = {key: _nearest(key, calls, parents) for key in calls}
    for key in calls:
        found.depths[key] = _depth(key, around)
    within: dict[Key, list[Key]] = {}
    for key, outer in around.items():
        if outer is not None:
            within.setdefault(outer, []).append(key)
    # The innermost first: what an aggregate has within, whoever lies around it has within.
    for outer in sorted(within, key=lambda key: (-found.depths[key], calls[key].started, key)):
        inner = within[outer]
        by_unit: dict[Key, list[Fact]] = {}
        for key in inner:
            by_unit.setdefault(units[key], []).append(calls[key])
        if units[outer] in by_unit:
            continue
        chosen, is_aggregate = _chosen(calls[outer], list(by_unit.values()))
        if is_aggregate:
            found.aggregates.add(outer)
            beyond = around[outer]
            if beyond is not None:
                within[beyond] = [key for key in within[beyond] if key != outer] + inner
            continue
        # As which attempt it was taken once it stays, whichever else comes.
        taken = before.get(outer)
        known = next((key for key in inner if taken is not None and before.get(key) == taken), None)
        if (same := known or chosen) is not None:
            found.same.append((outer, same))
    return found


def are_nested(one: Key, other: Key, parents: Mapping[Key, Key | None]) -> bool:
    """Tell whether one of two spans lies within the other."""
    return (one[0] == other[0] and other in _around(one, parents)) or one in _around(other, parents)


def _around(key: Key, parents: Mapping[Key, Key | None]) -> Iterator[Key]:
    """Yield the spans around one, the nearest first."""
    at = parents.get(key)
    for _ in range(_DEEPEST):
        if at is None or at == key:
            return
        yield at
        at = parents.get(at)


def _chosen(outer: Fact, inner: list[list[Fact]]) -> tuple[Key | None, bool]:
    """Return which inner call the outer span is, if any, and otherwise whether it is the sum of them."""
    done = [unit for unit in inner if not any(fact.failed for fact in unit)]
    if len(done) > 1 and not outer.failed:
        # Its own answer makes it a call of its own.
        is_own = outer.response is not None and not any(_may_be_same(outer, unit) for unit in done)
        return None, not is_own
    # Where a call succeeded at last, an attempt that failed is none of its spans. An outer span that tells of
    # no answer succeeded in nothing: frameworks end the span of a refused stream without the failure.
    candidates = inner if outer.failed or not (done or _tells_of_answer(outer)) else done
    unit = max(candidates, key=lambda facts: max(fact.ended for fact in facts), default=None)
    if unit is None or not _may_be_same(outer, unit):
        return None, False
    return unit[0].key, False


def _tells_of_answer(fact: Fact) -> bool:
    return fact.response is not None or bool(fact.input or fact.output)


def _may_be_same(outer: Fact, inner: list[Fact]) -> bool:
    """Whether nothing speaks against it: answers with IDs of their own, unless they count the same.

    A gateway gives an answer another ID than its provider did.
    """
    named = [fact for fact in inner if fact.response is not None]
    if outer.response is None or not named or any(fact.response == outer.response for fact in named):
        return True
    return any(fact.input and (fact.input, fact.output) == (outer.input, outer.output) for fact in named)


def _nearest(key: Key, calls: Iterable[Key], parents: Mapping[Key, Key | None]) -> Key | None:
    """Return the nearest call around a span."""
    return next((at for at in _around(key, parents) if at in calls), None)


def _depth(key: Key, around: Mapping[Key, Key | None]) -> int:
    depth = 0
    at = around[key]
    while at is not None and at != key and depth < _DEEPEST:
        depth += 1
        at = around[at]
    return depth
