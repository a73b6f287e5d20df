"""What an admin's word on a deployment sets going: past calls are told anew by a worker."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from kombu.exceptions import OperationalError as BrokerError

from logs.maintenance.jobs import retell_answered
from logs.models import Deployment

logger = logging.getLogger(__name__)


@receiver([post_save, post_delete], sender=Deployment, dispatch_uid="tell anew who answered")
def tell_anew(sender: type[Deployment], instance: Deployment, raw: bool = False, **kwargs: Any) -> None:
    """Have a worker tell anew of the calls that name it, or named it until now."""
    if raw:
        return
    names = sorted({instance.name, instance.former_name} - {""})
    instance.former_name = instance.name
    transaction.on_commit(lambda: _enqueue(names))


def _enqueue(names: list[str]) -> None:
    try:
        retell_answered.apply_async((names,), retry=False)
    except BrokerError:
        # What comes from now on is right; `manage.py retell_answered` tells of the past.
        logger.warning("Past calls of %s are not told anew: the broker cannot be reached", names)
