"""Async tasks of the demo: what is ordered, what it costs, and what becomes of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec
from django.conf import settings

from routescope.data.ranges import DAY, HOUR, floor
from routescope.demo.cast import MEDIA, NIGHTLY_JOBS, STUDIO, Token
from routescope.demo.prices import charge_units
from routescope.demo.records import DELIVERED, GIVEN_BACK, JSONObject, RecordSent, TaskKind, TaskState
from routescope.demo.rhythm import poisson
from routescope.demo.traffic import Traffic

LONGEST = timedelta(days=1, hours=1)
"""From a submission to its end, at most: a batch expires after a day."""
_PER_DAY = 4.6
CALLS_A_TASK = 70
"""Live, there is a task for so many calls: more than in the history, so that there is one to watch."""
_TOKENS: dict[TaskKind, tuple[Token, ...]] = {"batch": (NIGHTLY_JOBS,)}
_OTHERS = (STUDIO, STUDIO, STUDIO, MEDIA)
_OUTCOMES: dict[TaskState, int] = {
    "succeeded": 80,
    "failed": 9,
    "moderated": 5,
    "cancelled": 3,
    "partially_succeeded": 8,
    "expired": 8,
    "unknown": 14,
}


class Complaint(NamedTuple):
    code: str
    message: str


class MediaService(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of task that a platform does. ``words`` are the platform's for our statuses.

    ``price`` is USD per ``item``; ``quantities`` are the usual sizes of an order. ``seconds`` are the
    shortest and the longest time that the work takes. A moderated task's complaint stands in ``moderated``.
    """

    model: str
    platform: str
    type: TaskKind
    endpoint: str
    prefix: str
    item: str
    price: Decimal
    quantities: list[int]
    seconds: tuple[int, int]
    parameters: dict[str, str | int | bool]
    words: dict[TaskState, str]
    result: list[str]
    result_hours: int | None = None
    failed: list[Complaint]
    moderated: Complaint | None = None


class _Services(msgspec.Struct):
    services: list[MediaService]


SERVICES = msgspec.toml.decode(
    (Path(__file__).parent / "services.toml").read_bytes(), type=_Services
).services
_POLLED = ("replicate", "runway", "suno")
_WATCHABLE = [service for service in SERVICES if service.type != "batch" and service.platform not in _POLLED]
"""Those that are done in minutes, and that no worker polls at the development provider (``live_tasks``)."""
_WAITING = (
    (timedelta(seconds=9), 1),
    (timedelta(seconds=55), 2),
    (timedelta(seconds=70), 0),
    (timedelta(minutes=38), -1),
)
"""How long before the end of the history these were submitted, and to which service: not finished by then."""


@dataclass(frozen=True, slots=True)
class Order:
    """One task from its submission to its end, whenever that is."""

    task_id: str
    request_id: str
    service: MediaService
    token: Token
    submitted_at: datetime
    started_at: datetime
    finished_at: datetime
    outcome: TaskState
    quantity: int
    cost: str
    billing: JSONObject
    complaint: Complaint | None
    upstream_id: str

    @property
    def refund(self) -> str | None:
        """What is given back at the end, in USD: all of it unless something was delivered."""
        return self.cost if self.outcome in GIVEN_BACK else None

    def status(self, now: datetime) -> TaskState:
        if now >= self.finished_at:
            return self.outcome
        return "running" if now >= self.started_at else "queued"

    def progress(self, now: datetime) -> int | None:
        """Percent done at ``now``; None for platforms that do not say."""
        if self.service.type == "music":
            return None
        if self.delivered(now):
            return 100
        done = (min(now, self.finished_at) - self.started_at) / (self.finished_at - self.started_at)
        furthest = 99 if self.outcome in DELIVERED else self.submitted_at.microsecond % 99
        return max(0, min(furthest, int(100 * done)))

    def delivered(self, now: datetime) -> bool:
        return now >= self.finished_at and self.outcome in DELIVERED

    def result(self, now: datetime) -> list[str] | JSONObject | None:
        """What the platform delivered, if it has by ``now``: links, or a batch's file and counts."""
        if not self.delivered(now):
            return None
        if self.service.type != "batch":
            base = settings.DEMO_PROVIDER_URL
            return [link.format(base=base, id=self.task_id) for link in self.service.result]
        failed = self.quantity // 23 if self.outcome == "partially_succeeded" else 0
        counts = {"total": self.quantity, "completed": self.quantity - failed, "failed": failed}
        return {"output_file_id": f"file-{self.upstream_id[-22:]}", "request_counts": counts}

    def records(self) -> list[RecordSent]:
        """Return the usage records of the task: its submission, and its refund where there is one."""
        submission = RecordSent(
            request_id=self.request_id,
            created_at=self.submitted_at,
            type="task",
            user=self.token.user,
            token=self.token.name,
            group=self.token.group.name,
            model=self.service.model,
            stream=False,
            duration_ms=180 + 3 * int(self.task_id[-2:], 16),
            http_status=200,
            endpoint=self.service.endpoint,
            ip="203.0.113.40",
            user_agent="OpenAI/Python 2.8.1",
            video_seconds=self.quantity if self.service.item == "video_seconds" else None,
            image_count=self.quantity if self.service.item == "images" else None,
            audio_seconds=60 * self.quantity if self.service.item == "minutes" else None,
            cost=self.cost,
            billing=self.billing,
            parameters=dict(self.service.parameters) or None,
            upstream_request_id=self.upstream_id,
            provider=self.service.platform,
            channel=f"{self.service.platform}-main",
            task_id=self.task_id,
        )
        if self.refund is None:
            return [submission]
        refund = RecordSent(
            request_id=self.request_id,
            created_at=self.finished_at,
            type="refund",
            user=self.token.user,
            token=self.token.name,
            group=self.token.group.name,
            model=self.service.model,
            cost=f"-{self.refund}",
            billing={"currency": "USD", "reason": f"task_{self.outcome}", "refund_of": self.request_id},
            task_id=self.task_id,
        )
        return [submission, refund]


def orders(traffic: Traffic, start: datetime, until: datetime) -> Iterator[Order]:
    """Yield the tasks of the history submitted from ``start`` to ``until``, in no order.

    A function of time, as all traffic; fewer where its scale is small. Some are under way when it ends.
    """
    start = max(start, traffic.begin)
    day = floor(start, DAY)
    while day < until:
        rng = random.Random(f"tasks/{day:%Y-%m-%d}")  # noqa: S311 - a demo, not a secret
        for _ in range(poisson(rng, _PER_DAY * min(1.0, 1.5 * traffic.scale))):
            # Most of it between 07:00 and 22:00 UTC.
            submitted_at = day + timedelta(hours=rng.triangular(0, 24, 15))
            order = _order(rng, rng.choice(SERVICES), submitted_at)
            if start <= submitted_at < until:
                yield order
        day += DAY
    for age, index in _WAITING:
        submitted_at = traffic.end - age
        if start <= submitted_at < until:
            rng = random.Random(f"tasks/waiting/{index}/{submitted_at:%Y-%m-%d}")  # noqa: S311
            yield _order(rng, SERVICES[index], submitted_at, "succeeded")


def orders_of_hour(traffic: Traffic, hour: datetime) -> list[Order]:
    """Return the tasks submitted in an hour of live traffic, in no order."""
    rng = random.Random(f"{traffic.name}/tasks/{hour:%Y-%m-%dT%H}")  # noqa: S311
    return [
        _order(rng, rng.choice(_WATCHABLE), hour + HOUR * rng.random())
        for _ in range(poisson(rng, traffic.expected(hour) / CALLS_A_TASK))
    ]


def _order(
    rng: random.Random, service: MediaService, submitted_at: datetime, outcome: TaskState | None = None
) -> Order:
    token = rng.choice(_TOKENS.get(service.type, _OTHERS))
    if outcome is None:
        [outcome] = rng.choices(list(_OUTCOMES), weights=list(_OUTCOMES.values()))
    if outcome == "moderated" and service.moderated is None:
        outcome = "failed"
    if outcome not in service.words:
        outcome = "succeeded"
    quantity = rng.choice(service.quantities)
    cost, billing = charge_units(service.item, quantity, service.price, token.group.ratio)
    started_at = submitted_at + timedelta(seconds=rng.uniform(12, 40))
    finished_at = started_at + timedelta(seconds=rng.uniform(*service.seconds))
    complaint = None
    if outcome == "moderated":
        complaint = service.moderated
    elif outcome == "failed":
        complaint = rng.choice(service.failed)
    elif outcome == "expired":
        finished_at = submitted_at + DAY
        complaint = Complaint("expired", "The task was not finished within its time and was given up.")
    elif outcome == "cancelled":
        finished_at = started_at + (finished_at - started_at) * rng.uniform(0.1, 0.6)
    return Order(
        task_id=f"task_{rng.getrandbits(96):024x}",
        request_id=f"req_{rng.getrandbits(96):024x}",
        service=service,
        token=token,
        submitted_at=submitted_at,
        started_at=started_at,
        finished_at=finished_at,
        outcome=outcome,
        quantity=quantity,
        cost=cost,
        billing=billing,
        complaint=complaint,
        upstream_id=f"{service.prefix}{rng.getrandbits(112):028x}",
    )
