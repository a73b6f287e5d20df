"""Signed webhooks about tasks that are not registered yet: they wait, and are applied once the task is here.

A gateway may register a task seconds or hours after it gave it to the provider. Only what is signed waits,
encrypted, so many of one sender and for so long; the rest the poll finds out.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from datetime import timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from routescope.encryption import DecryptionError
from routescope.wire import strict_json
from routescope.wire.strict_json import JSON
from tasks.intake.signatures import Delivery
from tasks.models import MAX_ID_BYTES, AsyncTask, EarlyWebhook

logger = logging.getLogger(__name__)

MAX_WAITING = 1_000
"""Of one provider and gateway: beyond, the oldest makes room."""
MAX_BODY = 64 * 1024
"""Characters of JSON. A larger one waits without its body: the task is then asked about at once."""
KEPT = timedelta(days=1)

Apply = Callable[[AsyncTask, JSON, Delivery], None]
"""Takes in what a webhook says about a task; the document is None where its body was too large to keep."""


def keep(platform: str, provider_task_id: str, document: JSON, delivery: Delivery) -> None:
    """Let a webhook wait for its task. The same delivery waits once; no task has an ID that is too long."""
    if len(provider_task_id.encode()) > MAX_ID_BYTES:
        return
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    EarlyWebhook.objects.get_or_create(
        platform=platform,
        delivery_id=delivery.id,
        defaults={
            "gateway_id": delivery.gateway_id,
            "provider_task_id": provider_task_id,
            "body": body if len(body) <= MAX_BODY else "",
        },
    )
    sender = Q(gateway=None) if delivery.gateway_id is None else Q(gateway_id=delivery.gateway_id)
    waiting = EarlyWebhook.objects.filter(sender, platform=platform)
    surplus = list(waiting.order_by("-received_at", "-pk").values_list("pk", flat=True)[MAX_WAITING:])
    if surplus:
        EarlyWebhook.objects.filter(pk__in=surplus).delete()
        logger.warning("%s early webhooks of %s made room for newer ones", len(surplus), platform)


def apply_to(tasks: Iterable[AsyncTask], take_in: Apply) -> int:
    """Apply what waits for these tasks, oldest first. Returns how many webhooks that were.

    Each is applied and forgotten in one transaction; one that cannot be read is logged, and costs no other.
    """
    by_name: dict[tuple[str, str], list[AsyncTask]] = {}
    for task in tasks:
        if task.provider_task_id and task.platform:
            by_name.setdefault((task.platform, task.provider_task_id), []).append(task)
    if not by_name:
        return 0
    wanted = Q(
        platform__in={platform for platform, _ in by_name},
        provider_task_id__in={name for _, name in by_name},
    )
    found = EarlyWebhook.objects.filter(wanted).order_by("received_at", "pk")
    applied = 0
    for pk, platform, name, gateway_id in list(
        found.values_list("pk", "platform", "provider_task_id", "gateway_id")
    ):
        for task in by_name.get((platform, name), ()):
            if gateway_id in (None, task.gateway_id):
                applied += _apply(pk, task, take_in)
    return applied


def _apply(pk: int, task: AsyncTask, take_in: Apply) -> bool:
    try:
        with transaction.atomic():
            # Whoever comes second (two requests register the same task) finds it gone.
            row = EarlyWebhook.objects.select_for_update().filter(pk=pk).first()
            if row is None:
                return False
            document = strict_json.decode(row.body.reveal()) if row.body else None
            take_in(task, document, Delivery(row.delivery_id, row.gateway_id))
            row.delete()
            return True
    except (OperationalError, InterfaceError):
        raise
    except DecryptionError as error:
        logger.error("A webhook that waited for the task %s cannot be read: %s", task.task_id, error)
    except Exception:
        logger.exception("A webhook that waited for the task %s could not be applied", task.task_id)
    EarlyWebhook.objects.filter(pk=pk).delete()
    return False


def forget() -> int:
    """Delete webhooks whose tasks were never registered. Returns how many."""
    return EarlyWebhook.objects.filter(received_at__lt=timezone.now() - KEPT).delete()[0]
