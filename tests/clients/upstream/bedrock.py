"""Bedrock's wire format: converse and converse-stream, whose counts lie side by side."""

from __future__ import annotations

import binascii
import json
import struct
import uuid
from typing import Any

from tests.clients.scenarios import Refusal, Used
from tests.clients.upstream.answering import Answer, Stream, spaced, text, told, wanted

JSONObject = dict[str, Any]
_EVENTS = "application/vnd.amazon.eventstream"
_TEXT_HEADER = 7


def answer(path: str, request: JSONObject) -> Answer | Stream:
    scenario, refusal = wanted("bedrock", text(request["messages"]))
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    if refusal:
        return _refused(refusal, headers)
    usage = _usage(scenario.used)
    if path.endswith("/converse-stream"):
        return Stream(spaced(_events(usage)), _EVENTS, headers=headers)
    message = {"role": "assistant", "content": [{"text": "An answer."}]}
    body = {
        "output": {"message": message},
        "stopReason": "end_turn",
        "usage": usage,
        "metrics": {"latencyMs": 20},
    }
    return told(body, headers)


def _usage(used: Used) -> JSONObject:
    return {
        "inputTokens": used.input - used.cached - used.written,
        "outputTokens": used.output,
        "totalTokens": used.input + used.output,
        "cacheReadInputTokens": used.cached,
        "cacheWriteInputTokens": used.written,
    }


def _events(usage: JSONObject) -> list[bytes]:
    return [
        _message("messageStart", {"role": "assistant"}),
        _message("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "An answer."}}),
        _message("contentBlockStop", {"contentBlockIndex": 0}),
        _message("messageStop", {"stopReason": "end_turn"}),
        _message("metadata", {"usage": usage, "metrics": {"latencyMs": 20}}),
    ]


def _message(kind: str, body: JSONObject) -> bytes:
    """Return one message of an Amazon event stream: lengths, their sum, headers, payload, the sum of all."""
    named = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        struct.pack("!B", len(name))
        + name.encode()
        + struct.pack("!BH", _TEXT_HEADER, len(value))
        + value.encode()
        for name, value in named.items()
    )
    payload = json.dumps(body).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    whole = prelude + struct.pack("!I", binascii.crc32(prelude)) + headers + payload
    return whole + struct.pack("!I", binascii.crc32(whole))


def _refused(refusal: Refusal, headers: dict[str, str]) -> Answer:
    return told(
        {"message": refusal.message}, {**headers, "x-amzn-ErrorType": refusal.kind}, refusal.http_status
    )
