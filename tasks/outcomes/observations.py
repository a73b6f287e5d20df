"""What somebody said about a task: a poll's answer, a webhook, a gateway's report, a deadline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from tasks.models import UNSUCCESSFUL_STATUSES, EventKind, EventReason, TaskStatus

Pieces = list[dict[str, Any]]
"""A result: its pieces, each with a ``kind`` (image, audio, video, text, json, file) and a URL, text or
data. Of one that came inside the answer, in base64, only how many bytes it has: ``inside``.
"""


def is_in_the_answer(piece: Mapping[str, Any]) -> bool:
    """Whether a piece came inside the provider's answer: it is not kept, and its size is."""
    return "inside" in piece


def without_media(pieces: Pieces | None) -> Pieces | None:
    """Return what a task without a result keeps of what was told before its end: words and data."""
    return [piece for piece in pieces or () if "url" not in piece and not is_in_the_answer(piece)] or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What somebody said about a task at one moment. None and empty text: nothing was said.

    ``key`` identifies the saying itself. Times are UTC, ``cost`` is USD, ``progress`` percent.
    """

    key: str
    kind: EventKind
    at: datetime | None = None
    """When this was so, where its teller says: else it is so now."""
    status: TaskStatus | None = None
    word: str = ""
    progress: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: Pieces | None = None
    result_expires_at: datetime | None = None
    result_lifetime: timedelta | None = None
    """How long after the end the provider keeps results, where it does not say until when."""
    failure_code: str = ""
    failure_message: str = ""
    cause_uncut: str = ""
    """Why it failed, judged before anything of the message was cut; nothing where none was."""
    cost: Decimal | None = None
    provider_task_id: str = ""
    http_status: int | None = None
    duration_ms: int | None = None
    reason: EventReason | Literal[""] = ""
    note: str = ""
    """What the console itself says of it."""
    excerpt: str = ""
    """What the provider answered where that could not be read, in its words."""
    refunded_states: tuple[TaskStatus, ...] = field(default=UNSUCCESSFUL_STATUSES)
