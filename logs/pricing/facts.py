"""The facts of a charge as a record keeps them (``billing``), read from whichever shape a gateway sent.

Shapes: ours and the native one (``lines`` of item, quantity, unit_price, per, amount, with ``group_ratio``);
LiteLLM's breakdown (``lines`` of kind, amount, tokens); ``unit_prices`` alone; new-api's ratios
(``model_ratio`` x 2 = USD per 1M input tokens, ``completion_ratio``, ``cache_ratio``, ``model_price`` by the
call). Amounts are USD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from logs.models import UsageRecord
from logs.pricing.charges import ONE, UNIT, WIDE, ChargeLine
from logs.pricing.consumed import Consumed
from logs.pricing.kinds import (
    MILLION,
    PIECES,
    TOKENS,
    ContradictionError,
    tokens_by_kind,
    usual_per,
)

_SYNONYMS = {
    "prompt": "input",
    "completion": "output",
    "cache_read": "cached_input",
    "cached": "cached_input",
    "cache_creation": "cache_write",
    "cache_write_5m": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h",
    "call": "per_call",
    "image": "per_image",
    "images": "per_image",
    "tools": "tool",
}
_PARTS = {
    "cached_audio": "cached_input",
    "cache_write_1h": "cache_write",
    **dict.fromkeys(("cached_input", "cache_write", "audio_input", "image_input"), "input"),
    **dict.fromkeys(("reasoning", "audio_output", "image_output"), "output"),
}
"""What a kind is a part of."""
_LARGEST = Decimal(10) ** 12


@dataclass(frozen=True, slots=True)
class Facts:
    """``ratio`` None: the gateway did not tell one."""

    lines: tuple[ChargeLine, ...]
    ratio: Decimal | None
    source: str
    version: str
    valid_from: datetime | None
    model: str


def read(record: UsageRecord) -> Facts | None:
    """Return the facts of a record's charge; None where it holds none that can be read."""
    sent = record.billing
    if not isinstance(sent, dict):
        return None
    ratio = _ratio(sent)
    lines = tuple(_lines(record, sent, ratio or ONE))
    if not lines:
        return None
    return Facts(
        lines=lines,
        ratio=ratio,
        source=_text(sent.get("source")),
        version=_text(sent.get("price_version")),
        valid_from=_moment(sent.get("valid_from")),
        model=_text(sent.get("model") or sent.get("upstream_model_name")),
    )


def number(value: object) -> Decimal | None:
    """Return a number that was sent as such or as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        read = Decimal(str(value))
    except InvalidOperation:
        return None
    return read if read.is_finite() and abs(read) < _LARGEST else None


def _lines(record: UsageRecord, sent: Mapping[str, Any], ratio: Decimal) -> Iterable[ChargeLine]:
    if isinstance(sent.get("lines"), list):
        for line in sent["lines"]:
            if isinstance(line, dict) and (read := _line(line, ratio)):
                yield read
    elif isinstance(sent.get("unit_prices"), dict):
        yield from _by_price(record, sent["unit_prices"], ratio)
    elif (by_call := number(sent.get("model_price"))) and by_call > 0:
        yield ChargeLine.of("per_call", ONE, by_call, 1, ratio)
    elif (model_ratio := number(sent.get("model_ratio"))) is not None:
        # new-api: one unit of model ratio is 2 USD per 1M tokens.
        price = model_ratio * 2
        out = price * (number(sent.get("completion_ratio")) or ONE)
        cached = number(sent.get("cache_ratio"))
        written = number(sent.get("cache_creation_ratio"))
        prices = {
            "input": price,
            "cached_input": price * (ONE if cached is None else cached),
            "cache_write": price * (ONE if written is None else written),
            "audio_input": price * (number(sent.get("audio_ratio")) or ONE),
            "output": out,
            **_further_prices(sent, price),
        }
        if price > 0:
            # A ratio of 0 with a charge: a tier's, which these ratios say nothing of.
            yield from _by_price(record, prices, ratio)
            yield from _tools(sent, ratio)


def _further_prices(sent: Mapping[str, Any], price: Decimal) -> dict[str, Decimal]:
    """Return the prices of kinds whose ratios new-api sends only where there were such tokens."""
    heard, said = number(sent.get("audio_ratio")), number(sent.get("audio_completion_ratio"))
    ratios = {
        "audio_output": None if heard is None else heard * (ONE if said is None else said),
        "image_input": number(sent.get("image_ratio")),
        "cache_write_1h": number(sent.get("cache_creation_ratio_1h")),
    }
    return {item: price * ratio for item, ratio in ratios.items() if ratio is not None}


def _tools(sent: Mapping[str, Any], ratio: Decimal) -> Iterable[ChargeLine]:
    """Yield new-api's ``tool_surcharges``: a price for a thousand calls each."""
    told = sent.get("tool_surcharges")
    for one in told[:100] if isinstance(told, list) else ():
        if isinstance(one, dict):
            count, price = number(one.get("count")), number(one.get("price"))
            if count is not None and price is not None and count > 0:
                item = _text(one.get("name")).lower() or "tool"
                yield ChargeLine.of(item, count, price, 1000, ratio)


def _line(line: Mapping[str, Any], ratio: Decimal) -> ChargeLine | None:
    item = _text(line.get("item") or line.get("kind") or "other").lower()
    item = _SYNONYMS.get(item, item)
    quantity = number(line.get("quantity", line.get("tokens")))
    unit_price = number(line.get("unit_price"))
    per = number(line.get("per"))
    divisor = int(per) if per is not None and per >= 1 else MILLION if item in TOKENS else 1
    amount = number(line.get("amount"))
    if amount is not None:
        return ChargeLine(item, amount.quantize(UNIT, context=WIDE), quantity, unit_price, divisor)
    if quantity is None or unit_price is None:
        return None
    return ChargeLine.of(item, quantity, unit_price, divisor, ratio)


def _by_price(record: UsageRecord, unit_prices: Mapping[str, Any], ratio: Decimal) -> Iterable[ChargeLine]:
    """Yield lines where only prices were sent: what has none was charged as what it is part of."""
    prices = {
        _SYNONYMS.get(str(item), str(item)): price
        for item, value in unit_prices.items()
        if (price := number(value)) is not None
    }
    used = Consumed.of(record, model_id=None, model="", group_id=None, at=record.created_at).counts
    parts = {item: whole for item, whole in _PARTS.items() if item not in prices}
    try:
        counts = tokens_by_kind(used, parts)
    except ContradictionError:
        counts = {"input": used.get("input_tokens", 0), "output": used.get("output_tokens", 0)}
    for item, count in counts.items():
        if count and item in prices:
            yield ChargeLine.of(item, Decimal(count), prices[item], MILLION, ratio)
    for item, name in {**PIECES, "per_call": ""}.items():
        quantity = Decimal(used.get(name, 0)) if name else ONE
        if quantity and item in prices:
            yield ChargeLine.of(item, quantity, prices[item], usual_per(item), ratio)


def _ratio(sent: Mapping[str, Any]) -> Decimal | None:
    own = number(sent.get("user_group_ratio"))
    ratio = own if own is not None and own >= 0 else number(sent.get("group_ratio"))
    return ratio if ratio is not None and ratio >= 0 else None


def _text(value: object) -> str:
    return value[:100] if isinstance(value, str) else ""


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
