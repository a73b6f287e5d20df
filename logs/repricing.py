"""Pricing stored records that had no price, once there is one. Charges that stand are never changed."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.signals import post_save
from django.dispatch import receiver
from kombu.exceptions import OperationalError as BrokerError

from logs.amend import Amendment, amend, hours_with, records_of
from logs.catalogue import ModelPrice
from logs.models import REQUEST_TYPES
from logs.pricing import Consumed, PriceBook

logger = logging.getLogger(__name__)

_CALLS = Q(type__in=REQUEST_TYPES)


def price_unpriced(model_id: int | None = None) -> int:
    """Price the calls without a price (of one model, or of all); return how many got one.

    At the price and ratio of each call's own time. The sums follow in the same transactions. May be broken
    off and run again.
    """
    of_model = Q(model_id=model_id) if model_id else Q(model_id__gt=0)
    bare = _CALLS & of_model & Q(cost=None)
    priced = 0
    for hour in hours_with(_CALLS & of_model & Q(unpriced__gt=0)):
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


@receiver(post_save, sender=ModelPrice, dispatch_uid="price what waited for it")
def price_what_waited(
    sender: type[ModelPrice], instance: ModelPrice, raw: bool = False, **kwargs: Any
) -> None:
    """When a price arrives, have a worker price the calls that waited for it."""
    if not raw:
        transaction.on_commit(lambda: _enqueue(instance.model_id))


def _enqueue(model_id: int) -> None:
    from logs.jobs import price_unpriced as job

    try:
        job.apply_async((model_id,), retry=False)
    except BrokerError:
        # The nightly run prices them; pages and the admin work without the broker.
        logger.warning("The job that prices model %s waits: the broker cannot be reached", model_id)
