"""What paid for a call, as a record keeps it: the source, and what that held before and after."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from logs.models.events import BALANCE_AFTER, BALANCE_BEFORE, FUNDING_SOURCE, MOST_OF_A_SOURCE, JSONObject
from logs.pricing import facts
from logs.pricing.quotes import as_sent
from routescope.wire.reading import amount


@dataclass(frozen=True, slots=True)
class Funding:
    """``source`` is the gateway's own word, empty where it said none. Balances are USD, None where not told;
    one may be below nothing.
    """

    source: str = ""
    before: Decimal | None = None
    after: Decimal | None = None

    def __bool__(self) -> bool:
        return bool(self.source) or self.before is not None or self.after is not None

    @property
    def source_label(self) -> str:
        """The source by its usual name; a word of the gateway's own as it is."""
        words = {"wallet": _("Wallet"), "subscription": _("Subscription"), "package": _("Package")}
        return words.get(self.source.lower(), self.source)


NOT_TOLD = Funding()


def funding_of(billing: JSONObject | None) -> Funding:
    """Return what paid for a call, by its record's billing. Beside a price made here, what was sent counts.

    What a gateway sent under these names before they had a meaning may be anything: then it says nothing.
    """
    sent = as_sent(billing)
    if not isinstance(sent, dict):
        return NOT_TOLD
    source = sent.get(FUNDING_SOURCE)
    return Funding(
        source if isinstance(source, str) and len(source) <= MOST_OF_A_SOURCE else "",
        amount(facts.number(sent.get(BALANCE_BEFORE))),
        amount(facts.number(sent.get(BALANCE_AFTER))),
    )
