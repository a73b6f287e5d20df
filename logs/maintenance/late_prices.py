"""Pricing stored records that had no price, once there is one. Charges that stand are never changed."""

from __future__ import annotations

from django.db.models import Q

from logs.maintenance.amend import Amendment, amend, hours_with, records_of
from logs.models import CALLS
from logs.pricing.quotes import Consumed, PriceBook


def price_unpriced(model_id: int | None = None) -> int:
    """Price the calls without a price (of one model, or of all); return how many got one.

    At the price and ratio of each call's own time. The sums follow in the same transactions. May be broken
    off and run again.
    """
    of_model = Q(model_id=model_id) if model_id else Q(model_id__gt=0)
    bare = CALLS & of_model & Q(cost=None)
    priced = 0
    for hour in hours_with(CALLS & of_model & Q(unpriced__gt=0)):
        for records in records_of(hour, bare, "model"):
            book = PriceBook({r.model_id for r in records}, {r.group_id for r in records})
            amendments = []
            for record in records:
                if quote := book.quote(Consumed.of_record(record)):
                    billing = quote.billing
                    if record.billing:
                        billing["sent"] = record.billing
                    amendments.append(
                        Amendment(record.user_id, record.id, record.cause, quote.total, billing)
                    )
            priced += amend(amendments)
    return priced
