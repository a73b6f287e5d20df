"""What the token counts of a call mean: one rule for every format.

A record's ``input`` includes what was read from and written to a cache, its ``output`` includes reasoning.
Providers and instrumentations count otherwise: Anthropic and Bedrock report cached and written tokens beside
the input, xAI reasoning beside the output, Gemini's thinking may stand in the total alone. What a body itself
says decides, in this order:

1. **Size**: a part that is larger than its whole lies beside it.
2. **The total**, where one is given: of the ways to count that are left, the one whose sum it is. A total
   that is but the sum of the two counts as sent says nothing where that cannot be.
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
_NOTHING: frozenset[str] = frozenset()
_GEMINI = ("gemini", "google", "vertex", "gcp.")
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
    given, made = _completed(told, parts)
    plain = Settled(
        input=_bounded(given),
        output=_bounded(made),
        reasoning=None if told.reasoning is None else _bounded(told.reasoning),
        by=None if given == (told.input or 0) and made == (told.output or 0) else "total",
    )
    total = told.total or None
    if not parts and total in (None, given + made):
        return plain
    inside_is_possible = _is_possible(parts, _NOTHING, given, made)
    if inside_is_possible and (total == given + made or (total is None and not told.beside)):
        return plain
    ways = _ways(told, parts, given, made)
    if total is None or total == given + made:
        return _settled(plain, parts, ways[0], "dialect" if ways[0] == told.beside & set(parts) else "size")
    for way in ways:
        if sum(_wholes(parts, way, given, made)) == total:
            return _settled(plain, parts, way, "total")
    thought = total - sum(_wholes(parts, ways[0], given, made))
    if told.thinks_beyond and not told.reasoning and thought > 0:
        found = _settled(plain, parts, ways[0], "total")
        output = _bounded(found.output + thought)
        return msgspec.structs.replace(found, output=output, reasoning=_bounded(thought), by="total")
    return msgspec.structs.replace(plain, is_contradiction=True)


def put(event: UsageEvent, told: Told) -> None:
    """Give an event its counts, and in its metadata how they were read where that was not as they came."""
    settled = settle(told)
    event.input_tokens, event.output_tokens = settled.input, settled.output
    event.cached_tokens = _bounded(told.cached or 0)
    event.cache_write_tokens = _bounded(_written(told)) or None
    event.reasoning_tokens = settled.reasoning
    event.audio_input_tokens = _bounded(told.audio_input or 0) or None
    event.audio_output_tokens = _bounded(told.audio_output or 0) or None
    if told.written_1h or told.cached_audio or told.image_input or told.image_output:
        further = {
            "cache_write_1h_tokens": told.written_1h,
            "cached_audio_tokens": told.cached_audio,
            "image_input_tokens": told.image_input,
            "image_output_tokens": told.image_output,
        }
        found = {name: _bounded(count) for name, count in further.items() if count}
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


def thinks_beyond(provider: str, model: str) -> bool:
    """Tell whether a provider's total may hold thinking that nothing else names: Gemini's does."""
    bare = model.rpartition("/")[2].lower()
    return bare.startswith("gemini") or (provider.lower().startswith(_GEMINI) and "claude" not in bare)


def seconds(value: float | None) -> int | float | None:
    """Return a length in seconds to the millisecond, a whole number where it is one; None for none."""
    if value is None or not 0 <= value <= MAX_COUNT:
        return None
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def _written(told: Told) -> int:
    return max(told.written or 0, (told.written_5m or 0) + (told.written_1h or 0))


def _parts(told: Told) -> dict[str, int]:
    """Return the parts of input and output that were told and are not nothing."""
    counted = (
        ("cached", told.cached),
        ("written", _written(told)),
        ("audio_input", told.audio_input),
        ("image_input", told.image_input),
        ("tool_input", told.tool_input),
        ("reasoning", told.reasoning),
        ("audio_output", told.audio_output),
        ("image_output", told.image_output),
    )
    return {name: count for name, count in counted if count and count > 0}


def _completed(told: Told, parts: Mapping[str, int]) -> tuple[int, int]:
    """Return input and output as sent; of two of which one was not given, it is what the total leaves."""
    given = None if told.input is None else max(told.input, 0)
    made = None if told.output is None else max(told.output, 0)
    if given is not None and made is not None:
        return given, made
    total = told.total or 0
    beside = told.beside & set(parts)
    apart = sum(parts[name] for name in beside)
    rest = total - apart - (given or 0) - (made or 0)
    if rest <= 0:
        return given or 0, made or 0
    filled = (rest, made or 0) if given is None else (given, rest)
    return filled if _is_possible(parts, beside, *filled) else (given or 0, made or 0)


def _ways(told: Told, parts: Mapping[str, int], given: int, made: int) -> list[frozenset[str]]:
    """Return the possible sets of parts that lie beside, those that are most like the dialect's first."""
    usual = told.beside & set(parts)
    both = set(parts) >= CACHE and not told.is_split
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
