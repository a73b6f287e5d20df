"""What a new price sets going: the calls that waited for it are priced by a worker."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver
from kombu.exceptions import OperationalError as BrokerError

from logs.maintenance.jobs import price_unpriced
from logs.models import ModelPrice

logger = logging.getLogger(__name__)


@receiver(post_save, sender=ModelPrice, dispatch_uid="price what waited for it")
def price_what_waited(
    sender: type[ModelPrice], instance: ModelPrice, raw: bool = False, **kwargs: Any
) -> None:
    """When a price arrives, have a worker price the calls that waited for it."""
    if not raw:
        transaction.on_commit(lambda: _enqueue(instance.model_id))


def _enqueue(model_id: int) -> None:
    try:
        price_unpriced.apply_async((model_id,), retry=False)
    except BrokerError:
        # The nightly run prices them; pages and the admin work without the broker.
        logger.warning("The job that prices model %s waits: the broker cannot be reached", model_id)
