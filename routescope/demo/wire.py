"""What the demo gateway says to the console, as requests to its API: NDJSON, some objects in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

from routescope.data.ids import MILLISECOND
from routescope.demo.media import Order
from routescope.demo.records import ErrorSent, RecordSent, TaskSent

USAGE, TASKS = "/api/v1/usage", "/api/v1/tasks"

_encode_lines = msgspec.json.Encoder().encode_lines


class Message(NamedTuple):
    """One request to the API: NDJSON with so many objects."""

    method: Literal["POST", "PATCH"]
    path: str
    body: bytes
    objects: int


def ndjson(objects: Sequence[RecordSent | TaskSent]) -> bytes:
    """Write one JSON object a line."""
    return _encode_lines(objects)


def usage(records: Sequence[RecordSent], most: int) -> Iterator[Message]:
    """Yield usage records in messages of ``most`` at the most."""
    yield from _messages("POST", USAGE, records, most)


def registrations(tasks: Sequence[TaskSent], most: int) -> Iterator[Message]:
    """Yield tasks to register in messages of ``most`` lines at the most."""
    yield from _messages("POST", TASKS, tasks, most)


def reports(tasks: Sequence[TaskSent], most: int) -> Iterator[Message]:
    """Yield reports on tasks in messages of ``most`` at the most."""
    yield from _messages("PATCH", TASKS, tasks, most)


def _messages(
    method: Literal["POST", "PATCH"], path: str, objects: Sequence[RecordSent | TaskSent], most: int
) -> Iterator[Message]:
    for first in range(0, len(objects), most):
        part = objects[first : first + most]
        yield Message(method, path, ndjson(part), len(part))


# --- Tasks -------------------------------------------------------------------------------------------------


def registered(order: Order, said: Sequence[TaskSent]) -> list[TaskSent]:
    """Return the lines that register a task together with what happened to it, in the order it happened.

    The gateway sends the refund of a failed task as a record of its own, and before: the console, which would
    give the charge back otherwise, finds it there.
    """
    registration = {
        "created_at": order.submitted_at,
        "user": order.token.user,
        "token": order.token.name,
        "group": order.token.group.name,
        "model": order.service.model,
        "request_id": order.request_id,
        "platform": order.service.platform,
        "type": order.service.type,
        "provider_task_id": order.upstream_id,
        "cost": order.cost,
    }
    said = said or [TaskSent(task_id=order.task_id)]
    return [msgspec.structs.replace(report, **registration) for report in said]


def happened(order: Order, since: datetime, until: datetime) -> list[TaskSent]:
    """Return what happened to a task after ``since`` and by ``until``, in order.

    It began, it had done a tenth more (where its platform tells), it ended. What is said of a moment is the
    same every time, so that saying it twice is no news.
    """
    tenth = (order.finished_at - order.started_at) / 10
    tenths = range(1, 10) if order.progress(until) is not None else ()
    # A millisecond past it, lest a rounded moment is one before it.
    inner = (order.started_at + tenth * number + MILLISECOND for number in tenths)
    moments = [order.started_at, *inner, order.finished_at]
    shown: int | None = -1
    found = []
    for moment in moments:
        report = _report(order, moment)
        if (moment == order.finished_at or report.progress != shown) and since < moment <= until:
            found.append(report)
        shown = report.progress
    return found


def in_short(said: Sequence[TaskSent]) -> list[TaskSent]:
    """Return of what happened to a task what is told of the past: that it began, and how far it has come."""
    return [report for report in said if report.reported_at == report.started_at or report is said[-1]]


def _report(order: Order, at: datetime) -> TaskSent:
    """Return what the gateway says about a task of the moment when it is ``at``."""
    status = order.status(at)
    over = at >= order.finished_at
    progress = order.progress(at)
    result = order.result(at)
    hours = order.service.result_hours
    return TaskSent(
        task_id=order.task_id,
        status=status,
        provider_status=order.service.words[status],
        progress=progress if progress is None or over else progress // 10 * 10,
        reported_at=at,
        started_at=order.started_at,
        finished_at=order.finished_at if over else None,
        result=result,
        result_expires_at=order.finished_at + timedelta(hours=hours) if result and hours else None,
        error=ErrorSent(code=order.complaint.code, message=order.complaint.message)
        if over and order.complaint
        else None,
    )
