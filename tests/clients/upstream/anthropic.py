"""Anthropic's wire format: messages, whose input tokens are told without what was cached and written."""

from __future__ import annotations

import json
from typing import Any

from tests.clients.scenarios import Refusal, Used
from tests.clients.upstream.answering import Answer, Stream, number, spaced, text, told, wanted

JSONObject = dict[str, Any]
_SAID = "An answer."


def answer(request: JSONObject) -> Answer | Stream:
    order = text(request["messages"])
    scenario, refusal = wanted("anthropic", order)
    count = number()
    if refusal:
        return _refused(refusal, f"req_{count:08}")
    message = {
        "id": f"msg_{count:08}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [{"type": "text", "text": _SAID}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage(scenario.used),
    }
    headers = {"request-id": f"req_{count:08}"}
    if not request.get("stream"):
        return told(message, headers)
    parts = [_event(event) for event in _events(message)]
    if order == "break":
        return Stream(spaced(parts[:3]), is_cut=True, headers=headers)
    return Stream(spaced(parts), headers=headers)


def usage(used: Used) -> JSONObject:
    """Return Anthropic's own counts: fresh, read from the cache and written to it, side by side."""
    return {
        "input_tokens": used.input - used.cached - used.written,
        "cache_creation_input_tokens": used.written,
        "cache_read_input_tokens": used.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": used.written - used.written_1h,
            "ephemeral_1h_input_tokens": used.written_1h,
        },
        "output_tokens": used.output,
        "service_tier": "standard",
        "server_tool_use": None,
    }


def _events(message: JSONObject) -> list[JSONObject]:
    begun = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "An "}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "answer."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": delta,
         "usage": {"output_tokens": message["usage"]["output_tokens"]}},
        {"type": "message_stop"},
    ]  # fmt: skip


def _event(event: JSONObject) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _refused(refusal: Refusal, request_id: str) -> Answer:
    error = {"type": refusal.kind, "message": refusal.message}
    body = {"type": "error", "error": error, "request_id": request_id}
    return told(body, {"request-id": request_id}, refusal.http_status)
