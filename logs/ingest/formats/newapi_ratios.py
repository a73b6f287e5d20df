"""How new-api reckons a charge: by ratios, by the call, by tiers, and tools on top.

Source: service/text_quota.go and service/quota.go. What ``prompt_tokens`` includes is not told by every row:
with Anthropic's own counts, cached and written tokens lie beside it; of OpenAI's they are part. Where a total
is given it decides, and then the charge: only one of the two readings comes to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from logs.ingest.formats import newapi_tiers
from logs.ingest.formats.counts import CACHE, Told
from logs.ingest.formats.newapi_other import Other
from logs.ingest.formats.newapi_parts import (
    THOUSAND,
    USD_PER_RATIO,
    Portion,
    Tools,
    comes_to,
    explains,
    or_one,
)
from routescope.wire.reading import MAX_COUNT

_ZERO = Decimal(0)
_ONE = Decimal(1)
_NEAR = Decimal("0.01")
_MOST_TOOLS = 100
_CALCULATED = re.compile(r"计算参数：([^\n]{1,500})")
_PARAMETER = re.compile(r"(\w{1,30}): (\d{1,9}\.\d\d)\b")
_IMAGES = re.compile(r"(?:张数|生成数量) (\d{1,4})\b")


@dataclass(slots=True)
class Reckoning:
    """``told`` are the counts as the row means them; ``parts`` what the charge is made of.

    ``images`` were made; ``counts`` are further quantities; ``tier`` names the tier that was reached.
    """

    told: Told
    group: Decimal
    parts: list[Portion] = field(default_factory=list)
    images: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    tier: str | None = None
    noise: Decimal = _ZERO
    """USD that its gateway may have rounded beyond one quota."""


def reckon(
    other: Other, prompt: int, completion: int, content: str, charged: Decimal, noise: Decimal
) -> Reckoning:
    """Return what a row's charge, in USD, is made of. ``noise`` USD is what new-api may have rounded."""
    told = counted(other, prompt, completion)
    found = Reckoning(told, other.group)
    tools = _tools(other)
    found.counts = dict(tools.counts)
    rest = charged - comes_to(tools.parts, found.group)
    multipliers = _multipliers(other, content)
    found.images = _images(other, content, multipliers)
    if (seconds := multipliers.get("seconds")) is not None:
        found.counts["video_seconds"] = round(seconds)
    if other.is_tiered:
        found.tier = other.matched_tier or ""
        found.parts = newapi_tiers.parts(other, told, found.group, rest, noise) if rest else []
    elif other.model_price is not None and other.model_price > 0:
        found.parts = _by_call(other, found, multipliers, rest)
    elif other.model_ratio is not None:
        found.parts = _by_tokens(other, told, found.group, rest, noise)
    found.parts += tools.parts
    return found


def counted(other: Other, prompt: int, completion: int) -> Told:
    """Return the counts of a row, and what it says of how they are meant."""
    short, long = _count(other.cache_creation_tokens_5m), _count(other.cache_creation_tokens_1h)
    whole = max(_count(other.cache_creation_tokens), _count(other.cache_write_tokens), short + long)
    total = _count(other.input_tokens_total)
    heard = _count(other.audio_input) or _count(other.audio_input_token_count)
    told = Told(
        input=prompt,
        output=completion,
        total=total + completion if total else None,
        cached=_count(other.cache_tokens) or None,
        written=whole or None,
        written_5m=short or None,
        written_1h=long or None,
        reasoning=other.reasoning_tokens,
        audio_input=heard or None,
        audio_output=_count(other.audio_output) or None,
        image_input=_count(other.image_output) or None,
    )
    if _counts_beside(other):
        told.beside = CACHE
    return told


def _count(value: int | None) -> int:
    return min(max(value or 0, 0), MAX_COUNT)


def _counts_beside(other: Other) -> bool:
    """Tell whether the row itself says that its cached and written tokens lie beside ``prompt_tokens``."""
    if other.usage_semantic:
        return other.usage_semantic == "anthropic"
    # Only Anthropic has lifetimes of cache writes, and before rows named their semantics these were its own.
    return other.claude or bool(other.cache_creation_tokens_5m or other.cache_creation_tokens_1h)


def _tools(other: Other) -> Tools:
    tools = Tools()
    for one in other.tool_surcharges[:_MOST_TOOLS]:
        tools.add(one.name, one.count, one.price, THOUSAND)
    if not other.tool_surcharges:
        for name in ("web_search", "file_search"):
            count, price = getattr(other, f"{name}_call_count"), getattr(other, f"{name}_price")
            tools.add(name, count or 0, price or _ZERO, THOUSAND)
        if other.image_generation_call:
            tools.add("image_generation", 1, other.image_generation_call_price or _ZERO, 1)
    return tools


# --- By tokens ---------------------------------------------------------------------------------------------


def _by_tokens(other: Other, told: Told, group: Decimal, charged: Decimal, noise: Decimal) -> list[Portion]:
    """Return the parts of a charge by ratios, and settle in ``told`` what its counts include."""
    if (other.audio or other.ws) and (other.audio_input or other.audio_output):
        return list(_spoken(other, told))
    for is_beside, is_split in _readings(told):
        parts = list(_written(other, told, is_beside=is_beside, is_split=is_split))
        if explains(parts, group, charged, noise):
            told.beside = CACHE if is_beside else frozenset()
            if not is_beside:
                _without_overlap(told)
            return parts
    return list(_written(other, told, is_beside=bool(told.beside), is_split=bool(told.beside)))


def _readings(told: Told) -> Iterator[tuple[bool, bool]]:
    """Yield (beside, split by lifetime) as the counts may be meant, the likeliest first."""
    usual = bool(told.beside)
    if told.total is not None and told.input is not None:
        ways: tuple[bool, ...] = (told.total != told.input + (told.output or 0),)
    else:
        ways = (usual, not usual) if told.cached or told.written else (usual,)
    for is_beside in ways:
        yield is_beside, is_beside
        if told.written_5m or told.written_1h:
            yield is_beside, not is_beside


def _without_overlap(told: Told) -> None:
    """Take cached and written tokens as parts of the input: OpenAI counts what both share twice."""
    given = told.input or 0
    told.cached = min(told.cached or 0, given) or told.cached
    if (told.cached or 0) + (told.written or 0) > given:
        told.written = given - (told.cached or 0)
        told.written_5m = min(told.written_5m or 0, told.written) or None
        told.written_1h = min(told.written_1h or 0, told.written - (told.written_5m or 0)) or None


def _written(other: Other, told: Told, *, is_beside: bool, is_split: bool) -> Iterator[Portion]:
    unit = (other.model_ratio or _ZERO) * USD_PER_RATIO
    cached, written = told.cached or 0, told.written or 0
    images = told.image_input or 0
    heard = _count(other.audio_input_token_count) if other.audio_input_seperate_price else 0
    base = (told.input or 0) - images - heard - (0 if is_beside else cached + written)
    yield Portion("input", max(base, 0), unit)
    yield Portion("cached_input", cached, unit * or_one(other.cache_ratio))
    yield from _cache_writes(other, told, unit, is_split=is_split)
    if images:
        yield Portion("image_input", images, unit * or_one(other.image_ratio))
    if heard:
        yield Portion("audio_input", heard, other.audio_input_price or _ZERO)
    yield Portion("output", told.output or 0, unit * or_one(other.completion_ratio))


def _cache_writes(other: Other, told: Told, unit: Decimal, *, is_split: bool) -> Iterator[Portion]:
    usual = unit * or_one(other.cache_creation_ratio)
    short, long = told.written_5m or 0, told.written_1h or 0
    prices = usual, usual
    if is_split:
        ratios = other.cache_creation_ratio_5m, other.cache_creation_ratio_1h
        prices = tuple(usual if ratio is None else unit * ratio for ratio in ratios)  # type: ignore[assignment]
    plain = max((told.written or 0) - short - long, 0)
    if prices[0] == usual:
        plain, short = plain + short, 0
    elif not plain:
        yield Portion("cache_write", short, prices[0])
        short = 0
    if plain:
        yield Portion("cache_write", plain, usual)
    if short:
        yield Portion("cache_write_5m", short, prices[0])
    if long:
        yield Portion("cache_write_1h", long, prices[1])


def _spoken(other: Other, told: Told) -> Iterator[Portion]:
    unit = (other.model_ratio or _ZERO) * USD_PER_RATIO
    heard, said = _count(other.audio_input), _count(other.audio_output)
    text_in, text_out = other.text_input, other.text_output
    audio = unit * or_one(other.audio_ratio)
    yield Portion("input", max((told.input or 0) - heard, 0) if text_in is None else _count(text_in), unit)
    yield Portion("audio_input", heard, audio)
    written = max((told.output or 0) - said, 0) if text_out is None else _count(text_out)
    yield Portion("output", written, unit * or_one(other.completion_ratio))
    yield Portion("audio_output", said, audio * or_one(other.audio_completion_ratio))


# --- By the call -------------------------------------------------------------------------------------------


def _multipliers(other: Other, content: str) -> dict[str, Decimal]:
    """Return what a price is multiplied by, as ``usage_facts`` or the row's words tell: seconds, size, n."""
    found: dict[str, Decimal] = {}
    if told := _CALCULATED.search(content):
        found = {name: Decimal(value) for name, value in _PARAMETER.findall(told[1])}
    for name, value in other.usage_facts.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 10**9:
            found[name[:30]] = Decimal(str(value))
    return found


def _images(other: Other, content: str, multipliers: dict[str, Decimal]) -> int | None:
    if other.image_count:
        return other.image_count
    if told := _IMAGES.search(content):
        return int(told[1])
    return round(multipliers["n"]) if "n" in multipliers else None


def _by_call(
    other: Other, found: Reckoning, multipliers: dict[str, Decimal], charged: Decimal
) -> list[Portion]:
    """Return the part of a charge by the call, or by what the call's price was multiplied by."""
    price = other.model_price or _ZERO
    once = price * found.group
    if once <= 0 or charged <= 0:
        return []
    times = charged / once
    product = _ONE
    for value in multipliers.values():
        product *= value
    if seconds := multipliers.get("seconds"):
        if abs(times - product) <= _NEAR * product:
            return [Portion("video_seconds", seconds, charged / found.group / seconds, 1)]
    elif found.images and times >= found.images * (1 - _NEAR):
        return [Portion("image", found.images, charged / found.group / found.images, 1)]
    return [Portion("call", 1, price, 1)]
