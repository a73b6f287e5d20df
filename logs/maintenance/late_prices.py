"""Pricing stored records that had no price, once there is one. Charges that stand are never changed."""

from __future__ import annotations

from django.db.models import Q

from logs.maintenance.amend import Amendment, amend, hours_with, records_of
from logs.models import CALLS
from logs.pricing.consumed import Consumed
from logs.pricing.quotes import PriceBook, Quote, as_sent


def price_unpriced(model_id: int | None = None) -> int:
    """Price the calls without a price (of one model, or of all); return how many got one.

    At the price and ratio of each call's own time. A call of which only a part has a price keeps which, and
    waits on. The sums follow in the same transactions. May be broken off and run again.
    """
    of_model = Q(model_id=model_id) if model_id else Q(model_id__gt=0)
    bare = CALLS & of_model & Q(cost=None)
    priced = 0
    for hour in hours_with(CALLS & of_model & Q(unpriced__gt=0)):
        for records in records_of(hour, bare, "model"):
            book = PriceBook({r.model_id for r in records}, {r.group_id for r in records})
            whole: list[Amendment] = []
            parts: list[Amendment] = []
            for record in records:
                quote = book.quote(Consumed.of_record(record))
                if not isinstance(quote, Quote):
                    continue
                billing = quote.billing
                if sent := as_sent(record.billing):
                    billing["sent"] = sent
                cost = quote.total if quote.is_whole else None
                amendment = Amendment(record.user_id, record.id, record.cause, cost, billing)
                (whole if quote.is_whole else parts).append(amendment)
            priced += amend(whole)
            amend(parts)
    return priced
