"""Receipt lines of a gateway's own reckoning: they always add up to what it charged."""

from __future__ import annotations

from decimal import Decimal

from logs.events import JSONObject

_ZERO = Decimal(0)


def line(kind: str, cost: Decimal, tokens: int | None = None) -> JSONObject:
    """Return ``{"kind", "amount", "tokens"?}``; the amount is USD in decimal text."""
    written: JSONObject = {"kind": kind, "amount": f"{cost:f}"}
    if tokens is not None:
        written["tokens"] = tokens
    return written


def settled(lines: list[JSONObject], charged: Decimal, noise: Decimal) -> list[JSONObject]:
    """Return the lines that say something, made to add up to ``charged``.

    A difference below ``noise`` is rounding and goes to the largest line; more is a line of its own, "other".
    """
    lines = [written for written in lines if Decimal(written["amount"]) or written.get("tokens")]
    rest = charged - sum((Decimal(written["amount"]) for written in lines), _ZERO)
    if not rest:
        return lines
    if abs(rest) < noise and lines:
        largest = max(lines, key=lambda written: abs(Decimal(written["amount"])))
        largest["amount"] = f"{Decimal(largest['amount']) + rest:f}"
    else:
        lines.append(line("other", rest))
    return lines
