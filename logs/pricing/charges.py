"""A line of a charge, in a quote as in a receipt, and the arithmetic of money."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from django.utils.translation import gettext_lazy

from logs.models import MONEY_PLACES
from logs.pricing.kinds import MILLION

UNIT = Decimal(1).scaleb(-MONEY_PLACES)
ONE = Decimal(1)
WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_LABELS = {
    "input": gettext_lazy("Input"),
    "cached_input": gettext_lazy("Cached input"),
    "cache_write": gettext_lazy("Cache write"),
    "cache_write_1h": gettext_lazy("Cache write, 1 hour"),
    "output": gettext_lazy("Output"),
    "reasoning": gettext_lazy("Reasoning"),
    "audio_input": gettext_lazy("Audio input"),
    "cached_audio": gettext_lazy("Cached audio input"),
    "audio_output": gettext_lazy("Audio output"),
    "image_input": gettext_lazy("Image input"),
    "image_output": gettext_lazy("Image output"),
    "audio_seconds": gettext_lazy("Audio seconds"),
    "video_seconds": gettext_lazy("Video seconds"),
    "characters": gettext_lazy("Characters"),
    "pages": gettext_lazy("Pages"),
    "web_search": gettext_lazy("Web searches"),
    "file_search": gettext_lazy("File searches"),
    "code_session": gettext_lazy("Code sessions"),
    "tool": gettext_lazy("Tools"),
    "guardrails": gettext_lazy("Guardrails"),
    "per_call": gettext_lazy("Call"),
    "per_image": gettext_lazy("Images"),
    "discount": gettext_lazy("Discount"),
    "margin": gettext_lazy("Margin"),
    "rounding": gettext_lazy("Rounding"),
    "other": gettext_lazy("Not itemised by the gateway"),
    "beside": gettext_lazy("Charged by the gateway on top of the catalogue's price"),
    "whole": gettext_lazy("Charged by the gateway, not itemised"),
    "refund": gettext_lazy("Refund"),
    "adjustment": gettext_lazy("Adjustment"),
}


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """``quantity`` x ``unit_price`` USD / ``per``, times the group's ratio, is ``amount`` USD.

    What was not said is None; money alone has only an amount.
    """

    item: str
    amount: Decimal
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    per: int = 1

    @property
    def label(self) -> str:
        return str(_LABELS.get(self.item) or self.item.replace("_", " ").capitalize())

    @property
    def is_per_million(self) -> bool:
        return self.per == MILLION

    @classmethod
    def of(cls, item: str, quantity: Decimal, unit_price: Decimal, per: int, ratio: Decimal) -> ChargeLine:
        """Return the line of so much at such a price, to the 12 decimals of a cost."""
        amount = exactly(quantity, unit_price, per, ratio).quantize(UNIT, context=WIDE)
        return cls(item, amount, quantity, unit_price, per)


def exactly(quantity: Decimal, unit_price: Decimal, per: int, ratio: Decimal) -> Decimal:
    """Return ``quantity`` x ``unit_price`` / ``per`` x ``ratio`` in USD, before it is rounded."""
    return WIDE.divide(WIDE.multiply(WIDE.multiply(quantity, unit_price), ratio), Decimal(per))
