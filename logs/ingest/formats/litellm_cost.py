"""LiteLLM's cost breakdown as receipt lines that add up to the charge, nothing counted twice.

``input_cost`` already includes ``cache_read_cost`` (measured on LiteLLM 1.106-1.109, although its comments
say otherwise), and ``output_cost`` includes ``reasoning_cost``. Which one holds is not assumed but read off
the sum: where the parts make up ``original_cost`` only with the cache costs added, they stand apart.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from logs.ingest.formats.receipt import line, settled
from logs.models import MONEY_PLACES
from logs.models.events import JSONObject, UsageEvent

_ZERO = Decimal(0)
_UNIT = Decimal(1).scaleb(-MONEY_PLACES)
_MAX_DIGITS = 9
_NOISE = Decimal("1e-9")
"""Below this a difference is the binary rounding of LiteLLM's floats: a billionth of a dollar."""


class CostBreakdown(msgspec.Struct):
    """Amounts in USD."""

    input_cost: Decimal | None = None
    output_cost: Decimal | None = None
    cache_read_cost: Decimal | None = None
    cache_creation_cost: Decimal | None = None
    reasoning_cost: Decimal | None = None
    tool_usage_cost: Decimal | None = None
    guardrail_cost: Decimal | None = None
    additional_costs: dict[str, Decimal] | None = None
    original_cost: Decimal | None = None
    discount_percent: Decimal | None = None
    discount_amount: Decimal | None = None
    margin_percent: Decimal | None = None
    margin_total_amount: Decimal | None = None
    total_cost: Decimal | None = None
    service_tier: str | None = None


def billing(given: CostBreakdown, event: UsageEvent) -> JSONObject | None:
    """Return ``{"source", "lines": [{"kind", "amount", "tokens"?}], ...}``: amounts are USD in decimal text.

    The lines add up to ``event.cost``; what LiteLLM charged beyond its own parts is a line "other". None
    where there is no charge to explain.
    """
    if not event.cost:
        return None
    read, written = _usd(given.cache_read_cost), _usd(given.cache_creation_cost)
    reasoning = _usd(given.reasoning_cost)
    paid_in, paid_out = _usd(given.input_cost), _usd(given.output_cost)
    extras = {
        "tools": _usd(given.tool_usage_cost),
        "guardrails": _usd(given.guardrail_cost),
        **{name[:50]: _usd(cost) for name, cost in (given.additional_costs or {}).items()},
    }
    original = _usd(given.original_cost) if given.original_cost is not None else event.cost
    beyond = original - paid_in - paid_out - sum(extras.values(), _ZERO)
    if not (read + written and abs(beyond - read - written) < _NOISE) and read + written <= paid_in + _NOISE:
        paid_in -= read + written
    if reasoning <= paid_out + _NOISE:
        paid_out -= reasoning
    else:
        reasoning = _ZERO
    written_tokens = event.cache_write_tokens or 0
    reasoned_tokens = (event.reasoning_tokens or 0) if reasoning else 0
    lines = [
        line("input", paid_in, max(event.input_tokens - event.cached_tokens - written_tokens, 0)),
        line("cached_input", read, event.cached_tokens),
        line("cache_write", written, written_tokens),
        line("output", paid_out, event.output_tokens - reasoned_tokens),
        line("reasoning", reasoning, reasoned_tokens),
        *(line(kind, cost) for kind, cost in extras.items()),
        line("discount", -_usd(given.discount_amount)),
        line("margin", _usd(given.margin_total_amount)),
    ]
    return {
        "source": "litellm",
        "lines": settled(lines, event.cost, _NOISE),
        **({"service_tier": given.service_tier} if given.service_tier else {}),
        **({"discount_percent": str(given.discount_percent)} if given.discount_percent else {}),
        **({"margin_percent": str(given.margin_percent)} if given.margin_percent else {}),
    }


def _usd(value: Decimal | None) -> Decimal:
    # By its exponent: comparing 1E+4000000 overflows.
    sensible = value is not None and value.is_finite() and value.adjusted() < _MAX_DIGITS
    return value.quantize(_UNIT) if value is not None and sensible else _ZERO
