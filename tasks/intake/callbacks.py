"""What a callback that is believed does to its task, when it comes or once the task is here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from routescope.wire.strict_json import JSON
from tasks.following import clock, lifecycle, polling
from tasks.intake import early_webhooks
from tasks.intake.signatures import Delivery
from tasks.models import OPEN_STATUSES, AsyncTask, EventKind
from tasks.outcomes.observations import Observation
from tasks.providers.catalogue import Catalogue
from tasks.providers.definition import Definition
from tasks.providers.reading import read
from tasks.providers.search import ReadingError

logger = logging.getLogger(__name__)


def take_in(task: AsyncTask, document: JSON, delivery: Delivery, *, definition: Definition) -> None:
    """Take in what a signed webhook says about a task; without a document it is a reason to ask."""
    webhook = definition.webhook
    reading = webhook.reading if webhook.body == "own" else definition.reading
    seen = Observation(key=f"webhook:{delivery.id}", kind=EventKind.WEBHOOK)
    if webhook.body == "hint" or reading is None or document is None:
        lifecycle.transition(task.pk, seen)
        poll_now(task)
        return
    try:
        finding = read(reading, document, task_type=task.type, task_id=task.provider_task_id)
    except ReadingError as error:
        logger.error("The definition of %s: %s", definition.slug, error)
        poll_now(task)
        return
    if finding.status is None:
        poll_now(task)
        return
    lifecycle.transition(task.pk, polling.told_by(finding, seen, definition))


def apply_early(tasks: Sequence[AsyncTask], known: Catalogue) -> int:
    """Apply the webhooks that came before these tasks were registered. Returns how many."""
    applied = 0
    by_platform: dict[str, list[AsyncTask]] = {}
    for task in tasks:
        by_platform.setdefault(task.platform, []).append(task)
    for platform, its in by_platform.items():
        definition = known.by_slug.get(platform)
        if definition is not None and definition.webhook.scheme != "none":
            applied += early_webhooks.apply_to(its, partial(take_in, definition=definition))
    return applied


def poll_now(task: AsyncTask) -> bool:
    """Make an open task due, unless it is being polled right now, or is due anyway."""
    now = clock.now()
    rows = AsyncTask.objects.filter(pk=task.pk, status__in=OPEN_STATUSES, lease=None, next_poll_at__gt=now)
    return bool(rows.update(next_poll_at=now))
