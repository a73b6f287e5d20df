"""How one-hub and one-api reckon a charge, who have no ``other``.

Sources: relay/relay_util/quota.go and model/price.go of one-hub, whose ``metadata`` hold its ratios;
relay/billing/billing.go and relay/quota/quota.go of Laisky's one-api, and relay/controller/helper.go of
one-api, which write theirs, rounded, into the row's words alone.
"""

from __future__ import annotations

import re
from decimal import Decimal

from logs.ingest.formats.counts import CACHE, Told
from logs.ingest.formats.newapi_other import HubMetadata, LaiskyMetadata
from logs.ingest.formats.newapi_parts import MILLION, USD_PER_RATIO, Portion, Tools, explains, or_one
from logs.ingest.formats.newapi_ratios import Reckoning

_ZERO = Decimal(0)
_ONE = Decimal(1)
_PER_CALL = Decimal("0.002")
"""USD for a call at a ratio of 1 in one-hub: what a thousand tokens cost."""
_FIGURE = r"(\d{1,9}(?:\.\d{1,9})?)"
_RATIOS = re.compile(
    rf"倍率：{_FIGURE} × {_FIGURE} × {_FIGURE}"
    rf"|model rate {_FIGURE}, group rate {_FIGURE}, completion rate {_FIGURE}"
)
_TOOLS_COST = re.compile(r"\btools cost (\d{1,12})\b")
_HUB_KINDS = {
    "cached_tokens": "cached_input",
    "cached_read_tokens": "cached_input",
    "cached_write_tokens": "cache_write",
    "input_audio_tokens": "audio_input",
    "input_image_tokens": "image_input",
    "output_audio_tokens": "audio_output",
    "output_image_tokens": "image_output",
    "reasoning_tokens": "reasoning",
}
_MADE = ("audio_output", "image_output", "reasoning")


def of_one_hub(told: HubMetadata, prompt: int, completion: int) -> Reckoning:
    """Return what a charge of one-hub is made of."""
    found = Reckoning(
        Told(
            input=prompt,
            output=completion,
            cached=(told.cached_tokens or 0) + (told.cached_read_tokens or 0) or None,
            written=told.cached_write_tokens,
            reasoning=told.reasoning_tokens,
            audio_input=told.input_audio_tokens,
            audio_output=told.output_audio_tokens,
            image_input=told.input_image_tokens,
            image_output=told.output_image_tokens,
        ),
        or_one(told.group_ratio),
    )
    tools = Tools()
    for name, calls in told.extra_billing.items():
        tools.add(name[:50], calls.call_count, calls.price, 1)
    found.counts = tools.counts
    if told.input_ratio is not None:
        if told.price_type == "times":
            found.parts = [Portion("call", 1, told.input_ratio * _PER_CALL, 1)]
        else:
            found.parts = _by_tokens(told, prompt, completion)
            # It cuts what each kind adds off to whole tokens.
            dearest = max(or_one(told.input_ratio), or_one(told.output_ratio)) * USD_PER_RATIO
            found.noise = (len(found.parts) - 2) * dearest * found.group / MILLION
    found.parts += tools.parts
    return found


def _by_tokens(told: HubMetadata, prompt: int, completion: int) -> list[Portion]:
    paid_in, paid_out = or_one(told.input_ratio) * USD_PER_RATIO, or_one(told.output_ratio) * USD_PER_RATIO
    apart: dict[str, Portion] = {}
    for name, kind in _HUB_KINDS.items():
        count = getattr(told, name) or 0
        price = (paid_out if kind in _MADE else paid_in) * or_one(getattr(told, f"{name}_ratio"))
        if count > 0:
            apart[name] = Portion(kind, count, price)
    made = sum(int(part.quantity or 0) for part in apart.values() if part.kind in _MADE)
    given = sum(int(part.quantity or 0) for part in apart.values() if part.kind not in _MADE)
    return [
        Portion("input", max(prompt - given, 0), paid_in),
        *apart.values(),
        Portion("output", max(completion - made, 0), paid_out),
    ]


def of_one_api(
    told: LaiskyMetadata, model: str, prompt: int, completion: int, cached: int, content: str,
    quota_per_usd: Decimal, charged: Decimal,
) -> Reckoning:  # fmt: skip
    """Return what a charge of one-api, in USD, is made of, as far as its words tell and come to it."""
    writes = told.cache_write_tokens
    short, long = (writes.ephemeral_5m or 0, writes.ephemeral_1h or 0) if writes else (0, 0)
    found = Reckoning(
        Told(
            input=prompt,
            output=completion,
            cached=cached or None,
            written=short + long or None,
            written_5m=short or None,
            written_1h=long or None,
            beside=CACHE if "claude" in model.lower() else frozenset(),
        ),
        _ONE,
    )
    tools: list[Portion] = []
    if cost := _TOOLS_COST.search(content):
        tools = [Portion("tool", None, Decimal(cost[1]) / quota_per_usd, 1)]
    if words := _RATIOS.search(content):
        ratio, group, output = (Decimal(value) for value in words.groups() if value is not None)
        unit = ratio * USD_PER_RATIO
        parts = [Portion("input", prompt, unit), Portion("output", completion, unit * output)]
        of_tools = sum((part.price for part in tools), _ZERO)
        if explains(parts, group, charged - of_tools, _ONE / quota_per_usd):
            found.group = group
            found.parts = parts
            tools = [Portion(part.kind, None, part.price / group, 1) for part in tools if group > 0]
    found.parts += tools
    return found
