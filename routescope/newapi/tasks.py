"""Importing the ``tasks`` table of a new-api installation: tasks are registered, and move on as its rows do.

Source: model/task.go of new-api and one-hub. Rows change until a task is final, so open ones are read anew
with each look, and the numbers that had no row yet (`routescope.newapi.gaps`) with them. Registering twice
changes nothing: that is also how an interrupted import goes on, from the beginning.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec

from accounts.models import Gateway
from routescope.newapi.gaps import Gaps
from routescope.newapi.source import NewApiSource, Unreadable
from routescope.wire import strict_json
from routescope.wire.strict_json import JSONError
from tasks.intake.registration import register
from tasks.intake.reports import MAX_TASKS, Reports, decode
from tasks.models import AsyncTask, TaskStatus
from tasks.providers.catalogue import Catalogue, catalogue

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
_MOST_RANGES = 200
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
    progress: str | float | None = None
    fail_reason: str | None = None
    created_at: int | None = None
    submit_time: int | None = None
    start_time: int | None = None
    finish_time: int | None = None
    quota: int | None = None
    properties: Any = None
    data: Any = None
    private_data: str | None = None


class _PrivateData(msgspec.Struct):
    """What is read of a column that holds keys as well: of all else nothing is built."""

    result_url: str | None = None


@dataclass(slots=True)
class Followed:
    """How far a table has been read, by one process: rows up to ``last_id``, but for ``open`` ones, whose
    task is not final, and ``gaps``.
    """

    last_id: int = 0
    open: set[int] = field(default_factory=set)
    gaps: Gaps = field(default_factory=Gaps)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """What is to be read again, in the order of the ids."""
        found = self.gaps.ranges
        for number in sorted(self.open):
            if found and found[-1] == (found[-1][0], number - 1):
                found[-1] = found[-1][0], number
            else:
                found.append((number, number))
        return sorted(found)


@dataclass(slots=True)
class TaskProgress:
    """What one pass has done."""

    last_id: int = 0
    rows: int = 0
    changed: int = 0
    refused: int = 0
    given_up: int = 0
    reasons: list[str] = field(default_factory=list)

    def refuse(self, reason: str) -> None:
        """Count a row that is refused; the first ones are told with their reasons."""
        self.refused += 1
        if len(self.reasons) < _MAX_REASONS:
            self.reasons.append(reason)


def run(
    source: NewApiSource, gateway: Gateway, *, quota_per_usd: Decimal, followed: Followed
) -> Iterator[TaskProgress]:
    """Take in what changed or came late, and all tasks that are new; yield after each slice, which is then
    committed.

    Raises SourceError.
    """
    progress = TaskProgress(last_id=followed.last_id)
    what = _What(source, gateway, quota_per_usd, catalogue())
    now = time.time()
    ranges = followed.ranges
    for start in range(0, len(ranges), _MOST_RANGES):
        some = ranges[start : start + _MOST_RANGES]
        after = some[0][0] - 1
        while found := source.read(TABLE, Row, after=after, limit=MAX_TASKS, within=some):
            keys = _take(what, found, followed, progress)
            followed.gaps.fill(keys)
            yield progress
            if len(found) < MAX_TASKS or not keys:
                break
            after = keys[-1]
    while found := source.read(TABLE, Row, after=followed.last_id, limit=MAX_TASKS):
        running = source.transactions()
        keys = _take(what, found, followed, progress)
        if not keys:
            break
        oldest, following = running or (None, None)
        numbered = [(key, _written(row)) for row in found if (key := _key(row)) is not None]
        followed.gaps.notice(followed.last_id, numbered, now, following)
        progress.given_up += followed.gaps.expire(now, oldest)
        progress.last_id = followed.last_id = keys[-1]
        yield progress


@dataclass(slots=True)
class _What:
    source: NewApiSource
    gateway: Gateway
    quota_per_usd: Decimal
    providers: Catalogue
    _names: dict[int, str] | None = None

    @property
    def names(self) -> dict[int, str]:
        """Users by their id, read where there is a task to register."""
        if self._names is None:
            self._names = self.source.user_names()
        return self._names


def _take(
    what: _What, found: Sequence[Row | Unreadable], followed: Followed, progress: TaskProgress
) -> list[int]:
    """Register the tasks of rows, and return the rows' ids."""
    for odd in found:
        if isinstance(odd, Unreadable):
            # A row that cannot be read does not become readable: it is not looked at again.
            progress.refuse(f"task row {odd.key}: {odd.reason}")
    wanted = _not_final_here(what.gateway, [row for row in found if isinstance(row, Row) and row.task_id])
    if wanted:
        body = msgspec.json.encode([_report(row, what.names, what.quota_per_usd) for row in wanted])
        reports = _unfollowed(decode(body, what.providers, registering=True))
        taken = register(what.gateway, reports, what.providers)
        progress.changed += taken.accepted
        for rejected in taken.rejected:
            progress.refuse(f"task {rejected.task_id}: {rejected.error}")
    for row in found:
        if isinstance(row, Row) and row.status not in _FINAL:
            followed.open.add(row.id)
        elif (key := _key(row)) is not None:
            followed.open.discard(key)
    progress.rows += len(found)
    return [key for row in found if (key := _key(row)) is not None]


def _key(row: Row | Unreadable) -> int | None:
    return row.key if isinstance(row, Unreadable) else row.id


def _written(row: Row | Unreadable) -> float | None:
    return None if isinstance(row, Unreadable) else row.created_at or row.submit_time


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
        "progress": f"{row.progress:g}%" if isinstance(row.progress, float) else row.progress or None,
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
        url = reason if reason.startswith("http") else _result_url(row)
        told["result"] = {"url": url} if url else _small(_json(row.data))
    return {name: value for name, value in told.items() if value not in (None, "")}


def _result_url(row: Row) -> str | None:
    """Return the address of a result where newer versions keep it."""
    try:
        found = msgspec.json.decode(row.private_data or "{}", type=_PrivateData).result_url or ""
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    return found if found.startswith("http") else None


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
