"""Why a call has no price, or not one for all that it used: in facts, and in words."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from logs.models.events import JSONObject
from logs.pricing.charges import ChargeLine
from logs.pricing.sellers import NotFound, WhyNot
from routescope.text import formatting


class Why(enum.Enum):
    """Why nothing of a call can be priced."""

    UNKNOWN = "unknown_model"
    NOT_THERE = "not_sold_there"
    SEVERAL = "several_sellers"
    NO_MODEL = "no_model"
    NO_USAGE = "no_usage"
    CONTRADICTION = "contradicting_counts"


@dataclass(frozen=True, slots=True)
class Missing:
    """A kind that was used and has no price. ``quantity`` None: how much of it was used is not told.

    ``tier`` names the service tier in which it has none; ``asks`` what its price depends on and the record
    does not tell.
    """

    item: str
    quantity: Decimal | None
    tier: str = ""
    asks: str = ""

    @property
    def label(self) -> str:
        return ChargeLine(self.item, Decimal(0)).label

    @property
    def fact(self) -> JSONObject:
        """What a record keeps of it."""
        return {
            "item": self.item,
            **({} if self.quantity is None else {"quantity": f"{self.quantity:f}"}),
            **({"service_tier": self.tier} if self.tier else {}),
            **({"depends_on": self.asks} if self.asks else {}),
        }

    @property
    def sentence(self) -> str:
        words = {"item": self.label, "tier": self.tier, "asks": self.asks}
        if self.quantity is None:
            return _("%(item)s: the quantity is not given") % words
        words["count"] = formatting.exact(self.quantity)
        if self.asks:
            return _("%(item)s (%(count)s): the price depends on “%(asks)s”, which is not given") % words
        if self.tier:
            return _("%(item)s (%(count)s): no price is known in the service tier “%(tier)s”") % words
        return _("%(item)s (%(count)s): no price is known") % words


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Why there is no price at all. ``sellers``: between whom it was not told, or who does not sell it."""

    why: Why
    model: str
    sellers: tuple[str, ...] = ()

    @classmethod
    def without_seller(cls, found: NotFound, model: str) -> Unpriced:
        whys = {
            WhyNot.UNKNOWN: Why.UNKNOWN,
            WhyNot.NOT_THERE: Why.NOT_THERE,
            WhyNot.SEVERAL: Why.SEVERAL,
        }
        return cls(whys[found.why], model, found.sellers)

    @property
    def sentence(self) -> str:
        words = {"model": self.model, "sellers": ", ".join(self.sellers)}
        sentences = {
            Why.NO_MODEL: _("The gateway named neither a cost nor a model."),
            Why.NO_USAGE: _("The gateway did not say what was used."),
            Why.CONTRADICTION: _(
                "The counts contradict each other, so it is unclear which tokens were used."
            ),
            Why.SEVERAL: _(
                "“%(model)s” is sold at different prices by %(sellers)s, and the gateway did not say which."
            ),
            Why.NOT_THERE: _("No price is known for “%(model)s” at %(sellers)s."),
            Why.UNKNOWN: _("No price is known for “%(model)s”."),
        }
        return sentences[self.why] % words


def labels(unpriced: object) -> list[str]:
    """Return the kinds that a record's facts (``billing.unpriced``) name, for people."""
    return [ChargeLine(item, Decimal(0)).label for item in items(unpriced)]


def items(unpriced: object) -> list[str]:
    """Return the kinds that a record's facts (``billing.unpriced``) name."""
    facts: Iterable[object] = unpriced if isinstance(unpriced, list) else ()
    return [
        one["item"]
        for one in facts
        if isinstance(one, dict) and isinstance(one.get("item"), str) and len(one["item"]) <= 100
    ]
