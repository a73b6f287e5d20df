"""Tasks of the demo that run before one's eyes: ordered now, at the development provider, polled by the
workers.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from routescope.data.ids import derived_id
from routescope.demo import wire
from routescope.demo.cast import STUDIO
from routescope.demo.provider import ENDS, pictures, plan
from routescope.demo.records import RecordSent, TaskKind, TaskSent
from routescope.demo.wire import Message

EVERY = 25.0
"""Seconds between two orders."""


class _Offered(NamedTuple):
    """``price`` in USD for each piece, of which ``pieces`` are ordered: pictures, or seconds of a film or a
    song. ``seconds`` are the shortest and the longest that it takes.
    """

    platform: str
    type: TaskKind
    model: str
    price: Decimal
    pieces: int
    seconds: tuple[int, int]


_OFFERED = (
    _Offered("replicate", "image", "flux-1.1-pro", Decimal("0.04"), 1, (12, 30)),
    _Offered("suno", "music", "suno-v4.5", Decimal("0.001"), 80, (25, 60)),
    _Offered("runway", "video", "gen4_turbo", Decimal("0.05"), 5, (20, 45)),
    _Offered("runway", "image", "gen4_image", Decimal("0.05"), 1, (15, 40)),
)
PLATFORMS = {
    "replicate": ("https://api.replicate.com",),
    "suno": (),
    "runway": ("https://api.dev.runwayml.com",),
}
"""Who is asked at the development provider, and where its definition sends a key besides."""
_WEIGHTS = (74, 14, 8, 4)
_FIRST_ENDS = ("succeeded", "failed", "succeeded", "succeeded", "moderated")


def order(number: int, *, end: str | None = None) -> list[Message]:
    """Order one task now; return what its gateway sends: the record that charges it, and its registration."""
    offered = _OFFERED[number % len(_OFFERED)]
    # Nothing here is secret.
    end = end or random.choices(ENDS, _WEIGHTS)[0]  # noqa: S311
    seconds = random.uniform(*offered.seconds)  # noqa: S311
    now = datetime.now(UTC)
    provider_id = plan(offered.type, end, number, start=time.time(), seconds=seconds)
    pieces = pictures(number) if offered.platform == "replicate" else offered.pieces
    cost = f"{offered.price * pieces}"
    token = derived_id(now, "demo", offered.platform, number).hex[12:]
    task_id, request_id = f"task_{token}", f"req_{token}"
    record = RecordSent(
        request_id=request_id,
        created_at=now,
        type="task",
        user=STUDIO.user,
        token=STUDIO.name,
        group=STUDIO.group.name,
        model=offered.model,
        duration_ms=round(random.uniform(180, 420)),  # noqa: S311
        http_status=200,
        image_count=pieces if offered.type == "image" else None,
        video_seconds=pieces if offered.type == "video" else None,
        audio_seconds=pieces if offered.type == "music" else None,
        cost=cost,
        provider=offered.platform,
        task_id=task_id,
    )
    task = TaskSent(
        task_id=task_id,
        created_at=now + timedelta(milliseconds=1),
        user=STUDIO.user,
        token=STUDIO.name,
        group=STUDIO.group.name,
        model=offered.model,
        request_id=request_id,
        platform=offered.platform,
        type=offered.type,
        provider_task_id=provider_id,
        cost=cost,
    )
    return [*wire.usage([record], 1), *wire.registrations([task], 1)]


def ordered(pause: float = EVERY) -> Iterator[list[Message]]:
    """Yield orders for ever: a few at once to begin with, one of them failing, then one now and then."""
    numbers = itertools.count(int(time.time()) % 100_000)
    for end in _FIRST_ENDS:
        yield order(next(numbers), end=end)
    while True:
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
        yield order(next(numbers))
