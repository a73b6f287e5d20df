"""What a charge of new-api's family is made of: so much of a kind at such a price, times the group's ratio.

Rows hold ratios and counts, and the charge itself. Whatever is read of the former is put to the test against
the latter: new-api works in whole quota, so that what explains a charge comes to it within one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from logs.ingest.formats.receipt import line, settled
from logs.models.events import JSONObject
from routescope.wire.reading import amount

MILLION = 1_000_000
THOUSAND = 1_000
USD_PER_RATIO = Decimal(2)
"""USD per million input tokens at a ratio of 1."""
_ONE = Decimal(1)
_ZERO = Decimal(0)
_TOKEN_KINDS = (
    "input", "output", "cached_input", "cache_write", "cache_write_5m", "cache_write_1h", "audio_input",
    "audio_output", "image_input", "image_output", "reasoning",
)  # fmt: skip
_TOOLS = {
    "web_search": ("web_search", "web_search_count"),
    "web_search_preview": ("web_search", "web_search_count"),
    "google_search": ("web_search", "web_search_count"),
    "file_search": ("file_search", "file_search_count"),
    "code_interpreter": ("code_session", "code_session_count"),
}
_OTHER_TOOL = "tool_call_count"


class Portion(msgspec.Struct, frozen=True):
    """``quantity`` at ``price`` USD for each ``per`` of them. ``quantity`` None: an amount alone."""

    kind: str
    quantity: Decimal | int | None
    price: Decimal
    per: int = MILLION

    def cost(self, group: Decimal) -> Decimal:
        """Return USD, before anything is rounded."""
        return self.price * group * (_ONE if self.quantity is None else self.quantity) / self.per


class Tools(msgspec.Struct):
    """Calls of tools: what they cost, and how many there were by the fixed names of quantities."""

    counts: dict[str, int] = {}
    _priced: list[Portion] = []

    def add(self, name: str, count: int, price: Decimal, per: int) -> None:
        """Add calls of a tool by the name that its gateway gives it; nothing for none."""
        if count <= 0:
            return
        name = name.strip().lower() or "tool"
        counted = _TOOLS.get(name, ("", _OTHER_TOOL))[1]
        self.counts[counted] = self.counts.get(counted, 0) + count
        if price > 0:
            self._priced.append(Portion(name, count, price, per))

    @property
    def parts(self) -> list[Portion]:
        """The calls by what they are; of several tools of one kind, all but one by names of their own."""
        found: dict[str, Portion] = {}
        # A tool that is called what its kind is comes first.
        for part in sorted(self._priced, key=lambda part: _TOOLS.get(part.kind, ("",))[0] != part.kind):
            kind = _TOOLS.get(part.kind, (part.kind,))[0]
            names = (kind, part.kind, *(f"{part.kind} {number}" for number in range(2, len(found) + 2)))
            free = next(name for name in names if name not in found)
            found[free] = msgspec.structs.replace(part, kind=free)
        return list(found.values())


def comes_to(parts: Iterable[Portion], group: Decimal) -> Decimal:
    """Return what the parts cost together in USD, before anything is rounded."""
    return sum((part.cost(group) for part in parts), _ZERO)


def explains(parts: Iterable[Portion], group: Decimal, charged: Decimal, noise: Decimal) -> bool:
    """Tell whether the parts come to the charge. ``noise`` is what rounding may leave between them."""
    return abs(comes_to(parts, group) - charged) <= noise


def lines(parts: Sequence[Portion], group: Decimal, charged: Decimal, noise: Decimal) -> list[JSONObject]:
    """Return the receipt's lines, which add up to the charge."""
    if comes_to(parts, group) <= 0:
        # Nothing that was charged is explained by what costs nothing.
        parts = ()
    return settled([_line(part, group) for part in parts], charged, noise)


def _line(part: Portion, group: Decimal) -> JSONObject:
    cost = _usd(part.cost(group))
    if part.quantity is None:
        return line(part.kind, cost)
    if part.kind in _TOKEN_KINDS:
        return line(part.kind, cost, int(part.quantity), unit_price=plain(part.price), per=part.per)
    counted = line(part.kind, cost, unit_price=plain(part.price), per=part.per)
    return {**counted, "quantity": plain(Decimal(part.quantity))}


def _usd(value: Decimal) -> Decimal:
    return amount(value) or _ZERO if abs(value) < MILLION else _ZERO


def or_one(ratio: Decimal | None) -> Decimal:
    return _ONE if ratio is None else ratio


def plain(value: Decimal) -> str:
    """Return a number without exponent and trailing zeros."""
    return f"{value.normalize():f}"
