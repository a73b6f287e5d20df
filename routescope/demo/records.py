"""What the demo gateway sends, in the words of the console's API: as JSON, a value here is sent as it is.

What is not known is left out. Times are UTC, money is USD as decimal text, durations are milliseconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

JSONObject = dict[str, Any]

RecordKind = Literal["request", "task", "refund", "adjustment"]
TaskKind = Literal["image", "audio", "video", "music", "batch", "other"]
TaskState = Literal[
    "queued",
    "running",
    "succeeded",
    "partially_succeeded",
    "failed",
    "moderated",
    "cancelled",
    "expired",
    "unknown",
]
DELIVERED: tuple[TaskState, ...] = ("succeeded", "partially_succeeded")
GIVEN_BACK: tuple[TaskState, ...] = ("failed", "moderated", "cancelled", "expired")
"""The ends without a result: what was charged for them is given back."""


class ErrorSent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as the client saw it."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None


class RecordSent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A usage record (``POST /api/v1/usage``).

    ``input_tokens`` includes cached ones, ``output_tokens`` includes reasoning. Names are the gateway's own.
    """

    request_id: str
    created_at: datetime
    type: RecordKind = "request"
    status: Literal["success", "error"] = "success"
    user: str = ""
    token: str = ""
    group: str = ""
    model: str = ""
    stream: bool | None = None
    duration_ms: int | None = None
    ttft_ms: int | None = None
    http_status: int | None = None
    endpoint: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_count: int | None = None
    usage_estimated: bool | None = None
    video_seconds: int | None = None
    audio_seconds: int | None = None
    characters: int | None = None
    cost: str | None = None
    billing: JSONObject | None = None
    error: ErrorSent | None = None
    parameters: JSONObject | None = None
    upstream_request_id: str | None = None
    provider: str | None = None
    channel: str | None = None
    attempts: list[JSONObject] | None = None
    task_id: str | None = None
    session_id: str | None = None
    tags: tuple[str, ...] | None = None
    metadata: JSONObject | None = None
    answered_model: str | None = None


class TaskSent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A task, registered (``POST /api/v1/tasks``), or reported on: what was so at ``reported_at``."""

    task_id: str
    created_at: datetime | None = None
    user: str = ""
    token: str = ""
    group: str = ""
    model: str = ""
    request_id: str = ""
    platform: str = ""
    type: TaskKind | None = None
    provider_task_id: str = ""
    cost: str | None = None
    status: TaskState | None = None
    provider_status: str = ""
    progress: int | None = None
    reported_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: list[str] | JSONObject | None = None
    result_expires_at: datetime | None = None
    error: ErrorSent | None = None
