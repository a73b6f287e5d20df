"""The demo's records and tasks as the native API takes them (``/api/v1/usage``, ``/api/v1/tasks``)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from logs.models.events import JSONObject, UsageEvent
from routescope.demo.media import Order

_PLAIN = (
    "request_id", "user", "token", "group", "model", "stream", "duration_ms", "ttft_ms", "http_status",
    "endpoint", "ip", "user_agent", "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens",
    "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "image_count", "billing", "parameters",
    "upstream_request_id", "provider", "channel", "attempts", "task_id", "metadata",
)  # fmt: skip
"""The fields that are called and written the same."""

_encode = msgspec.json.Encoder().encode


def ndjson(objects: list[JSONObject]) -> bytes:
    """Write one JSON object a line."""
    return b"\n".join(map(_encode, objects))


def record(event: UsageEvent) -> JSONObject:
    """Return a usage record as JSON. What is not known is left out; money is decimal text."""
    written: dict[str, Any] = {name: getattr(event, name) for name in _PLAIN}
    written["created_at"] = event.created_at.isoformat()
    written["type"] = event.type.name.lower()
    written["status"] = event.status.name.lower()
    written["cost"] = None if event.cost is None else f"{event.cost:f}"
    written["error"] = None if event.error is None else _known(msgspec.structs.asdict(event.error))
    return _known({**written, **(event.quantities or {})})


def registration(order: Order) -> JSONObject:
    """Return a task as its gateway registers it, when it is submitted."""
    return {
        "task_id": order.task_id,
        "created_at": order.submitted_at.isoformat(),
        "user": order.token.user,
        "token": order.token.name,
        "group": order.token.group.name,
        "model": order.service.model,
        "request_id": order.request_id,
        "platform": order.service.platform,
        "type": order.service.type.value,
        "provider_task_id": order.upstream_id,
        "cost": f"{order.cost:f}",
        "refunds": "gateway",
    }


def report(order: Order, now: datetime) -> JSONObject:
    """Return what the gateway says about a task at ``now``. Saying the same again is no news."""
    status = order.status(now)
    over = now >= order.finished_at
    progress, result = order.progress(now), order.result(now)
    pieces = [piece.get("url") or piece.get("data") for piece in result or ()]
    return _known(
        {
            "task_id": order.task_id,
            "status": status.value,
            "provider_status": order.service.words[status],
            "progress": progress if progress is None or over else progress // 10 * 10,
            "started_at": order.started_at.isoformat() if now >= order.started_at else None,
            "finished_at": order.finished_at.isoformat() if over else None,
            "result": pieces or None,
            "error": dict(zip(("code", "message"), order.complaint, strict=True))
            if over and order.complaint
            else None,
        }
    )


def _known(fields: dict[str, Any]) -> JSONObject:
    return {name: value for name, value in fields.items() if value not in (None, "")}
