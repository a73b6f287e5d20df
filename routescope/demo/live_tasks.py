"""Tasks of the demo that run before one's eyes: ordered now, at the development provider, polled by the
workers.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from accounts.models import Gateway
from logs.ingest import batches
from logs.models import RecordType
from logs.models.events import Batch, UsageEvent
from routescope.data.ids import derived_id
from routescope.demo import DEMO_GATEWAY
from routescope.demo.cast import STUDIO
from routescope.demo.provider import ENDS, plan
from tasks.intake import registration, reports
from tasks.models import ProviderCredential
from tasks.providers.catalogue import catalogue
from tasks.providers.key_binding import enter_key

EVERY = 25.0
"""Seconds between two orders."""
_ORDERS = (
    ("replicate", "image", "flux-1.1-pro", "0.04", (12, 30)),
    ("suno", "music", "suno-v4.5", "0.08", (25, 60)),
    ("runway", "image", "gen4_image", "0.05", (15, 40)),
)
_WEIGHTS = (74, 14, 8, 4)


def settle_in(url: str) -> None:
    """Have the three platforms asked at ``url`` for the demo's gateway, and for no other one."""
    gateway = Gateway.objects.get(name=DEMO_GATEWAY)
    known = catalogue()
    for platform in {order[0] for order in _ORDERS}:
        row = ProviderCredential.objects.filter(platform=platform, gateway=gateway).first()
        row = row or ProviderCredential(platform=platform, gateway=gateway)
        row.base_url = url
        enter_key(row, "development", known.by_slug.get(platform))
        row.save()


def order(number: int, *, end: str | None = None) -> str:
    """Order one task now, with the record that charges it; return its ID. The first four show every end."""
    gateway = Gateway.objects.get(name=DEMO_GATEWAY)
    platform, what, model, cost, (shortest, longest) = _ORDERS[number % len(_ORDERS)]
    # Nothing here is secret.
    end = end or random.choices(ENDS, _WEIGHTS)[0]  # noqa: S311
    seconds = random.uniform(shortest, longest)  # noqa: S311
    now = timezone.now()
    provider_id = plan(what, end, number, start=time.time(), seconds=seconds)
    token = derived_id(now, "demo", platform, number).hex[12:]
    task_id, request_id = f"task_{token}", f"req_{token}"
    event = UsageEvent(
        request_id=request_id,
        created_at=now,
        type=RecordType.TASK,
        user=STUDIO.user,
        token=STUDIO.name,
        group=STUDIO.group.name,
        model=model,
        duration_ms=round(random.uniform(180, 420)),  # noqa: S311
        http_status=200,
        cost=Decimal(cost),
        provider=platform,
        task_id=task_id,
    )
    batches.store(gateway, Batch(events=[(0, event)], rejected=[]))
    body = {
        "task_id": task_id,
        "created_at": (now + timedelta(milliseconds=1)).isoformat(),
        "user": STUDIO.user,
        "token": STUDIO.name,
        "group": STUDIO.group.name,
        "model": model,
        "request_id": request_id,
        "platform": platform,
        "type": what,
        "provider_task_id": provider_id,
        "cost": cost,
    }
    known = catalogue()
    registration.register(gateway, reports.decode(json.dumps(body).encode(), known, registering=True), known)
    return task_id


def keep_ordering(pause: float = EVERY) -> None:
    """Order tasks for ever: a few at once to begin with, one of them failing, then one now and then."""
    numbers = itertools.count(int(time.time()) % 100_000)
    for end in ("succeeded", "failed", "succeeded", "succeeded", "moderated"):
        order(next(numbers), end=end)
    while True:
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
        order(next(numbers))
