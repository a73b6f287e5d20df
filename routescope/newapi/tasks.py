"""Importing the ``tasks`` table of a new-api installation: tasks are registered, and move on as its rows do.

Source: model/task.go of new-api. Rows change until a task is final, so they are read anew from the first open
one on. Registering twice changes nothing: that is also how an interrupted import goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec

from accounts.models import Gateway
from routescope.newapi.source import NewApiSource, Unreadable
from routescope.wire import strict_json
from routescope.wire.strict_json import JSONError
from tasks.intake.registration import register
from tasks.intake.reports import MAX_TASKS, Reports, decode
from tasks.models import AsyncTask, TaskStatus
from tasks.providers.catalogue import catalogue

TABLE = "tasks"
_STATES = {
    "NOT_START": TaskStatus.QUEUED,
    "SUBMITTED": TaskStatus.QUEUED,
    "QUEUED": TaskStatus.QUEUED,
    "IN_PROGRESS": TaskStatus.RUNNING,
    "SUCCESS": TaskStatus.SUCCEEDED,
    "FAILURE": TaskStatus.FAILED,
}
_FINAL = ("SUCCESS", "FAILURE")
_PLATFORMS = {
    # new-api writes a channel type's number (constant/channel.go); Suno and Midjourney by name.
    "17": "dashscope",
    "24": "veo",
    "35": "minimax",
    "36": "suno",
    "41": "veo",
    "50": "kling",
    "51": "jimeng",
    "52": "vidu",
    "54": "doubao-video",
    "55": "openai-videos",
    "56": "replicate",
    "mj": "midjourney-proxy",
}
_MAX_RESULT = 32_000
_MAX_REASONS = 50


class Row(msgspec.Struct):
    """A row; what the source's version of the table does not have keeps its default."""

    id: int
    task_id: str | None = None
    user_id: int | None = None
    platform: str | None = None
    action: str | None = None
    group: str | None = None
    status: str | None = None
    progress: str | None = None
    fail_reason: str | None = None
    created_at: int | None = None
    submit_time: int | None = None
    start_time: int | None = None
    finish_time: int | None = None
    quota: int | None = None
    properties: Any = None
    data: Any = None


@dataclass(slots=True)
class TaskProgress:
    """What one pass has done. ``settled_id``: all rows up to it are final, and need not be read again."""

    last_id: int = 0
    settled_id: int = 0
    rows: int = 0
    changed: int = 0
    refused: int = 0
    reasons: list[str] = field(default_factory=list)

    def refuse(self, reason: str) -> None:
        """Count a row that is refused; the first ones are told with their reasons."""
        self.refused += 1
        if len(self.reasons) < _MAX_REASONS:
            self.reasons.append(reason)


def run(
    source: NewApiSource, gateway: Gateway, *, quota_per_usd: Decimal, after: int = 0
) -> Iterator[TaskProgress]:
    """Take in all tasks above ``after``; yield after each slice, which is then committed.

    Raises SourceError.
    """
    progress = TaskProgress(last_id=after, settled_id=after)
    names = source.user_names()
    providers = catalogue()
    all_final = True
    while found := source.read(TABLE, Row, after=progress.last_id, limit=MAX_TASKS):
        rows = [row for row in found if isinstance(row, Row)]
        for odd in found:
            if isinstance(odd, Unreadable):
                progress.refuse(f"task row {odd.key}: {odd.reason}")
        keys = [key for row in found if (key := _key(row)) is not None]
        if not keys:
            break
        wanted = _not_final_here(gateway, [row for row in rows if row.task_id])
        if wanted:
            body = msgspec.json.encode([_report(row, names, quota_per_usd) for row in wanted])
            taken = register(gateway, _unfollowed(decode(body, providers, registering=True)), providers)
            progress.changed += taken.accepted
            for rejected in taken.rejected:
                progress.refuse(f"task {rejected.task_id}: {rejected.error}")
        for one in found:
            # A row that cannot be read does not become readable: it holds nothing up.
            all_final = all_final and (isinstance(one, Unreadable) or one.status in _FINAL)
            if all_final and (key := _key(one)) is not None:
                progress.settled_id = key
        progress.rows += len(found)
        progress.last_id = keys[-1]
        yield progress


def _key(row: Row | Unreadable) -> int | None:
    return row.key if isinstance(row, Unreadable) else row.id


def _not_final_here(gateway: Gateway, rows: Sequence[Row]) -> list[Row]:
    final = set(
        AsyncTask.objects.filter(
            gateway=gateway,
            task_id__in=[row.task_id for row in rows],
            status__in=(TaskStatus.SUCCEEDED, TaskStatus.FAILED),
        ).values_list("task_id", flat=True)
    )
    return [row for row in rows if row.task_id not in final]


def _unfollowed(reports: Reports) -> Reports:
    """Leave following to new-api, which alone knows the provider's own ID: no deadline of the provider's."""
    return replace(
        reports, reports=[(index, replace(one, definition=None)) for index, one in reports.reports]
    )


def _report(row: Row, names: Mapping[int, str], quota_per_usd: Decimal) -> dict[str, Any]:
    """Return a row as a report of the native format."""
    state = _STATES.get(row.status or "")
    properties = _json(row.properties)
    properties = properties if isinstance(properties, dict) else {}
    told: dict[str, Any] = {
        "task_id": row.task_id or "",
        "created_at": row.submit_time or row.created_at or 0,
        "user": names.get(row.user_id or 0, f"user {row.user_id}" if row.user_id else ""),
        "group": row.group,
        "model": properties.get("origin_model_name") or properties.get("upstream_model_name"),
        "platform": _PLATFORMS.get(row.platform or "", row.platform or None),
        "status": state or row.status or None,
        "provider_status": row.status or None,
        "progress": row.progress or None,
        "started_at": row.start_time or None,
        "finished_at": row.finish_time or None,
        "cost": str(Decimal(row.quota) / quota_per_usd) if row.quota and row.quota > 0 else None,
        "refunds": "gateway",
    }
    reason = row.fail_reason or ""
    if state is TaskStatus.FAILED:
        told["error"] = {"message": reason or "new-api gives no reason."}
    elif state is TaskStatus.SUCCEEDED:
        # Of a video that succeeded, new-api keeps the address where a failure has its reason.
        told["result"] = {"url": reason} if reason.startswith("http") else _small(_json(row.data))
    return {name: value for name, value in told.items() if value not in (None, "")}


def _json(value: object) -> Any:
    """Return a JSON column, which comes as text; None for what cannot be read."""
    if not isinstance(value, str | bytes):
        return value
    try:
        return strict_json.decode(value)
    except JSONError:
        return None


def _small(value: Any) -> Any:
    return value if value and len(msgspec.json.encode(value)) <= _MAX_RESULT else None
