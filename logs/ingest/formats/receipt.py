"""Receipt lines of a gateway's own reckoning: they always add up to what it charged."""

from __future__ import annotations

from decimal import Decimal

from logs.models.events import JSONObject

_ZERO = Decimal(0)


def line(
    kind: str, cost: Decimal, tokens: int | None = None, *, unit_price: str | None = None, per: int = 1
) -> JSONObject:
    """Return ``{"kind", "amount", "tokens"?, "unit_price"?, "per"?}``; money is USD in decimal text."""
    written: JSONObject = {"kind": kind, "amount": f"{cost:f}"}
    if tokens is not None:
        written["tokens"] = tokens
    if unit_price is not None:
        written |= {"unit_price": unit_price, "per": per}
    return written


def settled(lines: list[JSONObject], charged: Decimal, noise: Decimal) -> list[JSONObject]:
    """Return the lines that say something, and one that makes them add up to ``charged``.

    A difference up to ``noise`` is "rounding", a larger one "other".
    """
    lines = [written for written in lines if Decimal(written["amount"]) or written.get("tokens")]
    rest = charged - sum((Decimal(written["amount"]) for written in lines), _ZERO)
    if rest:
        lines.append(line("rounding" if lines and abs(rest) <= noise else "other", rest))
    return lines
