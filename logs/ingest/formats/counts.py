"""What the token counts of a call mean: one rule for every format.

A record's ``input`` includes what was read from and written to a cache, its ``output`` includes reasoning.
Providers and instrumentations count otherwise: Anthropic and Bedrock report cached and written tokens beside
the input, xAI reasoning beside the output, Gemini's thinking may stand in the total alone. What a body itself
says decides, in this order:

1. **Size**: a part that is larger than its whole lies beside it.
2. **The total**, where one is given: of the ways to count that are left, the one whose sum it is. A total that
   is but the sum of the two counts as sent says nothing where that cannot be.
3. **The dialect**, where nothing else does (``Told.beside``).

What contradicts itself even so is kept as it was sent and marked; it is never priced from the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import msgspec

from logs.models.events import COUNTS_READ, JSONObject, UsageEvent
from routescope.wire.reading import MAX_COUNT

CACHE = frozenset({"cached", "written"})
"""Beside the input with Anthropic's and Bedrock's own counts."""
REASONING = frozenset({"reasoning"})
_OF_INPUT = ("cached", "written", "audio_input", "image_input", "tool_input")
_OF_OUTPUT = ("reasoning", "audio_output", "image_output")


class Told(msgspec.Struct, kw_only=True):
    """The token counts of one call as its body gives them; None: not given.

    ``written`` are cache writes of all lifetimes, ``written_5m`` and ``written_1h`` parts of them.
    ``cached_audio`` is part of both ``cached`` and ``audio_input``. ``tool_input`` is what tools brought in
    (Gemini's ``toolUsePromptTokenCount``). ``beside`` names the parts that the dialect counts beside input
    and output; ``is_split`` says that cached and written tokens may lie on different sides;
    ``thinks_beyond`` that what the total has beyond both is reasoning.
    """

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cached: int | None = None
    written: int | None = None
    written_5m: int | None = None
    written_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    cached_audio: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    tool_input: int | None = None
    beside: frozenset[str] = frozenset()
    is_split: bool = False
    thinks_beyond: bool = False


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """``input`` including cached and written tokens, ``output`` including reasoning.

    ``beside`` are the parts that were added, ``by`` says what decided so: ``size``, ``total`` or ``dialect``;
    None where the counts were taken as they came.
    """

    input: int
    output: int
    reasoning: int | None = None
    beside: tuple[str, ...] = ()
    by: str | None = None
    is_contradiction: bool = False


def settle(told: Told) -> Settled:
    """Return what the counts mean, each between 0 and ``MAX_COUNT``."""
    parts = _parts(told)
    total = told.total or None
    given, made = told.input, told.output
    if total is not None and (given is None or made is None) and (told.beside or given is not made):
        # One of the two was not given, and the total says it. Of parts beside, only the dialect knows.
        apart = sum(parts.get(name, 0) for name in told.beside)
        rest = total - apart - (given or 0) - (made or 0)
        if rest > 0 and _is_possible(parts, told.beside, (given or 0), made if made is not None else rest):
            given, made = (rest, made) if given is None else (given, rest)
    elif total is not None and given is made is None:
        given = total
    whole_in, whole_out = given or 0, made or 0
    plain = Settled(
        input=_bounded(whole_in),
        output=_bounded(whole_out),
        reasoning=None if told.reasoning is None else _bounded(told.reasoning),
        by=None if given == told.input and made == told.output else "total",
    )
    if not parts and total in (None, whole_in + whole_out):
        return plain
    ways = _ways(told, parts, whole_in, whole_out)
    inside_is_possible = _is_possible(parts, frozenset(), whole_in, whole_out)
    if total is not None and (total != whole_in + whole_out or inside_is_possible):
        for way in ways:
            if sum(_wholes(parts, way, whole_in, whole_out)) == total:
                return _settled(plain, parts, way, "total")
        usual = sum(_wholes(parts, ways[0], whole_in, whole_out))
        if told.thinks_beyond and not told.reasoning and total > usual:
            found = _settled(plain, parts, ways[0], "total")
            thought = total - usual
            return msgspec.structs.replace(
                found, output=_bounded(found.output + thought), reasoning=_bounded(thought), by="total"
            )
        return msgspec.structs.replace(plain, is_contradiction=True)
    return _settled(plain, parts, ways[0], "dialect" if ways[0] == told.beside & set(parts) else "size")


def put(event: UsageEvent, told: Told) -> None:
    """Give an event its counts, and in its metadata how they were read where that was not as they came."""
    settled = settle(told)
    event.input_tokens, event.output_tokens = settled.input, settled.output
    event.cached_tokens = _bounded(told.cached or 0)
    event.cache_write_tokens = _bounded(_written(told)) or None
    event.reasoning_tokens = settled.reasoning
    event.audio_input_tokens = _bounded(told.audio_input or 0) or None
    event.audio_output_tokens = _bounded(told.audio_output or 0) or None
    further = {
        "cache_write_1h_tokens": told.written_1h,
        "cached_audio_tokens": told.cached_audio,
        "image_input_tokens": told.image_input,
        "image_output_tokens": told.image_output,
    }
    if found := {name: _bounded(count) for name, count in further.items() if count}:
        event.quantities = {**(event.quantities or {}), **found}
    if read := how_read(told, settled):
        event.metadata = {**(event.metadata or {}), COUNTS_READ: read}


def how_read(told: Told, settled: Settled) -> JSONObject | None:
    """Return how counts were read, as a record's metadata keep it; None where they were taken as they came.

    ``{"sent": {"input", "output", "total"}, "beside": [names], "by": word}``, or ``"contradiction": true``
    instead of the last two.
    """
    if settled.by is None and not settled.is_contradiction:
        return None
    names = ("input", "output", "total")
    sent = {name: value for name in names if (value := getattr(told, name)) is not None}
    if settled.is_contradiction:
        return {"sent": sent, "contradiction": True}
    return {"sent": sent, "by": settled.by, **({"beside": list(settled.beside)} if settled.beside else {})}


def _written(told: Told) -> int:
    return max(told.written or 0, (told.written_5m or 0) + (told.written_1h or 0))


def _parts(told: Told) -> dict[str, int]:
    """Return the parts of input and output that were told and are not nothing."""
    counts = {name: getattr(told, name) or 0 for name in (*_OF_INPUT, *_OF_OUTPUT)}
    counts["written"] = _written(told)
    return {name: count for name, count in counts.items() if count > 0}


def _ways(told: Told, parts: Mapping[str, int], given: int, made: int) -> list[frozenset[str]]:
    """Return the possible sets of parts that lie beside, those that are most like the dialect's first."""
    usual = told.beside & set(parts)
    both = CACHE <= set(parts) and not told.is_split
    found = [
        frozenset(way)
        for size in range(len(parts) + 1)
        for way in combinations(parts, size)
        if _is_possible(parts, frozenset(way), given, made)
    ]
    # Sorting is stable: of equals the one with fewer parts beside comes first.
    return sorted(found, key=lambda way: (both and len(way & CACHE) == 1, len(way ^ usual)))


def _is_possible(parts: Mapping[str, int], beside: frozenset[str], given: int, made: int) -> bool:
    whole_in, whole_out = _wholes(parts, beside, given, made)

    def fit(names: tuple[str, ...], whole: int) -> bool:
        return sum(parts.get(name, 0) for name in names) <= whole

    return (
        fit(("cached", "written"), whole_in)
        and fit(("audio_input", "image_input"), whole_in)
        and fit(("tool_input",), whole_in)
        and fit(_OF_OUTPUT, whole_out)
    )


def _wholes(parts: Mapping[str, int], beside: frozenset[str], given: int, made: int) -> tuple[int, int]:
    return (
        given + sum(parts[name] for name in _OF_INPUT if name in beside),
        made + sum(parts[name] for name in _OF_OUTPUT if name in beside),
    )


def _settled(plain: Settled, parts: Mapping[str, int], beside: frozenset[str], by: str) -> Settled:
    if not beside:
        return plain
    whole_in, whole_out = _wholes(parts, beside, plain.input, plain.output)
    names = tuple(name for name in (*_OF_INPUT, *_OF_OUTPUT) if name in beside)
    return msgspec.structs.replace(
        plain, input=_bounded(whole_in), output=_bounded(whole_out), beside=names, by=by
    )


def _bounded(count: Any) -> int:
    return min(max(int(count), 0), MAX_COUNT)
